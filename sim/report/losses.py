"""Why a layer is slower than its array's peak, in a sentence: the cycles it loses, by cause."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sim.result import Layer, Result

REASONS = {
    "compute": "on PEs that the mapping leaves empty",
    "in_place": "on softmax in the PEs and on PEs that tiles leave empty",
    "lanes": "in lane operations of the vector unit",
    "fill": "filling the array",
    "drain": "draining the array",
    "wait_input": "waiting for inputs from memory",
    "wait_weight": "waiting for weights from memory",
    "wait_tier": "waiting for a slower memory tier",
    "wait_output_space": "waiting for room for outputs",
    "wait_port": "waiting for ports of on-chip buffers",
    "wait_dependency": "waiting for an earlier step's result",
    "idle": "without work",
    "outside": "before and after the unit's own work, loading and storing",
}
"""What each cause of a lost cycle is called; `outside` is the span that the unit's causes do not cover."""

LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Loss:
    """The cycles of a layer beyond its compute bound (MACs / its unit's peak a cycle), and the share of each reason."""

    layer: Layer
    cycles: int
    shares: tuple[tuple[str, float], ...]

    def sentence(self) -> str:
        """Return the loss in words, the largest reason first, reasons below 1 % left out."""
        told = ", ".join(f"{share:.0%} {REASONS[reason]}" for reason, share in self.shares if share >= LEAST_SHARE)
        return f"{self.layer.name} loses {self.cycles:,} of {self.layer.cycles:,} cycles: {told or 'to rounding'}"


def peak_macs(result: Result) -> int:
    """Return the most MACs a cycle of the chip, from the definition of utilization; 0 where it did none."""
    slots = result.utilization * result.cycles
    return round(result.macs / slots) if slots else 0


def peak_bandwidth(result: Result) -> float:
    """Return the off-chip peak in bytes a second, as the result's own rate and share give it; 0 where it moved none."""
    memory = result.dram.get("dram", {})
    share = memory.get("bandwidth_utilization", 0.0)
    return float(memory["bandwidth_gbps"] * 1e9 / share) if share else 0.0


def worst(result: Result, count: int = 3) -> list[Loss]:
    """Return the layers that lose the most cycles, the worst first."""
    losses = [_loss(layer) for layer in result.layers]
    return sorted((loss for loss in losses if loss.cycles > 0), key=lambda loss: -loss.cycles)[:count]


def _loss(layer: Layer) -> Loss:
    bound = ceil(round(layer.utilization * layer.cycles, 6))  # MACs / peak of its unit, as utilization is defined
    lost = layer.cycles - bound
    parts = {cause: cycles for cause, cycles in layer.causes.items() if cause != "compute"}
    attends = layer.mapping is not None and "attention" in layer.mapping
    spent = "in_place" if attends else "compute"
    parts[spent if layer.macs else "lanes"] = max(0, layer.causes.get("compute", 0) - bound)
    parts["outside"] = max(0, lost - sum(parts.values()))
    total = sum(parts.values()) or 1
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return Loss(layer, lost, tuple((reason, cycles / total) for reason, cycles in ordered))
