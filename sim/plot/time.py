"""Pictures over time, in windows of equal length: power by component, who works when, how full buffers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.errors import ConfigError, Problem
from sim.plot._style import HATCHES, LINES, PALETTE, area, axis_of, figure_of, title
from sim.report.power import power as power_of
from sim.report.windows import by_window, edges_of, kept, levels
from sim.result import Result
from sim.units import show_bytes, show_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOT_RECORDED = "the result has no timeline; run it with record=True"
NO_PARTS = "no layer of the result says what its components took, so there is no power over time"


def power(result: Result, axis: Axes | None = None) -> Figure:
    """Return the power (W) of each component over time (µs), stacked, with the average of the run as a line.

    ConfigError where the run was not recorded. See `sim.report.power` for what is spread over what.
    """
    found = power_of(result)
    if found is None:
        raise ConfigError(Problem(NOT_RECORDED if result.timeline is None else NO_PARTS))
    axis = axis_of(axis)
    scale, unit = (1e3, "mW") if found.peak < 1 else (1.0, "W")
    edges = found.edges * 1e6 / result.clock_hz
    parts = sorted(found.watts.items(), key=lambda part: -float(part[1].sum()))
    bottom = np.zeros(len(edges) - 1)
    for index, (name, watts) in enumerate(parts):
        top = bottom + watts * scale
        look = area(PALETTE[index % len(PALETTE)], HATCHES[index % len(HATCHES)])
        axis.stairs(top, edges, baseline=bottom, fill=True, label=name, **look)
        bottom = top
    average = show_si(found.average, "W") if found.average else "0 W"
    axis.axhline(found.average * scale, color="black", linewidth=1, linestyle="--", label=f"average {average}")
    axis.set(xlabel="µs", ylabel=unit, xlim=(0, edges[-1]), ylim=(0, found.peak * scale * 1.05 or 1.0))
    title(axis, f"{result.workload} on {result.arch}: power")
    return figure_of(axis)


def heatmap(result: Result, axis: Axes | None = None) -> Figure:
    """Return how much of the time each unit works (computes, or moves data), unit by unit over time (µs).

    ConfigError where the run was not recorded.
    """
    if result.timeline is None:
        raise ConfigError(Problem(NOT_RECORDED))
    ledgers = result.timeline.ledgers
    axis = axis_of(axis, 9.0, 1.6 + 0.45 * len(ledgers))
    edges = edges_of(result.cycles)
    shares = [100 * by_window(ledger, edges)["compute"] / np.diff(edges) for ledger in ledgers.values()]
    micro = edges * 1e6 / result.clock_hz
    rows = np.arange(len(ledgers) + 1) - 0.5
    shown = axis.pcolormesh(micro, rows, np.array(shares), cmap="cividis", vmin=0, vmax=100)
    figure = figure_of(axis)
    figure.colorbar(shown, ax=axis, label="% of the time at work", pad=0.01)
    axis.set_yticks(range(len(ledgers)), list(ledgers))
    axis.invert_yaxis()
    axis.set_xlabel("µs")
    title(axis, f"{result.workload} on {result.arch}: who works when")
    return figure


def occupancy(result: Result, axis: Axes | None = None) -> Figure:
    """Return the bytes in each buffer over time (µs), as a share of its capacity: lines the most in a window, areas the
    mean; activations that are kept for later layers included. ConfigError where the run was not recorded.
    """
    if result.timeline is None:
        raise ConfigError(Problem(NOT_RECORDED))
    axis = axis_of(axis)
    edges = edges_of(result.cycles)
    micro = edges * 1e6 / result.clock_hz
    for index, (name, buffer) in enumerate(result.buffers.items()):
        means, most = levels(result.timeline, name, edges)
        stays, scale = kept(result, name, edges), 100 / buffer["capacity_bytes"]
        colour = PALETTE[index % len(PALETTE)]
        axis.stairs((means + stays) * scale, micro, fill=True, color=colour, alpha=0.25)
        label = f"{name}, {show_bytes(buffer['capacity_bytes'])}"
        axis.stairs((most + stays) * scale, micro, color=colour, linestyle=LINES[index % len(LINES)], linewidth=1.4,
                    label=label)  # fmt: skip
    axis.set(xlabel="µs", ylabel="% of the capacity", xlim=(0, micro[-1]), ylim=(0, 104))
    title(axis, f"{result.workload} on {result.arch}: how full buffers are")
    return figure_of(axis)
