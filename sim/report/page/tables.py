"""Tables that sort: every cell has its text and, where it is a figure, its exact value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sim.report.page.markup import Markup, el, join

MANY = 150
"""Rows above which a table scrolls by itself: a browser paints what is in sight, and the page stays short."""


@dataclass(frozen=True)
class Cell:
    """What a cell shows, by what it sorts (None: by its text), and which class it has."""

    shown: str
    value: float | None = None
    class_: str | None = None


def figure(value: float, shown: str | None = None) -> Cell:
    """Return the cell of a number, as `shown` or with its digits in groups."""
    return Cell(f"{value:,}" if shown is None else shown, value, "n")


def table(name: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], foot: Sequence[Cell] = ()) -> Markup:
    """Return a table called `name` whose heads are buttons that sort by their column."""
    found = list(rows)
    sides = [cell.class_ if cell.class_ == "n" else None for cell in found[0]] if found else [None] * len(heads)
    titles = (
        el("th", el("button", word, type="button"), scope="col", class_=side)
        for word, side in zip(heads, sides, strict=True)
    )
    head, body = el("tr", join(titles)), join(_row(row) for row in found)
    parts = [el("thead", head), el("tbody", body), *([el("tfoot", _row(foot))] if foot else [])]
    return el("div", el("table", *parts, id=name), class_="wide tall" if len(found) > MANY else "wide")


def _row(cells: Sequence[Cell]) -> Markup:
    exact = (None if cell.value is None else repr(cell.value) for cell in cells)
    return el("tr", join(
        el("td", cell.shown, class_=cell.class_, data_value=value) for cell, value in zip(cells, exact, strict=True)
    ))  # fmt: skip


def bar(parts: Mapping[str, float], whole: float, tip: str | None = None) -> Markup:
    """Return a bar whose parts, by class, take their share of `whole`."""
    pieces = [
        el("i", class_=class_, style=f"width:{100 * value / whole:.3f}%")
        for class_, value in parts.items() if value and whole
    ]  # fmt: skip
    return el("span", join(pieces), class_="bar", data_tip=tip)


def pairs(name: str, entries: Iterable[tuple[str, str]]) -> Markup:
    """Return words with what each one says, below each other."""
    return el("dl", join(join((el("dt", word), el("dd", said))) for word, said in entries), id=name)
