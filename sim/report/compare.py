"""Results side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from sim import textfile
from sim.errors import ConfigError, Problem
from sim.report.differences import explain
from sim.report.summary import energy, off_chip
from sim.report.table import Column, table
from sim.result import Result
from sim.units import show_bytes, show_si

Measure = tuple[str, Callable[[Result], float], Callable[[float], str]]

MEASURES: tuple[Measure, ...] = (
    ("cycles", lambda r: r.cycles, lambda v: f"{v:,.0f}"),
    ("time", lambda r: r.seconds, lambda v: show_si(v, "s")),
    ("utilization", lambda r: r.utilization, lambda v: f"{v:.1%}"),
    ("off-chip", lambda r: off_chip(r.traffic_bytes), show_bytes),
    ("energy", lambda r: r.energy_pj["total"], energy),
)
"""Title, the figure, and how it is written."""


def load_result(file: str | Path) -> Result:
    """Return the result in `file`; ConfigError where it cannot be read or is none."""
    try:
        data = json.loads(textfile.read(file))
    except ValueError as error:
        raise ConfigError(Problem(f"is not JSON: {error}", str(file))) from None
    return Result.from_dict(data if isinstance(data, dict) else {}, str(file))


def compare(results: Sequence[tuple[str, Result]], width: int) -> str:
    """Return a line for each named result with ratios to the first, and why each differs from it, layer by layer."""
    columns = [Column("result", right=False), Column("run", right=False, spare=1)]
    for title, _, _ in MEASURES:
        columns += [Column(title), Column("")]
    totals = table(columns, [_row(name, result, results[0][1]) for name, result in results], width)
    return "\n".join([totals, *(explain(results[0], other, width) for other in results[1:])])


def _row(name: str, result: Result, first: Result) -> list[str]:
    cells = [name, f"{result.workload} on {result.arch}"]
    for _, figure, written in MEASURES:
        value, base = figure(result), figure(first)
        cells += [written(value), "" if result is first or not base else f"x{value / base:.3g}"]
    return cells
