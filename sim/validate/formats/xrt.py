"""XRT profile summaries: the CSV that the OpenCL and native profilers of Vitis leave (summary.csv).

Tables follow each other, each a title alone on its line, a header, and rows that end in a comma. Of them, "Compute
Unit Utilization" is read (it knows the clock), else "Kernel Execution". Times are those of one call.
"""

from __future__ import annotations

import csv

from sim.errors import ConfigError, Problem
from sim.validate.measured import FORMATS, Choices, Format, Measured, Measurements

TABLES = {"Compute Unit Utilization": "Compute Unit", "Kernel Execution": "Kernel"}
"""Title of each table that is read, to the column that names its rows; in emulation the title says so behind it."""
TIME = {"min": "Minimum Time (ms)", "avg": "Average Time (ms)", "max": "Maximum Time (ms)"}
CLOCK = "Clock Frequency (MHz)"


class Xrt(Format):
    """The CSV form of the summary."""

    name, title = "xrt", "XRT profile summary (CSV)"

    def recognizes(self, text: str) -> bool:
        """Return whether one of the tables is in it."""
        return any(line.strip().rstrip(",").startswith(tuple(TABLES)) for line in text.splitlines())

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return a row for each compute unit, or kernel."""
        lines = text.splitlines()
        for title, key in TABLES.items():
            start = next((i for i, line in enumerate(lines) if _titled(line, title)), None)
            if start is not None:
                rows = _table(lines, start, key, choices, file)
                if rows:
                    return Measurements(file, self.name, tuple(rows), _about(title, choices), _notes(rows, title))
        raise ConfigError(Problem(f"has no rows under {' or '.join(repr(t) for t in TABLES)}; was a kernel run?", file))


def _titled(line: str, title: str) -> bool:
    text = line.strip().strip(",").strip('"')
    return text == title or text.startswith(f"{title} (")


def _about(title: str, choices: Choices) -> str:
    return f"XRT profile, {TIME[choices.statistic].removesuffix(' (ms)').lower()} of a call under '{title}'"


def _notes(rows: list[Measured], title: str) -> tuple[str, ...]:
    return () if rows[0].frequency else (f"'{title}' names no clock: times are turned into cycles of the chip's",)


def _table(lines: list[str], start: int, key: str, choices: Choices, file: str) -> list[Measured]:
    """Return the rows of the table whose title is at `start`."""
    if start + 1 >= len(lines):
        raise ConfigError(Problem("ends behind the title of a table", file, start + 1))
    header = [cell.strip() for cell in next(csv.reader([lines[start + 1]]), [])]
    missing = [title for title in (key, TIME[choices.statistic]) if title not in header]
    if missing:
        raise ConfigError(Problem(f"the table has no column '{missing[0]}'", file, start + 2))
    rows = []
    for number, line in enumerate(lines[start + 2 :], start + 3):
        if not line.strip(" ,\r"):
            break
        row = [cell.strip() for cell in next(csv.reader([line]))]
        if abs(len(row) - len(header)) > 1:  # a comma at the end of one of them makes no cell
            raise ConfigError(Problem(f"the row has {len(row)} cells, the header {len(header)}", file, number))
        cells = dict(zip(header, row, strict=False))
        seconds = _number(cells[TIME[choices.statistic]], TIME[choices.statistic], file, number) / 1e3
        clock = _number(cells[CLOCK], CLOCK, file, number) * 1e6 if cells.get(CLOCK) else None
        rows.append(Measured(cells[key], seconds=seconds, frequency=clock))
    return rows


def _number(cell: str, title: str, file: str, line: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ConfigError(Problem(f"{title} '{cell}' is not a number", file, line)) from None
    if not 0 < value < float("inf"):
        raise ConfigError(Problem(f"{title} '{cell}' must be greater than zero", file, line))
    return value


FORMATS.register("xrt")(Xrt())
