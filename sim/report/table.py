"""Plain text tables that fit their width, without boxes, so that a pipe can read them too."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GAP = "  "
NARROWEST = 12
"""Characters below which the first column is not shortened; other columns go first."""


@dataclass(frozen=True)
class Column:
    """A column: its title, its side, and whether it may be left out (highest `spare` first, 0 never)."""

    title: str
    right: bool = True
    spare: int = 0


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int) -> str:
    """Return the table in at most `width` characters a line where leaving out spare columns allows it.

    The first column is shortened last, in its middle, where names differ least.
    """
    body = [list(row) for row in rows]
    keep = list(range(len(columns)))
    sizes = [max(len(column.title), *(len(row[i]) for row in body), 0) for i, column in enumerate(columns)]
    for index in sorted(keep, key=lambda i: -columns[i].spare):
        if columns[index].spare and _needed(sizes, keep) - sizes[0] + min(sizes[0], NARROWEST) > width:
            keep.remove(index)
    sizes[0] = min(sizes[0], max(NARROWEST, width - _needed(sizes, keep) + sizes[0]))
    lines = [[column.title for column in columns], *body]
    return "".join(_line(columns, line, sizes, keep) for line in lines)


def _needed(sizes: Sequence[int], keep: Sequence[int]) -> int:
    return sum(sizes[i] for i in keep) + len(GAP) * (len(keep) - 1)


def _line(columns: Sequence[Column], cells: Sequence[str], sizes: Sequence[int], keep: Sequence[int]) -> str:
    shown = [shorten(cells[i], sizes[i]) for i in keep]
    padded = [
        text.rjust(sizes[i]) if columns[i].right else text.ljust(sizes[i]) for i, text in zip(keep, shown, strict=True)
    ]
    return GAP.join(padded).rstrip() + "\n"


def shorten(text: str, size: int) -> str:
    """Return `text` in `size` characters, its middle left out where it is longer."""
    if len(text) <= size:
        return text
    head = (size - 2) // 3
    return f"{text[:head]}..{text[len(text) - (size - 2 - head) :]}"


def pairs(entries: Iterable[tuple[str, str]], width: int, indent: str = "") -> str:
    """Return a line for each (word, text), the texts below one another and wrapped to `width`."""
    found = list(entries)
    size = max((len(word) for word, _ in found), default=0)
    lines = []
    for word, text in found:
        start = f"{indent}{word:{size}}{GAP}"
        lines.append(wrap(text, width, start, " " * len(start)))
    return "".join(lines)


def wrap(text: str, width: int, first: str = "", rest: str = "") -> str:
    """Return `text` in lines of at most `width`, the first begun with `first` and the others with `rest`."""
    return textwrap.fill(text, max(width, len(first) + 20), initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False).rstrip() + "\n"  # fmt: skip
