"""From what became of the jobs to the common result: causes by unit, traffic, energy, a baseline beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sim import energy
from sim.arch import Companion, Pim
from sim.energy import Cost
from sim.energy.supply import at_point
from sim.family import Request
from sim.inmemory.baseline import baseline
from sim.inmemory.jobs import WEIGHTS, Program
from sim.inmemory.schedule import CLOSE, REFRESH, WAIT, WORK, Done, Schedule
from sim.pim import energy as energy_of_commands
from sim.pim.channel import CAUSES as SPENT
from sim.pim.device import Device
from sim.pim.run import told_counts
from sim.pim.schema import Role
from sim.result import Layer, Result, Traffic
from sim.timeline import CAUSES
from sim.version import __version__

BUFFER, REGISTERS = energy_of_commands.BUFFER, "registers"
"""The memories of a device, as results name them beside the units and buffers of the chip."""

WORDS = {
    "multiply": "compute", "row_switch": "wait_weight", "write_buffer": "wait_input", "write_registers": "fill",
    "read_registers": "drain", "mode_switch": "wait_port", "refresh": "wait_weight", "end": "drain",
    "read": "wait_weight", "write": "wait_output_space", WAIT: "wait_dependency", WORK: "compute",
}  # fmt: skip
"""What the clocks of a channel go to, in the words of the accounting."""

Counts = dict[tuple[str, str], float]


@dataclass
class Account:
    """The accounts of one run."""

    request: Request
    device: Device
    schedule: Schedule
    done: Sequence[Done]

    def __post_init__(self) -> None:
        self.chip = self.request.chip
        self.banks = self.chip.unit_name(Pim)
        self.companion = self.chip.unit_name(Companion) if self.chip.companion else ""
        self.table = energy.load(self.chip.technology)
        self.sram = next(iter(self.chip.buffers), "")
        self.costs = self._costs()

    @cached_property
    def cycles(self) -> int:
        """The end of the last job; sums that are added behind the last read of all are not waited for."""
        return max((done.end for done in self.done), default=0)

    def result(self) -> Result:
        """Return the common result."""
        pairs = [self._layer(done) for done in self.done]
        layers = tuple(layer for layer, _ in pairs)
        seconds, macs = self.cycles / self.device.clock_hertz, sum(layer.macs for layer in layers)
        slots = sum(self._slots(done) for done in self.done)
        spent = energy.account(_total(counts for _, counts in pairs), self.costs, self._leaking(), seconds)
        return Result(
            arch=self.chip.name, workload=self.request.graph.name, clock_hz=self.chip.clock, cycles=self.cycles,
            seconds=seconds, macs=macs, utilization=macs / (self.peak * self.cycles) if self.cycles else 0.0,
            mapping_efficiency=macs / slots if slots else 0.0, units=self._units(), traffic_bytes=_sum(layers),
            energy_pj={"total": spent.total_pj, "by_component": spent.by_component, "by_action": spent.by_action},
            buffers=self.buffers(), dram={self.banks: self._rows()}, layers=layers, not_modelled=self._missing(),
            provenance={"version": __version__, **self.request.provenance}, convention="pim",
            pim=self._summary(spent.total_pj, seconds),
        )  # fmt: skip

    @property
    def peak(self) -> float:
        """The most MACs a clock: all lanes of all units at the gap between two multiply commands."""
        return self.device.lanes * self.device.units * self.device.spec.channels / self.device.interval

    def _count(self, commands: Mapping[str, int], *roles: Role) -> int:
        return sum([commands.get(self.device.maybe(role) or "", 0) for role in roles])

    def _slots(self, done: Done) -> int:
        each = self.device.units * self.device.lanes
        return each * sum(self._count(program.cost.commands, "multiply") for program in done.ran)

    def _layer(self, done: Done) -> tuple[Layer, Counts]:
        job, causes = done.job, self._causes(done)
        counts, traffic = self._actions(done), self._traffic(done)
        spent = energy.account(counts, self.costs, {}, 0.0)
        slots, length = self._slots(done), done.end - done.start
        on_banks = job.product is not None
        layer = Layer(
            name=job.name, op=job.op, unit=self.banks if on_banks else self.companion, start=done.start, cycles=length,
            macs=job.macs, utilization=job.macs / (self.peak * length) if length else 0.0,
            mapping_efficiency=job.macs / slots if slots else 0.0, compute_cycles=causes["compute"],
            bound=max(CAUSES, key=lambda cause: causes[cause]),
            causes={cause: causes[cause] for cause in CAUSES if causes[cause]}, traffic_bytes=traffic,
            energy_pj=spent.total_pj, energy_by_component=spent.by_component, fused=job.fused,
            mapping={"order": self.device.spec.order, "programs": job.programs, "parts": job.parts,
                     "program_cycles": job.product.cost.cycles, "rows": job.stored_rows,
                     "padded_outputs": job.padded} if job.product else None,
        )  # fmt: skip
        return layer, counts

    def _causes(self, done: Done) -> Counter[str]:
        """Return the cycles by cause of the unit that does a job's main work, between its first and last activity."""
        causes = Counter[str]()
        if done.job.product is None:
            causes["compute"] = min(done.working, done.end - done.start)
            return causes
        for program in done.ran:
            for cause, clocks in program.cost.clocks.items():
                causes[WORDS[cause]] += clocks
        return causes

    def _units(self) -> dict[str, dict[str, Any]]:
        banks = Counter[str]()
        for done in self.done:
            for cause, clocks in done.clocks.items():
                banks[WORDS[cause]] += clocks
        told = {name: unit.told(self.chip.clock) for name, unit in self.chip.units.items()}
        found = {self.banks: {**told[self.banks], "cycles": self._booked(banks)}}
        if self.companion:
            own = Counter(compute=sum(done.working for done in self.done),
                          wait_dependency=sum(done.waiting for done in self.done))  # fmt: skip
            own["compute"] -= max(0, own.total() - self.cycles)  # what lies behind the end is not counted
            found[self.companion] = {**told[self.companion], "cycles": self._booked(own)}
        return found

    def _booked(self, causes: Counter[str]) -> dict[str, int]:
        return {cause: causes[cause] for cause in CAUSES} | {"idle": self.cycles - causes.total()}

    def _traffic(self, done: Done) -> Traffic:
        """Return bytes read and written in the banks, to the global buffers, through the registers and by the SRAM."""
        moved: Traffic = {}
        for program in done.ran:
            for memory, way, operand, count in self.moves(program):
                if count:
                    place = moved.setdefault(memory, {"read": {}, "write": {}})[way]
                    place[operand] = place.get(operand, 0) + count
        for operand, way, count in self._lanes(done):
            if self.sram and count:
                place = moved.setdefault(self.sram, {"read": {}, "write": {}})[way]
                place[operand] = place.get(operand, 0) + count
        return moved

    def moves(self, program: Program) -> Iterable[tuple[str, str, str, int]]:
        """Yield what a program moves: memory, way, operand, bytes."""
        burst, commands = self.device.spec.burst, program.cost.commands
        multiplies = self._count(commands, "multiply")
        inputs, read = (self._count(commands, role) * burst for role in ("write_buffer", "read_registers"))
        begun, stored = (self._count(commands, role) * burst for role in ("write_registers", "write"))
        yield self.banks, "read", program.read[0], multiplies * self.device.units * burst
        yield self.banks, "read", program.read[0], self._count(commands, "read") * burst
        yield self.banks, "write", program.write[0], stored
        yield BUFFER, "read", "input", multiplies * burst
        yield BUFFER, "write", "input", inputs
        yield REGISTERS, "read", "output", read
        yield REGISTERS, "write", "output", begun

    def _lanes(self, done: Done) -> Iterable[tuple[str, str, int]]:
        """Yield what the SRAM reads and writes: vectors for the buffers, results, operands of lane work."""
        for program in done.ran:
            yield "input", "read", self._count(program.cost.commands, "write_buffer") * self.device.spec.burst
            yield "output", "write", self._count(program.cost.commands, "read_registers") * self.device.spec.burst
        for work in done.job.work:
            yield "input", "read", self.chip.bytes_of("input", sum(work.inputs))
            yield "output", "write", self.chip.bytes_of("output", work.outputs)

    def _costs(self) -> dict[tuple[str, str], Cost]:
        costs, sources = dict[tuple[str, str], Cost](), self.device.spec.sources
        for part, action in energy_of_commands.FIGURES:
            event = energy_of_commands.figure(self.device, part, action)
            if event is not None:
                costs[self._named(part), action] = Cost(event.value, sources[event.source].text, event.derived)
        if self.sram:
            buffer = self.chip.buffers[self.sram]
            cells = self.table.sram(buffer.capacity, buffer.port_width * 8)
            costs[self.sram, "read"], costs[self.sram, "write"] = cells.read, cells.write
        return costs

    def _actions(self, done: Done) -> Counts:
        counts: Counts = {}
        if self.device.spec.energy is not None:
            commands = sum((Counter(p.cost.commands) for p in done.ran), Counter(done.commands))
            counts = self.events(commands)
        if not self.companion:
            return counts
        form = self.chip.precision.partial_sum
        operations = Counter({"add": done.job.adds})
        for work in done.job.work:
            operations.update(dict(work.operations))
        for kind, count in operations.items():
            if (self.companion, kind) not in self.costs:
                cost = self.table.lane(kind, form)
                self.costs[self.companion, kind] = at_point(self.chip.units[self.companion], cost)
            counts[self.companion, kind] = float(count)
        for _, way, size in self._lanes(done):
            if self.sram:
                width = self.chip.buffers[self.sram].port_width
                counts[self.sram, way] = counts.get((self.sram, way), 0.0) + size / width
        return counts

    def events(self, commands: Mapping[str, int]) -> Counts:
        """Return what the commands do: rows opened, bits moved, products, refreshes."""
        found = energy_of_commands.events(self.device, commands)
        return {(self._named(part), action): count for (part, action), count in found.items()}

    def _named(self, part: str) -> str:
        return self.banks if part == energy_of_commands.BANKS else part

    def _leaking(self) -> dict[str, float]:
        if not self.sram:
            return {}
        buffer = self.chip.buffers[self.sram]
        watts = self.table.sram(buffer.capacity, buffer.port_width * 8).leakage_watts
        return {} if watts is None else {self.sram: watts}

    def buffers(self) -> dict[str, dict[str, int]]:
        """Return what banks, global buffers and SRAM hold at their fullest, and could."""
        row = self.device.row_bytes * self.device.units * self.device.spec.channels
        widest = max((self.widest(done) for done in self.done), default=0)
        found = {
            self.banks: {"capacity_bytes": self.device.capacity,
                         "peak_bytes": sum(done.job.stored_rows for done in self.done) * row},
            BUFFER: {"capacity_bytes": self.device.spec.buffer, "peak_bytes": widest},
        }  # fmt: skip
        if self.sram:
            found[self.sram] = {"capacity_bytes": self.chip.buffers[self.sram].capacity,
                                "peak_bytes": max(self.schedule.live.values(), default=0)}  # fmt: skip
        return found

    def widest(self, done: Done) -> int:
        """Return the most bytes of a global buffer that a job writes."""
        return min(done.job.widest * self.device.spec.burst, self.device.spec.buffer)

    def _rows(self) -> dict[str, Any]:
        """Return rows opened, hit and closed, refreshes, every command, and what the clocks of a channel went to."""
        commands, clocks = Counter[str](), Counter[str]()
        for done in self.done:
            for program in done.ran:
                commands.update(program.cost.commands)
            commands.update(done.commands)
            clocks.update(done.clocks)
        opened = self._count(commands, "activate", "activate_one")
        accesses = self._count(commands, "multiply", "multiply_one", "read", "write")
        closed = min(opened, self._count(commands, "precharge"))
        return {
            "row_hits": accesses - opened, "row_misses": opened - closed, "row_conflicts": closed,
            "row_hit_rate": 1 - opened / accesses if accesses else 0.0, "activates": opened,
            "refreshes": self._count(commands, "refresh"),
            "bandwidth_utilization": self._count(commands, "multiply") * self.device.interval
            / (self.device.spec.channels * self.cycles) if self.cycles else 0.0,
            "commands": told_counts(self.device, commands),
            "clocks": {cause: clocks[cause] for cause in (*SPENT, WAIT)} | {WAIT: clocks[WAIT] + self._tail(clocks)},
        }  # fmt: skip

    def _tail(self, clocks: Counter[str]) -> int:
        """Return the clocks from the last program to the end of the run."""
        return self.cycles - clocks.total()

    def _missing(self) -> tuple[dict[str, Any], ...]:
        found = [dict(entry) for entry in self.request.missing]
        if not self.companion:
            sums = [done.job.name for done in self.done if done.job.adds]
            found += [{"what": "adding partial sums outside the banks", "where": sums}] if sums else []
        if self.device.spec.energy is None:
            found.append({"what": "energy of a PIM device", "where": [self.banks], "affects": "energy"})
        return tuple(found)

    def _summary(self, picojoules: float, seconds: float) -> dict[str, Any]:
        """Return where the time of the banks goes by kind of program, the baseline, and figures by token."""
        found = {
            **self._programs(), "companion": sum(done.working for done in self.done),
            "padded_outputs": sum(done.job.padded for done in self.done), "baseline": self._baseline(),
        }  # fmt: skip
        tokens = _tokens(self.request.graph.params)
        if tokens and seconds:
            found |= {"tokens": tokens, "tokens_per_second": tokens / seconds,
                      "energy_pj_per_token": picojoules / tokens}  # fmt: skip
        return found

    def _programs(self) -> dict[str, dict[str, int]]:
        """Return the cycles of programs by what they are for, and those between them."""
        work, within, all_of = Counter[str](), Counter[str](), Counter[str]()
        for done in self.done:
            all_of.update(done.clocks)
            for program in done.ran:
                work[program.what] += program.cost.cycles
                within.update(program.cost.clocks)
        return {
            "programs": {what: work[what] for what in (WEIGHTS, *sorted(set(work) - {WEIGHTS}))},
            "between": {"waiting": all_of[WAIT], "closing_rows": all_of[CLOSE] - within[CLOSE],
                        "refresh": all_of[REFRESH] - within[REFRESH]},
        }  # fmt: skip

    def _baseline(self) -> dict[str, Any]:
        streamed = baseline([done.job for done in self.done], self.device)
        return {
            "bytes": streamed.bytes, "cycles": streamed.cycles, "seconds": streamed.cycles / self.device.clock_hertz,
            "energy_pj": streamed.energy_pj, "speedup": streamed.cycles / self.cycles if self.cycles else 0.0,
        }  # fmt: skip


def _tokens(params: Mapping[str, Any]) -> int:
    """Return the tokens that a run of a language model makes: one a sequence; 0 for other networks."""
    if "phase" not in params or "context" not in params:
        return 0
    return int(params.get("batch", 1))


def _total(parts: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return total


def _sum(layers: Iterable[Layer]) -> Traffic:
    total: Traffic = {}
    for layer in layers:
        for memory, directions in layer.traffic_bytes.items():
            for direction, operands in directions.items():
                held = total.setdefault(memory, {}).setdefault(direction, {})
                for operand, amount in operands.items():
                    held[operand] = held.get(operand, 0) + amount
    return total
