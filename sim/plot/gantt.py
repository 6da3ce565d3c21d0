"""Who did what when: the units of a run over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.display import CAUSE_COLOURS, CAUSE_HATCHES
from sim.errors import ConfigError, Problem
from sim.plot._style import area, axis_of, figure_of, title
from sim.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def gantt(result: Result, axis: Axes | None = None) -> Figure:
    """Return a bar for each unit, coloured by cause over time (µs); ConfigError where the run was not recorded.

    `repeats` are iterations of a settled loop, each like the one before.
    """
    if result.timeline is None:
        raise ConfigError(Problem("the result has no timeline; run it with record=True"))
    ledgers = result.timeline.ledgers
    axis = axis_of(axis, 9.0, 1.4 + 0.5 * len(ledgers))
    scale = 1e6 / result.clock_hz
    for row, ledger in enumerate(ledgers.values()):
        for cause, colour in CAUSE_COLOURS.items():
            spans = [(a * scale, (b - a) * scale) for a, b, _, why in ledger.slices or () if why == cause]
            if spans:
                look = area(colour, CAUSE_HATCHES[cause])
                axis.broken_barh(spans, (row - 0.4, 0.8), label=cause.replace("_", " "), **look)
    axis.set_yticks(range(len(ledgers)), list(ledgers))
    axis.invert_yaxis()
    axis.set_xlabel("µs")
    axis.set_xlim(0, result.cycles * scale)
    _once(axis)
    title(axis, f"{result.workload} on {result.arch}: who did what when")
    return figure_of(axis)


def _once(axis: Axes) -> None:
    """Name each cause once in the legend."""
    seen: set[str] = set()
    for handle in axis.get_children():
        label = str(handle.get_label())
        if label in seen and not label.startswith("_"):
            handle.set_label("_" + label)
        seen.add(label)
