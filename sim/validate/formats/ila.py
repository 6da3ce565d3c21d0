"""Vivado ILA captures, as write_hw_ila_data -csv_file writes them: a row a sample, a column a probe.

The second line names the radix of each column (HEX where it is missing). A capture of several windows gives a
trace each. The probes must be stored at every clock: an ILA with capture control leaves clocks out unseen.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from sim.errors import ConfigError, Problem, unknown
from sim.validate import handshake
from sim.validate.measured import FORMATS, Choices, Format, Measurements

RADIXES = {"HEX": 16, "BINARY": 2, "OCTAL": 8, "UNSIGNED": 10, "SIGNED": 10}
LEADING = ("Sample in Buffer", "Sample in Window", "TRIGGER")


class Ila(Format):
    """Sample in Buffer, Sample in Window, TRIGGER[, GAP], then the probes."""

    name, title = "ila", "Vivado ILA capture (CSV)"

    def recognizes(self, text: str) -> bool:
        """Return whether the header is that of a capture."""
        return text.lstrip().startswith(LEADING[0])

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return a row for each layer, or window."""
        handshake.required(choices, file)
        table = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
        titles = [cell.strip() for cell in table[0]]
        if tuple(titles[:3]) != LEADING:
            message = f"the header begins with {', '.join(titles[:3])}, not {', '.join(LEADING)}"
            raise ConfigError(Problem(message, file, 1))
        radixes, body = _radixes(table, titles, file)
        places = {name: _find(name, titles, file) for name in handshake.signals(choices)}
        rows, notes = [], []
        for window in _windows(body, titles, file):
            samples = (
                handshake.sample({n: _bit(line[i], radixes[i], titles[i], file) for n, i in places.items()}, choices)
                for line in window
            )
            found, more = handshake.measure(samples, choices, file)
            rows += found
            notes += more
        if len(rows) > 1:
            rows = [type(row)(f"segment {i}", cycles=row.cycles) for i, row in enumerate(rows, 1)]
        return Measurements(file, self.name, tuple(rows), handshake.ABOUT, tuple(notes))


def _radixes(table: list[list[str]], titles: list[str], file: str) -> tuple[list[int], list[list[str]]]:
    """Return the base of each column, and the lines below."""
    body = table[1:]
    if not body or not body[0][0].strip().startswith("Radix"):
        return [16] * len(titles), body
    words = [cell.strip().removeprefix("Radix - ").upper() for cell in body[0]]
    if len(words) != len(titles):
        raise ConfigError(Problem(f"the radix line has {len(words)} cells, the header {len(titles)}", file, 2))
    for word in words:
        if word not in RADIXES:
            raise ConfigError(Problem(unknown("radix", word, RADIXES), file, 2))
    return [RADIXES[word] for word in words], body[1:]


def _find(name: str, titles: list[str], file: str) -> int:
    """Return the column of a probe: its name whole, or the end of its path, bus range left out."""
    bare = [re.sub(r"\[[\d:]+\]$", "", title) for title in titles]
    exact = [i for i, title in enumerate(bare) if name in (title, titles[i])]
    found = exact or [i for i, title in enumerate(bare) if re.split(r"[/.]", title)[-1] == name]
    if len(found) != 1:
        problem = f"'{name}' could be {' or '.join(titles[i] for i in found)}; write it out" if found else None
        raise ConfigError(Problem(problem or unknown("probe", name, bare[3:]), file, 1))
    return found[0]


def _windows(body: list[list[str]], titles: list[str], file: str) -> Iterator[list[list[str]]]:
    """Yield the lines of each window; ConfigError where a line is short or a sample is missing."""
    gap = titles.index("GAP") if "GAP" in titles else None
    window: list[list[str]] = []
    if not body:
        raise ConfigError(Problem("has no samples", file))
    for line in body:
        if len(line) < len(titles):
            raise ConfigError(Problem(f"sample {line[0]} has {len(line)} cells, the header {len(titles)}", file))
        index = line[1].strip()
        if gap is not None and line[gap].strip() not in ("0", ""):
            message = f"sample {line[0]} is a gap: clocks are missing, so cycles cannot be counted"
            raise ConfigError(Problem(message, file))
        if not index.isdigit() or int(index) not in (0, len(window)):
            raise ConfigError(Problem(f"sample {line[0]}: '{index}' is not the next sample in its window", file))
        if int(index) == 0 and window:
            yield window
            window = []
        window.append(line)
    yield window


def _bit(cell: str, base: int, title: str, file: str) -> bool:
    """Return whether any bit of a probe is 1; unknown bits (X, Z) are not."""
    word = cell.strip().removeprefix("0x").replace("_", "")
    known = re.sub(r"[xXzZ]", "0", word)
    try:
        return int(known, base) != 0
    except ValueError:
        message = f"probe {title}: '{cell}' is no number of base {base}; is its radix right?"
        raise ConfigError(Problem(message, file)) from None


FORMATS.register("ila")(Ila())
