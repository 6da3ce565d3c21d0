"""A table of layers: `layer,cycles[,bytes]`, or a time and, where it is known, a frequency."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim import units
from sim.errors import ConfigError, Problem, nearest
from sim.validate.measured import FORMATS, Choices, Format, Measured, Measurements, whole

NAMES = ("layer", "name", "kernel")
TIMES = {"s": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
FREQUENCIES = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
KNOWN = ("layer", "cycles", "bytes", "time_ms", "time_us", "frequency_mhz")
"""Columns that errors offer."""


@dataclass(frozen=True)
class Column:
    """What a column holds: `what` is a field of Measured, `scale` turns its plain numbers into base units."""

    what: str
    scale: float | None
    dimension: str = ""


class CsvTable(Format):
    """Comma, semicolon or tab between the cells; lines that begin with # are comments."""

    name, title = "csv", "CSV table of layers (layer,cycles[,bytes] or times)"

    def recognizes(self, text: str) -> bool:
        """Return False: this is what a file is taken for that is nothing else."""
        return False

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return a row for each line."""
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"]
        if not lines:
            raise ConfigError(Problem("holds nothing but comments", file))
        header = lines[0][1]
        delimiter = max(",;\t", key=header.count)
        titles = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter))]
        columns = [_column(title) for title in titles]
        _check(columns, titles, file, lines[0][0])
        rows, problems = [], []
        for number, line in lines[1:]:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
            try:
                rows.append(_row(columns, titles, cells))
            except ValueError as error:
                problems.append(Problem(str(error), file, number))
        if problems:
            raise ConfigError(*problems)
        if not rows:
            raise ConfigError(Problem("has a header and no rows", file))
        spare = [title for title, column in zip(titles, columns, strict=True) if column is None and title]
        notes = (f"columns that are not compared: {', '.join(spare)}",) if spare else ()
        return Measurements(file, self.name, tuple(rows), "as the table says", notes)


def _column(title: str) -> Column | None:
    """Return what a column of this title holds; None where it is nothing that is compared."""
    word = re.sub(r"[^a-z]+", "_", title.lower()).strip("_")
    if word in NAMES:
        return Column("name", None)
    if word in ("cycles", "cycle", "measured_cycles", "latency_cycles", "time_cycles", "clock_cycles"):
        return Column("cycles", 1.0)
    if word in ("bytes", "dram_bytes", "off_chip_bytes"):
        return Column("bytes", 1.0)
    stem, _, unit = word.rpartition("_")
    if stem in ("", "time", "latency", "runtime", "duration", "total_time", "average_time") and unit in TIMES:
        return Column("seconds", TIMES[unit], "time")
    if stem in ("", "frequency", "clock", "clock_frequency", "freq", "f") and unit in FREQUENCIES:
        return Column("frequency", FREQUENCIES[unit], "frequency")
    if word in ("time", "latency", "runtime", "duration"):
        return Column("seconds", None, "time")
    return Column("frequency", None, "frequency") if word in ("frequency", "clock", "freq") else None


def _check(columns: list[Column | None], titles: list[str], file: str, line: int) -> None:
    """Raise ConfigError where the header names no layer or no measure, or one of them twice."""
    found = [column.what for column in columns if column]
    twice = sorted({what for what in found if found.count(what) > 1})
    if twice:
        raise ConfigError(Problem(f"has more than one column of {', '.join(twice)}", file, line))
    missing = [] if "name" in found else ["layer"]
    missing += [] if {"cycles", "seconds"} & set(found) else ["cycles"]
    if missing:
        absent = " and no column ".join(f"'{column}'" for column in missing)
        guesses = [(title, nearest(title, KNOWN)) for title in titles]
        hints = "".join(f"; did you mean '{guess}' by '{t}'?" for t, guess in guesses if guess and guess != t)
        raise ConfigError(
            Problem(
                f"the header has no column {absent}{hints} "
                f"(columns: {', '.join(titles) or 'none'}; a header is e.g. layer,cycles or layer,time_ms)", file, line,
            )
        )  # fmt: skip


def _row(columns: list[Column | None], titles: list[str], cells: list[str]) -> Measured:
    """Return the measurement of one line; ValueError says what is wrong with it."""
    while len(cells) > len(titles) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(titles):
        raise ValueError(f"has {len(cells)} cells where the header has {len(titles)}")
    values: dict[str, Any] = {}
    for column, title, cell in zip(columns, titles, cells, strict=True):
        if column is not None and (cell.strip() or column.what == "name"):
            values[column.what] = _value(column, title, cell.strip())
    if "cycles" not in values and "seconds" not in values:
        raise ValueError(f"layer '{values['name']}' has neither cycles nor a time")
    return Measured(**values)


def _value(column: Column, title: str, cell: str) -> Any:
    if column.what == "name":
        if not cell:
            raise ValueError(f"has no name in column '{title}'")
        return cell
    number = _READERS[column.what](column, title, cell)
    if number <= 0 and column.what != "bytes":
        raise ValueError(f"{title} '{cell}' must be greater than zero")
    return number


def _whole(column: Column, title: str, cell: str) -> int:
    number = whole(cell.removesuffix(".0"))
    if number is None:
        raise ValueError(f"{title} '{cell}' is not a whole number in plain digits, as in 12345")
    return number


def _quantity(column: Column, title: str, cell: str) -> float:
    if column.scale is None:
        try:
            return float(units.parse(column.dimension, cell))
        except ValueError as error:
            way = f", or say it in the header: {title}_cycles or {title}_ms" if column.what == "seconds" else ""
            raise ValueError(f"{title}: {error}{way}") from None
    if not re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", cell):
        raise ValueError(f"{title} '{cell}' is not a number")
    return float(cell) * column.scale


_READERS: dict[str, Callable[[Column, str, str], float]] = {
    "cycles": _whole, "bytes": _whole, "seconds": _quantity, "frequency": _quantity,
}  # fmt: skip


FORMATS.register("csv")(CsvTable())
