"""A comparison as text: a line a layer, the statistics, what did not match, and how cycles are counted."""

from __future__ import annotations

from sim.report.summary import CONVENTIONS
from sim.report.table import Column, pairs, table, wrap
from sim.units import show_bytes, show_si
from sim.validate.compare import COUNTS, Row, Validation

COLUMNS = (
    Column("layer", right=False),
    Column("predicted"),
    Column("measured"),
    Column("error"),
    Column("bound by", right=False, spare=1),
)
BYTES = (Column("bytes", spare=3), Column("measured", spare=3), Column("error", spare=3))


def tell(validation: Validation, width: int) -> str:
    """Return the comparison in lines of `width` characters."""
    title = f"{validation.workload} on {validation.arch} against {validation.file}\n"
    rows = [*validation.rows, *([validation.total] if validation.total else [])]
    counted = any(row.measured_bytes is not None for row in rows)
    lines = [_line(row, counted) for row in rows]
    text = table((*COLUMNS, *(BYTES if counted else ())), lines, width)
    parts = [title, text, pairs(_figures(validation), width), _left_over(validation, width)]
    return "\n".join(part for part in parts if part)


def _line(row: Row, counted: bool) -> list[str]:
    cells = [
        row.name if row.name in row.layers or not row.layers else f"{row.name} = {' + '.join(row.layers)}",
        f"{row.predicted_cycles:,}", f"{row.measured_cycles:,.10g}", error(row.error_pct),
        row.bound.replace("_", " "),
    ]  # fmt: skip
    if counted:
        there = row.measured_bytes is not None
        cells += [show_bytes(row.predicted_bytes or 0), show_bytes(row.measured_bytes or 0)] if there else ["", ""]
        cells.append("" if row.bytes_error_pct is None else error(row.bytes_error_pct))
    return cells


def error(percent: float) -> str:
    """Write a signed error; 'exact' where there is none."""
    return "exact" if percent == 0 else f"{percent:+.2f}%"


def _figures(validation: Validation) -> list[tuple[str, str]]:
    figures, lines = validation.statistics, []
    if figures.mape is not None and figures.largest_error_pct is not None and figures.total_error_pct is not None:
        lines.append(("MAPE", f"{figures.mape:.2f}% over {figures.layers} layers, the mean of absolute errors"))
        lines.append(("largest", error(figures.largest_error_pct)))
        lines.append(("sum", f"{error(figures.total_error_pct)} over the layers that match"))
    if figures.r2 is not None:
        lines.append(("R2", f"{figures.r2:.4f}, of the predictions themselves, no line fitted"))
    if figures.rank_correlation is not None:
        lines.append(("rank", f"{figures.rank_correlation:.4f}, Spearman's correlation"))
    lines.append(("matched", validation.matched))
    lines.append(("measured", f"{validation.about}; cycles count {COUNTS[validation.count][0]}; times become cycles of "
                              f"their own clock, else of {show_si(validation.clock_hz, 'Hz')}"))  # fmt: skip
    lines.append(("predicted", f"{validation.convention}: counts {CONVENTIONS[validation.convention]}; a layer is its "
                               "span from first to last activity"))  # fmt: skip
    return lines


def _left_over(validation: Validation, width: int) -> str:
    groups = (
        ("Measured and in no layer", validation.unmatched),
        ("Layers that were not measured", validation.not_measured),
    )
    lines = [wrap(f"{title}: {', '.join(names)}", width, "  - ", "    ") for title, names in groups if names]
    lines += [wrap(note, width, "  - ", "    ") for note in validation.notes]
    return "".join(["Not compared, and notes:\n", *lines]) if lines else ""
