"""The accounts of a run on units that share a chip: what arrays and lanes did, and what the others did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sim import energy
from sim.accounting import Book, Counts
from sim.arch import Arch
from sim.frontend import Stage
from sim.graph import Graph
from sim.kernel import Contraction
from sim.layers import Lowered, Task
from sim.offload.job import Deeds
from sim.plan import Plan
from sim.result import Layer, Result, Traffic
from sim.timeline import CAUSES, Timeline
from sim.totals import Totals


class SharedBook(Book):
    """Keeps the accounts of one run. `deeds`: what layers did on units beside arrays and lanes, by number."""

    def __init__(self, chip: Arch, graph: Graph) -> None:
        super().__init__(chip, graph)
        self.deeds: Mapping[int, Deeds] = {}
        self.peak = 0
        """The most MACs a cycle of all units beside arrays, at work or not."""

    def result(
        self, lowered: Lowered, stages: Sequence[Stage], timeline: Timeline, missing: list[Any], provenance: Any
    ) -> Result:
        """Return the whole account of a run; utilization is that of the products all units could have done."""
        found = super().result(lowered, stages, timeline, missing, provenance)
        peak = self.chip.peak * self._fastest() + self.peak
        used, slots = (sum(getattr(d, name) for d in self.deeds.values()) for name in ("used", "slots"))
        arrays = [layer for index, layer in enumerate(found.layers) if index not in self.deeds]
        efficient = found.mapping_efficiency if any(layer.macs for layer in arrays) else 0.0
        return replace(
            found, utilization=found.macs / (peak * found.cycles) if peak and found.cycles else 0.0,
            mapping_efficiency=efficient or (used / slots if slots else 0.0),
        )  # fmt: skip

    def _fastest(self) -> int:
        """Return the rate of the fastest products that the formats of the chip allow."""
        return max(self.chip.seen(right).mac_rate for right in ("weight", "kv"))

    def _layer(
        self, index: int, task: Task, plans: list[tuple[Plan, Totals]], timeline: Timeline, lowered: Lowered
    ) -> tuple[Layer, Counts]:
        deeds = self.deeds.get(index)
        if deeds is None:
            return super()._layer(index, task, plans, timeline, lowered)
        traffic = _moved(plans[0][1], deeds)
        counts: Counts = dict(deeds.counts)
        self._count_accesses(counts, "dram", traffic.get("dram", {}))
        causes = timeline.ledgers[task.unit].of_layer(index)
        start, end = timeline.spans[index]
        macs = sum(kernel.macs for kernel in task.kernels if isinstance(kernel, Contraction))
        spent = energy.account(counts, self.costs, {}, 0.0)
        return Layer(
            name=task.name, op=task.op, unit=task.unit, start=start, cycles=end - start, macs=macs,
            utilization=macs / (deeds.peak * (end - start)) if deeds.peak and end > start else 0.0,
            mapping_efficiency=deeds.used / deeds.slots if deeds.slots else 0.0,
            compute_cycles=causes.get("compute", 0), bound=max(CAUSES, key=lambda c: causes.get(c, 0)),
            causes=causes, traffic_bytes=traffic, energy_pj=spent.total_pj, energy_by_component=spent.by_component,
            mapping=dict(deeds.mapping), fused=tuple(task.fused),
        ), counts  # fmt: skip


def _moved(total: Totals, deeds: Deeds) -> Traffic:
    """Return what a job moved: to and from memory, and in the memories of its unit."""
    traffic: Traffic = {memory: {way: dict(o) for way, o in ways.items()} for memory, ways in deeds.traffic.items()}
    loaded = total.load.get("input", 0)
    stored = total.store.get("output", 0)
    cached, joining = min(deeds.cached, loaded), min(deeds.joining, stored)  # nothing moves where memory is ideal
    read = {"weight": total.load.get("weight", 0) + total.load.get("parameter", 0),
            "input": loaded - cached, "kv": cached}  # fmt: skip
    ways = {"read": read, "write": {"output": stored - joining, "kv": joining}}
    found = {way: {o: count for o, count in operands.items() if count} for way, operands in ways.items()}
    return {**({"dram": found} if any(found.values()) else {}), **traffic}
