"""The designs of a sweep, and those that no other beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.errors import ConfigError, Problem
from sim.plot._style import PALETTE, axis_of, figure_of, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.sweep import Report

UNITS = {
    "cycles": "cycles", "seconds": "s", "energy_pj": "pJ", "area_mm2": "mm²", "edp": "J s", "utilization": "share",
}  # fmt: skip
"""Of the figures that have one; others are counts."""


def pareto(report: Report, axis: Axes | None = None) -> Figure:
    """Return all designs of a sweep over its first two objectives, and the front of these two as a line.

    ConfigError where the sweep has fewer than two objectives, or nothing was simulated.
    """
    if len(report.objectives) < 2 or not report.done:
        what = "one objective" if len(report.objectives) < 2 else "no simulated design"
        raise ConfigError(Problem(f"has {what}; a front needs designs and two objectives", report.sweep.name))
    x, y = report.objectives[:2]
    costs = [(objective.cost, objective.figure) for objective in (x, y)]
    points = [(row.figures or {})[figure] for row in report.done for _, figure in costs]
    pairs = list(zip(points[::2], points[1::2], strict=True))
    ranks = [tuple(cost(row.figures or {}) for cost, _ in costs) for row in report.done]
    order = sorted(range(len(pairs)), key=lambda index: ranks[index])
    best, least = [], float("inf")
    for index in order:
        if ranks[index][1] < least:
            best.append(pairs[index])
            least = ranks[index][1]
    axis = axis_of(axis, 6.5, 4.5)
    axis.scatter([a for a, _ in pairs], [b for _, b in pairs], s=18, color="#B0B0B0", label=f"{len(pairs):,} designs")
    axis.plot([a for a, _ in best], [b for _, b in best], "o-", color=PALETTE[5], markersize=5,
              label=f"{len(best):,} that no other beats")  # fmt: skip
    axis.set(xscale="log", yscale="log")
    axis.set_xlabel(_name(x.title, x.figure))
    axis.set_ylabel(_name(y.title, y.figure))
    axis.grid(alpha=0.25, which="both")
    title(axis, f"{report.sweep.name}: {x.title} against {y.title}", 2)
    return figure_of(axis)


def _name(words: str, figure: str) -> str:
    unit = UNITS.get(figure, "")
    return words if unit in ("", words) else f"{words}, {unit}"
