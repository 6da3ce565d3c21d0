"""A sweep's report as text: how many points, the front with what bounds each design, and what each axis decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim.report.losses import REASONS
from sim.report.summary import energy
from sim.report.table import Column, table, wrap
from sim.sweep.figures import Figures
from sim.sweep.report import Report, Row
from sim.sweep.schema import is_axis
from sim.sweep.sensitivity import Sensitivity, sensitivities
from sim.units import show_si

LONGEST = 40
"""Designs of a front that are printed; all of them stand in the CSV."""

_OTHER_UNITS = ("dram", "link")


def text(report: Report, width: int) -> str:
    """Return all that `sweep` prints, in lines of `width` characters where names allow it."""
    parts = [_counts(report, width), _errors(report, width)]
    if report.done:
        parts += [_front(report, width), _sensitivity(sensitivities(report), report, width)]
    return "\n".join(part for part in parts if part)


def _counts(report: Report, width: int) -> str:
    counts = {status: report.count(status) for status in ("done", "infeasible", "failed", "skipped")}
    words = [f"{counts['done']:,} simulated"]
    words += [f"{counts['skipped']:,} skipped, as bounds prove them off the front"] * bool(counts["skipped"])
    words += [f"{counts['infeasible']:,} violate a constraint on figures"] * bool(counts["infeasible"])
    words += [f"{counts['failed']:,} failed"] * bool(counts["failed"])
    lines = wrap(f"{report.sweep.name}: {len(report.rows):,} points: {', '.join(words)}", width, "", "  ")
    for constraint, count in report.left_out.items():
        lines += wrap(f"{constraint}: leaves out {count:,}", width, "  ", "    ")
    return lines


def _errors(report: Report, width: int) -> str:
    """Return each error once, with how many points it struck and the first of them."""
    struck: dict[str, list[Row]] = {}
    for row in report.rows:
        if row.error is not None:
            struck.setdefault(row.error, []).append(row)
    common = sorted(struck.items(), key=lambda item: -len(item[1]))[:5]
    lines = [
        wrap(f"{len(rows):,} x {message} (first: point {rows[0].point})", width, "  ", "    ")
        for message, rows in common
    ]
    return "".join(["failed:\n", *lines]) if lines else ""


def _front(report: Report, width: int) -> str:
    front = report.front()
    keys = [key for key in report.rows[0].settings if len({str(row.settings[key]) for row in report.rows}) > 1]
    columns = [Column("point")]
    columns += [Column(_short(key, keys), spare=0 if is_axis(report.sweep, key) else 3) for key in keys]
    columns += [Column(o.title) for o in report.objectives]
    columns += [Column("array", spare=1), Column("memory", spare=2), Column("bound by", right=False)]
    titles = ", ".join(o.title for o in report.objectives)
    title = f"front of {titles}: {len(front):,} of {len(report.done):,} designs\n"
    rest = f"... {len(front) - LONGEST:,} more\n" if len(front) > LONGEST else ""
    return title + table(columns, [_design(row, keys, report) for row in front[:LONGEST]], width) + rest


def _design(row: Row, keys: Sequence[str], report: Report) -> list[str]:
    figures = row.figures or {}
    shown = [written(o.figure, figures[o.figure]) for o in report.objectives]
    busy = figures.get("dram.dram.bandwidth_utilization")
    return [
        str(row.point), *(str(row.settings[key]) for key in keys), *shown, f"{figures.get('utilization', 0.0):.0%}",
        "-" if busy is None else f"{busy:.0%}", bound_by(figures),
    ]  # fmt: skip


def written(figure: str, value: float) -> str:
    """Write a figure with its unit, by its name."""
    if figure.startswith("energy_pj"):
        return energy(value)
    if figure == "seconds":
        return show_si(value, "s")
    if figure == "edp":
        return f"{value:.4g} J s"
    if figure == "area_mm2":
        return f"{value:.4g} mm2"
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.4g}"


def causes(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the cycles of the busiest unit by cause, the memory channel and the link left out."""
    units: dict[str, dict[str, float]] = {}
    for name, value in figures.items():
        kind, _, rest = name.partition(".")
        unit, _, cause = rest.partition(".cycles.")
        if kind == "units" and cause and unit not in _OTHER_UNITS:
            units.setdefault(unit, {})[cause] = value
    return max(units.values(), key=lambda spent: spent.get("compute", 0.0), default={})


def bound_by(figures: Figures) -> str:
    """Say what takes most of the time of a design: the two largest causes of its busiest unit."""
    spent = causes(figures)
    total = sum(spent.values())
    largest = sorted(spent.items(), key=lambda item: -item[1])[:2]
    told = [f"{cycles / total:.0%} {_WORDS.get(cause, cause.replace('_', ' '))}" for cause, cycles in largest if cycles]
    return ", ".join(told) or "-"


_WORDS = {cause: reason.removesuffix(" from memory") for cause, reason in REASONS.items()} | {"compute": "computing"}


def _short(key: str, keys: Sequence[str]) -> str:
    """Return the last word of a key where that is enough to tell it from the others."""
    last = key.rpartition(".")[2]
    return key if sum(other.rpartition(".")[2] == last for other in keys) > 1 else last


def _sensitivity(found: Sequence[Sensitivity], report: Report, width: int) -> str:
    if not found:
        return ""
    columns = [Column("axis", right=False), Column("best at"), Column("worst at")]
    columns += [Column(f"{o.title} x") for o in report.objectives]
    found = [entry for entry in found if is_axis(report.sweep, entry.key)]
    lines = [
        [entry.key, str(entry.best), str(entry.worst), *(f"{ratio:.3g}" for ratio in entry.ratios)] for entry in found
    ]
    first = report.objectives[0].title
    title = f"what each axis decides: its values' means of each objective, worst over best; values for {first}\n"
    return wrap(title, width) + table(columns, lines, width)
