"""From the runs of the parts to the common result: causes by unit, traffic, energy, and what bounds the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate
from math import ceil
from typing import Any

from sim import energy
from sim.arch import Dram, Fabric, Simple
from sim.arch import channel as off_chip
from sim.energy import Cost
from sim.energy.memory import dram_costs
from sim.fabric.cost import Cost as Blocks
from sim.fabric.execute import PartRun
from sim.fabric.folding import Fold
from sim.fabric.offchip import OffChip
from sim.fabric.stages import Stage
from sim.fabric.wiring import PORT, Places
from sim.family import Request
from sim.kernel import Contraction, VectorWork
from sim.result import Layer, Result, Traffic
from sim.timeline import CAUSES
from sim.version import __version__

ON_CHIP = "on_chip"
"""The memory blocks of the fabric, as results name them."""
BLOCK_BYTES, BLOCK_BITS = 2304, 36
"""A memory block: 18 Kib, read 36 bits at a time (AMD UG573)."""
ABSENT = "look-up tables, wires and clocks of the fabric"
Counts = dict[tuple[str, str], float]


@dataclass
class Account:
    """The accounts of one run. `change`: cycles to reconfigure from one part to the next."""

    request: Request
    images: int
    runs: Sequence[PartRun]
    change: int
    places: Places
    costs: dict[tuple[str, str], Cost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chip, self.table = self.request.chip, energy.load(self.request.chip.technology)
        fabric = self.chip.fabric
        assert fabric is not None  # who runs on one has one
        self.fabric: Fabric = fabric
        self.memory = OffChip(self.chip, fabric, self.runs, self.places)
        formats = self.chip.precision
        sram = self.table.sram(BLOCK_BYTES, BLOCK_BITS)
        self.leakage = sram.leakage_watts
        self.costs["fabric", "mac"] = self.table.mac(formats.input, formats.weight, formats.partial_sum)
        self.costs[ON_CHIP, "read"], self.costs[ON_CHIP, "write"] = sram.read, sram.write
        if isinstance(self.chip.memory, Simple):
            self.costs[PORT, "read"], self.costs[PORT, "write"] = self.table.dram(self.chip.memory.technology)
        elif isinstance(self.chip.memory, Dram):
            self.costs |= dram_costs(self.chip.memory)

    @cached_property
    def begins(self) -> list[int]:
        """The cycle at which each part begins, its weights loaded, and at the end that of the end of the last."""
        before = [load + (self.change if index else 0) for index, load in enumerate(self.memory.load_cycles)]
        ends = [0, *(run.outcome.cycles for run in self.runs)]
        return list(accumulate(end + load for end, load in zip(ends, [*before, 0], strict=True)))

    def result(self) -> Result:
        """Return the common result."""
        cycles = self.begins[-1]
        seconds = cycles / self.chip.clock
        layers, counts = [], Counts()
        for index, run in enumerate(self.runs):
            for stage, fold in _pairs(run):
                layer, acted = self._layer(index, run, stage, fold)
                layers.append(layer)
                for key, amount in acted.items():
                    counts[key] = counts.get(key, 0) + amount
        layers = self.memory.share_out(layers, counts, seconds)
        traffic = _sum(layer.traffic_bytes for layer in layers)
        moved = sum(sum(operands.values()) for operands in traffic.get(PORT, {}).values())
        blocks = max((run.part.plan.cost.bram18 + run.fifos.bram18 for run in self.runs), default=0)
        leaking = {ON_CHIP: blocks * self.leakage} if self.leakage is not None and self.chip.bounded else {}
        spent = energy.account(counts, self.costs, leaking, seconds)
        macs = sum(layer.macs for layer in layers)
        used, slots = (sum(self.slots(stage, fold)[i] for run in self.runs for stage, fold in _pairs(run))
                       for i in (0, 1))  # fmt: skip
        return Result(
            arch=self.chip.name, workload=self.request.graph.name, clock_hz=self.chip.clock, cycles=cycles,
            seconds=seconds, macs=macs, utilization=macs / (self._peak() * cycles) if cycles else 0.0,
            mapping_efficiency=used / slots if slots else 0.0, units=dict(self._units()),
            traffic_bytes=traffic,
            energy_pj={"total": spent.total_pj, "by_component": spent.by_component, "by_action": spent.by_action},
            buffers=self._buffers(blocks), dram=self.memory.statistics(moved, seconds), layers=tuple(layers),
            not_modelled=(*({**entry, "affects": "cycles"} for entry in self.request.missing),
                          {"what": f"energy of {ABSENT}", "where": [self.chip.unit_name(Fabric)], "affects": "energy"}),
            provenance={"version": __version__, **self.request.provenance}, convention="stream",
            compulsory_bytes=self._compulsory(), channels=dict(self._channels()), fabric=self._summary(),
        )  # fmt: skip

    def _peak(self) -> int:
        """Return the products a cycle of the widest part; lanes where there are no products."""
        wide = [sum(fold.macs for stage, fold in _pairs(run) if stage.products) for run in self.runs]
        return max(*wide, 1)

    def slots(self, stage: Stage, fold: Fold) -> tuple[int, int]:
        """Return the multiplier cycles of an image that work on products, and all of them."""
        return (stage.macs, fold.cycles * fold.macs) if stage.products else (0, 0)

    def _layer(self, index: int, run: PartRun, stage: Stage, fold: Fold) -> tuple[Layer, Counts]:
        causes, start, end = self._causes(run, stage.name)
        counts, traffic = self.actions(stage), self._traffic(index, run, stage, fold)
        for memory, ways in traffic.items():
            for way, operands in ways.items():
                bits = 8 * sum(operands.values())
                if bits and (memory, way) in self.costs:
                    counts[memory, way] = bits if memory == PORT else bits / BLOCK_BITS
        spent = energy.account(counts, self.costs, {}, 0.0)
        macs = sum(kernel.macs for kernel in stage.task.kernels if isinstance(kernel, Contraction))
        used, slots = self.slots(stage, fold)
        layer = Layer(
            name=stage.name, op=stage.task.op, unit=stage.name, start=self.begins[index] + start, cycles=end - start,
            macs=macs, utilization=macs / (fold.macs * (end - start)) if macs else 0.0,
            mapping_efficiency=used / slots if slots else 0.0, compute_cycles=causes["compute"],
            bound=max(CAUSES, key=lambda cause: causes[cause]), causes=causes, traffic_bytes=traffic,
            energy_pj=spent.total_pj, energy_by_component=spent.by_component, fused=tuple(stage.task.fused),
            mapping={"pe": fold.pe, "simd": fold.simd, "interval": fold.cycles, "weights": _where(run, stage, fold)},
        )  # fmt: skip
        return layer, counts

    def _causes(self, run: PartRun, name: str) -> tuple[dict[str, int], int, int]:
        """Return the cycles of a unit by cause between its first token and its end, and both ends."""
        net, found = list(run.graph.units), run.outcome
        index, start = net.index(name), run.starts[name]
        unit, end = run.graph.units[name], run.outcome.times[index]
        causes = dict.fromkeys(CAUSES, 0)
        for at, channel in enumerate(run.graph.channels):
            if channel in unit.channels("pop", "read"):
                causes["wait_weight" if channel.endswith(".weight_words") else "wait_input"] += found.empty[at]
            if channel in unit.channels("push"):
                causes["wait_output_space"] += found.full[at]
        waited = found.memory.waited.get(index, 0) if found.memory else 0
        causes["wait_port"] = waited
        first = "wait_input" if causes["wait_input"] >= start else "wait_weight"
        causes[first] -= start
        causes["compute"] = end - start - sum(causes.values())
        return causes, start, end

    def _units(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every unit: kind, cycles by cause over the whole run, the share in which it computes, its width."""
        total, words, bursts = self.begins[-1], sum(self.memory.loads), 0
        for run in self.runs:
            folds = {stage.name: fold for stage, fold in _pairs(run)}
            for name, unit in run.graph.units.items():
                causes, start, end = self._causes(run, name)
                causes["idle"] += total - (end - start)
                width = {"pe": folds[name].pe, "simd": folds[name].simd} if name in folds else {}
                share = causes["compute"] / total if total else 0.0
                yield name, {"kind": unit.kind, "cycles": causes, "utilization": share, **width}
            for traffic in run.outcome.memory.traffic.values() if run.outcome.memory else ():
                words, bursts = words + traffic.words, bursts + traffic.bursts
        if off_chip(self.chip) is not None:
            cycles = dict.fromkeys(CAUSES, 0) | {"compute": words, "idle": total - words}
            share = words / total if total else 0.0
            yield PORT, {"kind": "channel", "cycles": cycles, "utilization": share, "bursts": bursts}

    def _channels(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for run in self.runs:
            for at, (name, channel) in enumerate(run.graph.channels.items()):
                full, empty = run.outcome.full[at], run.outcome.empty[at]
                yield name, {
                    "producer": run.graph.producer[name], "consumer": run.graph.consumer[name],
                    "depth": channel.depth, "buffer": run.graph.buffer(name), "bits": channel.bits,
                    "tokens": run.outcome.pushed[at], "peak_occupancy": run.outcome.peak[at],
                    "stall_cycles": full + empty, "full_cycles": full, "empty_cycles": empty,
                }  # fmt: skip

    def actions(self, stage: Stage) -> Counts:
        """Return the products and lane operations of a stage over all images."""
        counts: Counts = {}
        if stage.products:
            counts["fabric", "mac"] = stage.macs * self.images
        for work in (*stage.task.kernels, *stage.task.epilogue):
            for operation, count in work.operations if isinstance(work, VectorWork) else ():
                cost = self.table.lane(operation, self.chip.precision.partial_sum)
                self.costs.setdefault(("fabric", operation), cost)
                counts["fabric", operation] = counts.get(("fabric", operation), 0) + count
        return counts

    def _traffic(self, index: int, run: PartRun, stage: Stage, fold: Fold) -> Traffic:
        """Return the bytes that a stage moves: words over the port, and what its memory blocks read and write.

        An image brings every weight once for each vector, and every input of a vector once for each pass.
        """
        moved: Traffic = {}

        def add(memory: str, way: str, operand: str, count: float) -> None:
            if count:
                place = moved.setdefault(memory, {"read": {}, "write": {}})[way]
                place[operand] = place.get(operand, 0) + ceil(count)

        for unit, layer in run.wiring.layer.items():
            made = run.graph.units[unit]
            if layer == stage.name and made.bursts is not None:
                way = "write" if made.bursts.write else "read"
                add(PORT, way, _operand(stage, unit, way), made.firings * run.wiring.word)
        if self.memory.loads[index] and not fold.streamed:
            add(PORT, "read", "weight", stage.matrix * self.chip.bits("weight") / 8)
        for way, operand, count in self.on_chip(stage, fold):
            add(ON_CHIP, way, operand, count)
        return moved

    def on_chip(self, stage: Stage, fold: Fold) -> Iterator[tuple[str, str, int]]:
        """Yield the bytes that memory blocks read and write for a stage: (way, operand, bytes), over all images."""
        if not self.chip.bounded:
            return
        inputs = sum(source.tokens * source.width for source in stage.sources) * self.images
        passes = [p.rows * p.depth * p.groups * ceil(p.columns / fold.pe) for p in stage.products]
        read = sum(passes) * self.images if stage.products else inputs
        weights = 0 if fold.streamed else self.images * stage.vectors * stage.matrix
        yield "read", "weight", ceil(weights * self.chip.bits("weight") / 8)
        yield "write", "input", ceil(inputs * self.chip.bits("input") / 8)
        yield "read", "input", ceil(read * self.chip.bits("input") / 8)

    def _buffers(self, blocks: int) -> dict[str, dict[str, int]]:
        if not self.chip.bounded or self.fabric.bram18 is None:
            return {}
        uram = max((run.part.plan.cost.uram for run in self.runs), default=0)
        sizes = (self.fabric.bram18 + 16 * self.fabric.uram, blocks + 16 * uram)
        return {ON_CHIP: {"capacity_bytes": sizes[0] * BLOCK_BYTES, "peak_bytes": sizes[1] * BLOCK_BYTES}}

    def _compulsory(self) -> dict[str, int]:
        found = dict.fromkeys(("weight", "input", "output"), 0)
        for task in self.request.lowered.tasks:
            for kernel in task.kernels:
                if isinstance(kernel, Contraction):
                    right = kernel.right_is
                    found[right] = found.get(right, 0) + self.chip.bytes_of(right, kernel.right_elements)
                    found["input"] += self.chip.bytes_of("input", kernel.input_elements)
                    found["output"] += self.chip.bytes_of("output", kernel.output_elements)
        return found

    def _summary(self) -> dict[str, Any]:
        """Return pattern, blocks, and for each part its slowest stage with the stages before and behind it."""
        budget = {name: getattr(self.fabric, name) for name in ("dsp", "lut", "bram18", "uram")}
        return {
            "pattern": self.fabric.pattern, "images": self.images, "budget": budget,
            "reconfiguration_cycles": self.change, "parts": [self._part(index) for index in range(len(self.runs))],
        }  # fmt: skip

    def _part(self, index: int) -> dict[str, Any]:
        run = self.runs[index]
        pairs = _pairs(run)
        slow = max(range(len(pairs)), key=lambda i: pairs[i][1].cycles)
        blocks: Blocks = run.part.plan.cost + run.fifos
        traffic = run.outcome.memory.traffic.values() if run.outcome.memory else ()
        words = ceil(sum(t.words for t in traffic) / self.images)
        found = _slow(pairs[slow])
        if words > found["interval"]:
            found = {"layer": PORT, "interval": words, "pe": 0, "simd": 0}
        beside = (slow - 1, slow, slow + 1) if found["layer"] == PORT else (slow - 1, slow + 1)
        near = [i for i in beside if 0 <= i < len(pairs)]
        return {
            "layers": [stage.name for stage, _ in pairs], "start": self.begins[index],
            "cycles": run.outcome.cycles, "interval": found["interval"], "loaded_words": self.memory.loads[index],
            "used": asdict(blocks), "fifos": asdict(run.fifos),
            "port_words": words, "bottleneck": found, "neighbours": [_slow(pairs[i]) for i in near],
        }  # fmt: skip


def _slow(pair: tuple[Stage, Fold]) -> dict[str, Any]:
    stage, fold = pair
    return {"layer": stage.name, "interval": fold.cycles, "pe": fold.pe, "simd": fold.simd}


def _operand(stage: Stage, unit: str, way: str) -> str:
    """Return what a unit at the port moves for a stage."""
    if way == "write":
        return stage.task.result
    if unit.endswith(".weights"):
        return "weight"
    return stage.sources[int(unit.removeprefix(f"{stage.name}.load"))].operand


def _where(run: PartRun, stage: Stage, fold: Fold) -> str:
    if not stage.matrix:
        return "none"
    if fold.streamed:
        return "streamed"
    uram = run.part.stages.index(stage) in run.part.plan.uram
    return "uram" if uram else "bram18" if fold.weights.bram18 else "lut"


def _pairs(run: PartRun) -> list[tuple[Stage, Fold]]:
    return list(zip(run.part.stages, run.part.plan.folds, strict=True))


def _sum(parts: Iterator[Traffic] | Any) -> Traffic:
    total: Traffic = {}
    for part in parts:
        for memory, ways in part.items():
            for way, operands in ways.items():
                place = total.setdefault(memory, {"read": {}, "write": {}})[way]
                for operand, count in operands.items():
                    place[operand] = place.get(operand, 0) + count
    return total
