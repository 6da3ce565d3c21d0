"""From plans and a timeline to the result: traffic by memory and operand, energy by action, causes by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import fsum
from typing import Any

from sim import energy
from sim.accounting.costs import ActionCosts
from sim.accounting.mapped import told
from sim.accounting.traffic import merge, renamed, share_out, shares, summed
from sim.arch import OPERANDS, Arch, Dram, Simple, Systolic, Vector
from sim.dataflow import DATAFLOWS
from sim.energy.memory import dram_counts
from sim.frontend import Stage
from sim.graph import Graph
from sim.kernel import Attention, Contraction, Kernel, VectorWork
from sim.layers import KeptRoom, Lowered, Task
from sim.plan import Load, Plan, steps
from sim.registers import shifted
from sim.result import Layer, Result, Traffic
from sim.tiers import Schedule
from sim.timeline import CAUSES, Timeline
from sim.totals import Totals, totals
from sim.version import __version__

Counts = dict[tuple[str, str], float]
"""(component, action) to how often; DRAM and link count bits, buffers accesses, registers bits."""


class Book:
    """Keeps the accounts of one run: what each action costs, and what each layer did."""

    def __init__(self, chip: Arch, graph: Graph) -> None:
        self.chip, self.graph = chip, graph
        self.array = chip.unit_name(Systolic) if chip.array else ""
        self.vector = chip.unit_name(Vector) if chip.vector else ""
        self.action_costs = ActionCosts(chip, self.array)
        self.costs, self.prices = self.action_costs.costs, self.action_costs.prices
        self.shifted: dict[int, dict[str, int]] = {}
        self.tiers: Schedule | None = None
        """What is fetched from slower memories, once it is known; bytes by layer and tier."""
        self.fetched: dict[int, dict[str, int]] = {}

    def result(
        self, lowered: Lowered, stages: Sequence[Stage], timeline: Timeline, missing: list[Any], provenance: Any
    ) -> Result:
        """Return the whole account of a run."""
        chip, tasks = self.chip, lowered.tasks
        self.fetched = self.tiers.by_layer() if self.tiers else {}
        known: dict[int, Totals] = {}  # equal layers share the body of their plans
        for stage in stages:
            if id(stage.plan.body) not in known:
                known[id(stage.plan.body)] = totals(stage.plan)
        per_stage = [known[id(stage.plan.body)] for stage in stages]
        by_layer: list[list[tuple[Plan, Totals]]] = [[] for _ in tasks]
        for stage, total in zip(stages, per_stage, strict=True):
            by_layer[stage.layer].append((stage.plan, total))
        seconds = timeline.cycles / chip.clock
        timeline.kept = self.kept(lowered)
        layers, counts = [], Counts()
        for index, task in enumerate(tasks):
            layer, acted = self._layer(index, task, by_layer[index], timeline, lowered)
            layers.append(layer)
            for key, amount in acted.items():
                counts[key] = counts.get(key, 0) + amount
        if isinstance(chip.memory, Dram):
            layered = self._dram_energy(counts)
            counts |= dram_counts(chip.memory, timeline.dram["dram"], seconds)
            layers = share_out(layers, self._dram_energy(counts) - layered)
        spent = energy.account(counts, self.costs, self.action_costs.leakage, seconds)
        macs = sum(layer.macs for layer in layers)
        used, slots = (sum(getattr(t, name) for t in per_stage) for name in ("used", "slots"))
        traffic = summed([layer.traffic_bytes for layer in layers])
        return Result(
            arch=chip.name, workload=self.graph.name, clock_hz=chip.clock, cycles=timeline.cycles, seconds=seconds,
            macs=macs, utilization=self._utilization(sum(map(self._worked, tasks)), timeline.cycles),
            mapping_efficiency=used / slots if slots else 0.0, units=self._units(timeline), traffic_bytes=traffic,
            energy_pj={"total": spent.total_pj, "by_component": spent.by_component, "by_action": spent.by_action},
            buffers=self._buffers(timeline, lowered),
            dram=self._dram(traffic, seconds, timeline), layers=tuple(layers),
            not_modelled=(*_affecting("cycles", missing), *_affecting("energy", self.action_costs.not_modelled)),
            provenance={"version": __version__, **provenance},
            tiers=self.tiers.figures if self.tiers else {},
            convention=chip.array.convention if chip.array else "rtl", compulsory_bytes=self._compulsory(tasks),
        )  # fmt: skip

    def _buffers(self, timeline: Timeline, lowered: Lowered) -> dict[str, dict[str, int]]:
        capacity = {name: buffer.capacity for name, buffer in self.chip.buffers.items() if self.chip.bounded}
        return {
            name: {"capacity_bytes": size, "peak_bytes": timeline.peaks[name] + self._kept(name, lowered)}
            for name, size in capacity.items()
        }

    def _kept(self, name: str, lowered: Lowered) -> int:
        """Return the most bytes of activations that are kept in a buffer at once."""
        return max(self.kept(lowered).get(name, [0]))

    def kept(self, lowered: Lowered) -> dict[str, list[int]]:
        """Return the bytes of activations that a buffer keeps for later layers, layer by layer."""
        place = KeptRoom(lowered.tasks, self.chip)
        for task in lowered.tasks:
            if task.writes in lowered.kept:
                place.keep(task)
        return {self.chip.buffer_of("input"): place.live[: max(1, len(lowered.tasks))]} if lowered.kept else {}

    def _worked(self, task: Task) -> int | Fraction:
        """Return the PE cycles of a layer's useful products, at the rates of their formats."""
        macs: dict[int, int] = {}
        for kernel in task.kernels if self.chip.array else ():
            if not isinstance(kernel, VectorWork):
                rate = self.chip.seen(kernel.right_is).mac_rate
                macs[rate] = macs.get(rate, 0) + kernel.macs
        return sum(count if rate == 1 else Fraction(count, rate) for rate, count in macs.items())

    def _utilization(self, worked: int | Fraction, cycles: int) -> float:
        peak = self.chip.peak * cycles
        return float(worked / peak) if peak else 0.0

    def _units(self, timeline: Timeline) -> dict[str, dict[str, Any]]:
        kinds = {name: unit.told(self.chip.clock) for name, unit in self.chip.units.items()}
        kinds["link"] = {"kind": "link"}
        kinds |= {name: {"kind": "tier"} for name in self.chip.tiers}
        return {
            name: {**kinds.get(name, {"kind": "channel"}), "cycles": ledger.by_cause()}
            for name, ledger in timeline.ledgers.items()
        }

    def _dram_energy(self, counts: Counts) -> float:
        return fsum(count * self.costs[key].pj for key, count in counts.items() if key[0] == "dram")

    def _dram(self, traffic: Traffic, seconds: float, timeline: Timeline) -> dict[str, dict[str, Any]]:
        line = self.chip.memory.channel(self.chip.clock)
        if line is None:
            return {}
        found, peak = timeline.dram.get("dram", {}), float(line.burst * self.chip.clock / line.cycles_per_burst)
        useful = sum(sum(operands.values()) for operands in traffic.get("dram", {}).values())
        moved = (found["reads"] + found["writes"]) * line.burst if found else useful
        rate = moved / seconds if seconds else 0.0
        return {"dram": {**found, "bandwidth_utilization": rate / peak, "bandwidth_gbps": rate / 1e9}}

    def _compulsory(self, tasks: Sequence[Task]) -> dict[str, int]:
        """Return the bytes of each operand if every one that a multiply-accumulate touches moved once.

        Keys and values that are one tensor, as in latent attention, are one operand, in one layer or in two.
        """
        chip = self.chip
        found = dict.fromkeys(OPERANDS, 0)
        shared: dict[tuple[str, ...], int] = {}
        for task in tasks:
            cached = 0
            for kernel in task.kernels:
                if isinstance(kernel, Contraction | Attention):
                    right, size = kernel.right_is, chip.bytes_of(kernel.right_is, kernel.right_elements)
                    cached += size if right == "kv" else 0
                    found[right] = found.get(right, 0) + size
                    found["input"] += chip.bytes_of("input", kernel.input_elements)
                    found["output"] += chip.bytes_of("output", kernel.output_elements)
            if cached:
                tensors = tuple(tensor for operand, tensor in task.reads if operand == "weight")
                found["kv"] -= min(cached, shared.get(tensors, 0))
                shared[tensors] = max(cached, shared.get(tensors, 0))
        return found

    def _layer(
        self, index: int, task: Task, plans: list[tuple[Plan, Totals]], timeline: Timeline, lowered: Lowered
    ) -> tuple[Layer, Counts]:
        counts: Counts = {}
        traffic: Traffic = {}
        for (plan, total), kernel in zip(plans, task.kernels, strict=True):
            merge(traffic, self._traffic(plan, total, kernel, task.result))
            for key, amount in self._actions(plan, total).items():
                counts[key] = counts.get(key, 0) + amount
        if task.writes in lowered.kept:
            merge(traffic, self._moved_to_keep(task))
        traffic = renamed(traffic, task.result)
        for tier, size in self.fetched.get(index, {}).items():
            merge(traffic, {tier: {"read": {"weight": size}}, "dram": {"write": {"weight": size}}})
        for memory, directions in traffic.items():
            self._count_accesses(counts, memory, directions)
        unit = self.array if task.contracts else self.vector
        causes = timeline.ledgers[unit].of_layer(index) if unit in timeline.ledgers else {}
        start, end = timeline.spans[index]
        used, slots = (sum(getattr(t, name) for _, t in plans) for name in ("used", "slots"))
        macs = sum(kernel.macs for kernel in task.kernels if not isinstance(kernel, VectorWork))
        spent = energy.account(counts, self.costs, {}, 0.0)
        mapped = next((plan for plan, _ in plans if plan.mapping), None)
        layer = Layer(
            name=task.name, op=task.op, unit=unit, start=start, cycles=end - start, macs=macs,
            utilization=self._utilization(self._worked(task), end - start),
            mapping_efficiency=used / slots if slots else 0.0,
            compute_cycles=causes.get("compute", 0), bound=max(CAUSES, key=lambda c: causes.get(c, 0)),
            causes=causes, traffic_bytes=traffic, energy_pj=spent.total_pj,
            mapping=told(mapped, self.chip) if mapped else None, fused=tuple(task.fused),
            energy_by_component=spent.by_component,
        )  # fmt: skip
        return layer, counts

    def spent(self, plan: Plan, kernel: Kernel, result: str) -> float:
        """Return the pJ of a plan alone, without leakage; of DRAM what its bytes take."""
        total = totals(plan)
        counts = self._actions(plan, total)
        for memory, directions in self._traffic(plan, total, kernel, result).items():
            self._count_accesses(counts, memory, directions)
        return energy.account(counts, self.costs, {}, 0.0).total_pj

    def _moved_to_keep(self, task: Task) -> Traffic:
        """Return the bytes of an output on its way to where the layers behind find it as an input."""
        size = self.chip.bytes_of("output", task.elements)
        moved: Traffic = {}
        for memory, direction in ((self.chip.buffer_of("output"), "read"), (self.chip.buffer_of("input"), "write")):
            merge(moved, {memory: {direction: {"output": size}}})
        return moved

    def _traffic(self, plan: Plan, total: Totals, kernel: Kernel, result: str) -> Traffic:
        """Return the bytes that a plan moves, by memory, direction and operand.

        `kernel` has all of its inputs, those that are kept on chip and need no load too.
        """
        traffic = Traffic()
        right = "weight" if isinstance(plan.kernel, VectorWork) else plan.kernel.right_is
        chip = self.chip.seen(right, result)
        names = {"weight": right, "parameter": "weight", "input": "input", "output": "output", "intermediate": "output"}

        def add(memory: str, direction: str, operand: str, count: int) -> None:
            if count:
                place = traffic.setdefault(memory, {"read": {}, "write": {}})[direction]
                for name, share in shares(chip, kernel, operand, names[operand], count):
                    place[name] = place.get(name, 0) + share

        rest = self._rest_of_granules(plan)
        for operand, count in total.load.items():
            add("dram", "read", operand, count + rest.get(operand, 0))
        for operand, count in total.store.items():
            add("dram", "write", operand, count)
        for (operand, way), count in total.moves.items():
            add(chip.buffer_of(operand if operand in OPERANDS else "output"), way, operand, count)
        return traffic

    def _rest_of_granules(self, plan: Plan) -> dict[str, int]:
        """Return the bytes that loads bring beside those they are for, whole granules of their buffers."""
        rest: dict[str, int] = {}
        if isinstance(self.chip.memory, Simple) and any(buffer.granule for buffer in self.chip.buffers.values()):
            for step, times in steps(plan.body):
                if isinstance(step, Load):
                    more = self.chip.brought(step.operand, step.bytes) - step.bytes
                    rest[step.operand] = rest.get(step.operand, 0) + more * times
        return rest

    def _actions(self, plan: Plan, total: Totals) -> Counts:
        """Return what a plan does besides memory accesses: products, registers, lane operations, link bits."""
        counts: Counts = {}
        if total.macs:
            chip = self.chip.seen("weight" if isinstance(plan.kernel, VectorWork) else plan.kernel.right_is)
            counts[self.array, self.action_costs.product(plan.kernel)] = total.macs
            counts[self.array, "register"] = total.pe_cycles * _register_bits(chip) + self._shifted_bits(plan, chip)
        for operand, elements in total.hops.items():
            bits = self.chip.bits("partial_sum" if operand == "output" else operand)
            counts[self.array, "hop"] = counts.get((self.array, "hop"), 0) + elements * bits
        for unit, operations in ((self.vector, total.operations), (self.array, total.local)):
            for operation, count in operations.items():
                if count:
                    counts[unit, operation] = count
                    self.action_costs.price_operation(unit, operation)
        if total.link:
            counts["link", "bit"] = total.link * 8
        return counts

    def _shifted_bits(self, plan: Plan, chip: Arch) -> float:
        """Return the register bits written on the way into the PEs and out of them."""
        key = id(plan.body)  # who asks keeps its plans: those of a run, and all that were tried (sim.stages)
        if key not in self.shifted:
            self.shifted[key] = shifted(plan, self.chip)
        formats = {"output": "partial_sum", "weight": "weight", "input": "input"}
        return sum(chip.bits(formats[operand]) * words for operand, words in self.shifted[key].items())

    def _count_accesses(self, counts: Counts, memory: str, directions: dict[str, dict[str, int]]) -> None:
        if (memory, "read") not in self.costs:
            return
        for direction, operands in directions.items():
            moved = sum(operands.values())
            per = 1 / 8 if memory == "dram" or memory in self.chip.tiers else self.chip.buffers[memory].port_width
            if moved:
                counts[memory, direction] = counts.get((memory, direction), 0) + moved / per


def _register_bits(chip: Arch) -> float:
    """Return the register bits that one PE writes in a cycle with work: what moves, as much as it takes at once, and
    the sum.

    Source: the registers of sim.reference. The stationary operand rests; in output stationary both
    operands move and the sum is rewritten in place. In row stationary a product takes four accesses to the
    scratchpads: both operands, the sum out and in (Chen et al., ISCA 2016). What shifts words into the PEs and
    sums out of them comes on top, see sim.registers.
    """
    array = chip.array
    assert array is not None  # only contractions ask
    if DATAFLOWS[array.dataflow].passes:
        return chip.bits("weight") + chip.bits("input") + 2 * chip.bits("partial_sum")
    stationary = DATAFLOWS[array.dataflow].stationary
    moving = [o for o in ("weight", "input") if o != stationary]
    return chip.mac_rate * sum(chip.bits(o) for o in moving) + chip.bits("partial_sum")


def _affecting(what: str, missing: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**entry, "affects": what} for entry in missing]
