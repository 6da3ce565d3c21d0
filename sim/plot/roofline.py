"""The roofline with the layers on it (Williams, Waterman, Patterson, CACM 52(4), 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.plot._style import MARKS, PALETTE, axis_of, figure_of, title
from sim.report.losses import peak_bandwidth
from sim.result import Layer, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def roofline(result: Result, axis: Axes | None = None) -> Figure:
    """Return the layers' rates (MACs a second) over their arithmetic intensity (MACs an off-chip byte), below the
    chip's two roofs; the area of a point is the layer's share of the cycles."""
    axis = axis_of(axis, 7.0, 4.5)
    layers = [layer for layer in result.layers if layer.macs and layer.cycles]
    peak = result.macs / result.utilization / result.cycles * result.clock_hz if result.utilization else 0.0
    bandwidth = peak_bandwidth(result)
    known = [layer for layer in layers if _bytes(layer)]
    for bound in dict.fromkeys(layer.bound for layer in known):
        group = [layer for layer in known if layer.bound == bound]
        index = list(dict.fromkeys(layer.bound for layer in known)).index(bound)
        axis.scatter(
            [layer.macs / _bytes(layer) for layer in group],
            [layer.macs / layer.cycles * result.clock_hz / 1e9 for layer in group],
            [20 + 400 * layer.cycles / result.cycles for layer in group],
            color=PALETTE[index % len(PALETTE)], marker=MARKS[index % len(MARKS)], alpha=0.75, edgecolors="white",
            label=bound.replace("_", " "),
        )  # fmt: skip
    if known and peak:
        _roofs(axis, [layer.macs / _bytes(layer) for layer in known], peak, bandwidth)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("arithmetic intensity, MACs / off-chip byte")
    axis.set_ylabel("10⁹ MACs / s")
    title(axis, f"{result.workload} on {result.arch}: roofline", 4)
    return figure_of(axis)


def _roofs(axis: Axes, intensities: list[float], peak: float, bandwidth: float) -> None:
    reach = np.geomspace(min(intensities) / 2, max(intensities) * 2, 200)
    roof = np.minimum(peak, reach * bandwidth) if bandwidth else np.full(reach.size, peak)
    axis.plot(reach, roof / 1e9, color="black", linewidth=1.2)
    text = f"{peak / 1e9:,.4g}·10⁹ MACs/s" + (f", {bandwidth / 1e9:,.4g} GB/s" if bandwidth else "")
    axis.annotate(text, (reach[-1], roof[-1] / 1e9), (0, 4), textcoords="offset points", ha="right", fontsize=8)


def _bytes(layer: Layer) -> int:
    return sum(sum(operands.values()) for operands in layer.traffic_bytes.get("dram", {}).values())
