"""Pictures with a bar for each layer: cycles by cause, energy, off-chip traffic, distance from the peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.display import CAUSE_COLOURS, CAUSE_HATCHES
from sim.plot._style import HATCHES, PALETTE, area, axis_of, figure_of, name_layers, scaled, title
from sim.result import Layer, Result
from sim.timeline import CAUSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ"))


def cycles(result: Result, axis: Axes | None = None) -> Figure:
    """Return the cycles of each layer's unit as a stack by cause: what is not `compute` is lost."""
    axis = axis_of(axis)
    stacks = {cause: [layer.causes.get(cause, 0) for layer in result.layers] for cause in CAUSES}
    _stack(axis, stacks, {cause: area(CAUSE_COLOURS[cause], CAUSE_HATCHES[cause]) for cause in CAUSES}, "cycles")
    name_layers(axis, [layer.name for layer in result.layers])
    title(axis, f"{result.workload} on {result.arch}: cycles by cause")
    return figure_of(axis)


def traffic(result: Result, axis: Axes | None = None) -> Figure:
    """Return the off-chip bytes of each layer as a stack by operand, reads and writes told apart."""
    axis = axis_of(axis)
    kinds = sorted({(way, operand) for layer in result.layers for way, operand, _ in _moved(layer)})
    stacks = {
        f"{operand} {way}": [sum(n for w, o, n in _moved(layer) if (w, o) == (way, operand)) for layer in result.layers]
        for way, operand in kinds
    }
    looks = [area(colour, hatch) for colour, hatch in zip(PALETTE, HATCHES, strict=True)]
    _stack(axis, stacks, {name: looks[index % len(looks)] for index, name in enumerate(stacks)}, "B")
    name_layers(axis, [layer.name for layer in result.layers])
    title(axis, f"{result.workload} on {result.arch}: off-chip traffic")
    return figure_of(axis)


def energy(result: Result, axis: Axes | None = None) -> Figure:
    """Return the energy of the run by component, the largest first, with shares."""
    axis = axis_of(axis, 7.0, 3.0)
    parts = sorted(result.energy_pj["by_component"].items(), key=lambda part: part[1])
    total = result.energy_pj["total"] or 1.0
    joules = max((value for _, value in parts), default=0.0) * 1e-12
    divisor, unit = next((d, u) for d, u in JOULES if joules >= d or u == "pJ")
    values = [value * 1e-12 / divisor for _, value in parts]
    bars = axis.barh([name for name, _ in parts], values, color=PALETTE[0])
    axis.bar_label(bars, [f" {value / total:.1%}" for _, value in parts], fontsize=8)
    axis.set_xlabel(unit)
    axis.margins(x=0.12)
    title(axis, f"{result.workload} on {result.arch}: energy by component")
    return figure_of(axis)


def efficiency(result: Result, axis: Axes | None = None) -> Figure:
    """Return each layer's mapping efficiency and, below it, its utilization: the gap is time, not shape."""
    axis = axis_of(axis)
    layers = [layer for layer in result.layers if layer.macs]
    places = np.arange(len(layers))
    mapped = [layer.mapping_efficiency * 100 for layer in layers]
    used = [layer.utilization * 100 for layer in layers]
    axis.bar(places, mapped, 0.8, color="#CFE3F1", label="mapping efficiency")
    axis.bar(places, used, 0.8, color=PALETTE[0], label="utilization")
    axis.axhline(result.utilization * 100, color="black", linewidth=1, linestyle="--", label="utilization of the run")
    axis.set_ylim(0, 102)
    axis.set_ylabel("% of the PEs' cycles")
    name_layers(axis, [layer.name for layer in layers])
    title(axis, f"{result.workload} on {result.arch}: where utilization goes")
    return figure_of(axis)


def waterline(result: Result, axis: Axes | None = None) -> Figure:
    """Return the utilization of each layer over its share of the run's cycles: areas are MACs, the line their level.

    Where layers overlap in time, their shares are those of the sum of their cycles.
    """
    axis = axis_of(axis)
    whole = sum(layer.cycles for layer in result.layers) or 1
    edges = np.cumsum([0.0, *(100 * layer.cycles / whole for layer in result.layers)])
    used = [100 * layer.utilization for layer in result.layers]
    axis.bar(edges[:-1], used, np.diff(edges), align="edge", color=PALETTE[0], edgecolor="white", linewidth=0.3,
             label="utilization of a layer")  # fmt: skip
    level = 100 * result.utilization
    axis.axhline(level, color=PALETTE[5], linestyle="--", label=f"of the run: {level:.1f}%")
    for index in sorted(range(len(used)), key=lambda i: used[i] - np.diff(edges)[i])[:3]:
        place = (edges[index] + edges[index + 1]) / 2
        axis.annotate(result.layers[index].name, (place, used[index]), (place, min(used[index] + 14, 92)), fontsize=8,
                      ha="center", arrowprops={"arrowstyle": "-", "linewidth": 0.6})  # fmt: skip
    axis.set(xlim=(0, 100), ylim=(0, 102), xlabel="% of the layers' cycles, in order", ylabel="% of the PEs' cycles")
    title(axis, f"{result.workload} on {result.arch}: where the level comes from")
    return figure_of(axis)


def _moved(layer: Layer) -> list[tuple[str, str, int]]:
    ways = layer.traffic_bytes.get("dram", {})
    return [(way, operand, count) for way, operands in ways.items() for operand, count in operands.items()]


def _stack(axis: Axes, stacks: Mapping[str, Sequence[int]], looks: Mapping[str, Mapping[str, Any]], unit: str) -> None:
    """Draw bars on top of each other; parts that are zero everywhere are left out."""
    bottom = np.zeros(max((len(values) for values in stacks.values()), default=0))
    tops = np.sum([np.array(values, float) for values in stacks.values()], axis=0) if stacks else np.zeros(1)
    divisor, named = scaled(float(tops.max(initial=0.0)), unit)
    for name, values in stacks.items():
        if any(values):
            heights = np.array(values) / divisor
            axis.bar(np.arange(len(values)), heights, 0.8, bottom, label=name.replace("_", " "), **looks[name])
            bottom = bottom + heights
    axis.set_ylabel(named)
