"""Pictures as SVG: columns by layer, bands over time, the roofline. Colours and hover values come from the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log10

from sim.report.page.markup import Markup, el, join, short

WIDTH, LEFT, RIGHT = 1000.0, 70.0, 10.0
PLOT = WIDTH - LEFT - RIGHT

MOST_NAMES = 85
"""Names that find room below columns; of more, every few."""


def svg(height: float, title: str, *parts: str) -> Markup:
    """Return a picture of WIDTH x `height` that scales with the page and is called `title` to those who hear it."""
    box = f"0 0 {WIDTH:g} {height:g}"
    return el("div", el("svg", *parts, viewBox=box, role="img", aria_label=title), class_="wide")


def number(value: float) -> str:
    """Write a coordinate with the digits that can be seen."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def text(x: float, y: float, words: str, anchor: str = "start", class_: str | None = None) -> Markup:
    """Return words whose `anchor` (start, middle, end) is at x on the base line y."""
    place = None if anchor == "start" else anchor
    return el("text", words, x=number(x), y=number(y), text_anchor=place, class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str, tip: str | None = None) -> Markup:
    """Return a rectangle; `tip` is what hovering shows."""
    places = {"x": number(x), "y": number(y), "width": number(width), "height": number(height)}
    return el("rect", **places, class_=class_, data_tip=tip)


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "grid") -> Markup:
    """Return a straight line."""
    return el("line", x1=number(x1), y1=number(y1), x2=number(x2), y2=number(y2), class_=class_)


def ticks(most: float, count: int = 5) -> list[float]:
    """Return round values from 0 to `most`, about `count` of them: steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0.0]
    power = 10.0 ** floor(log10(most / count))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most / count * 0.999)
    return [index * step for index in range(floor(most / step + 1e-9) + 1)]


PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def compact(value: float) -> str:
    """Write a value on an axis in few characters: 40k, 2.5M."""
    for power, prefix in PREFIXES:
        if value >= power:
            return f"{value / power:.4g}{prefix}"
    return f"{value:.4g}"


def columns(
    title: str, names: Sequence[str], stacks: Mapping[str, Sequence[float]], tips: Sequence[str], unit: str
) -> Markup:
    """Return a column for each name, stacked from the classes that `stacks` is keyed by; the axis is in `unit`."""
    top, height = 24.0, 220.0
    base = top + height
    totals = [sum(values) for values in zip(*stacks.values(), strict=True)]
    most = max(totals, default=0.0) or 1.0
    step = PLOT / max(len(names), 1)
    share = 0.8 if step > 3 else 1.0  # narrow columns stand side by side
    parts = [text(4, 14, unit), *_scale(ticks(most), most, base, height)]
    for index, tip in enumerate(tips):
        x, y = LEFT + (index + (1 - share) / 2) * step, base
        for class_, values in stacks.items():
            if values[index]:
                part = values[index] / most * height
                y -= part
                parts.append(box(x, y, share * step, part, class_))
        parts.append(box(LEFT + index * step, top, step, height, "hit", tip))
    return svg(base + 124, title, *parts, *_below(names, step, base))


def _scale(values: Sequence[float], most: float, base: float, height: float) -> Iterator[Markup]:
    for value in values:
        y = base - value / most * height
        yield line(LEFT, y, WIDTH - RIGHT, y)
        yield text(LEFT - 6, y + 4, compact(value), "end")


def _below(names: Sequence[str], step: float, base: float) -> Iterator[Markup]:
    """Yield upright names below the columns, every few where there are many."""
    every = ceil(len(names) / MOST_NAMES) if names else 1
    for index in range(0, len(names), every):
        x, y = LEFT + (index + 0.5) * step, base + 8
        turned = f"rotate(-90 {number(x)} {number(y)})"
        yield el("text", short(names[index], 18), x=number(x), y=number(y), transform=turned, class_="small")


def bands(
    title: str, stacks: Mapping[str, Sequence[float]], tips: Sequence[str], height: float = 64.0, whole: str = "100%"
) -> Markup:
    """Return shares (0 to 1) of equal windows as bands on top of each other, by the class that each is keyed by.

    `whole` is what a share of 1 is called.
    """
    count = len(tips)
    step, bottom, parts = PLOT / max(count, 1), [0.0] * count, list[Markup]()
    for class_, shares in stacks.items():
        top = [low + share for low, share in zip(bottom, shares, strict=True)]
        if any(shares):
            parts.append(el("path", d=_band(bottom, top, step, height), class_=class_))
        bottom = top
    hits = [box(LEFT + index * step, 4, step, height, "hit", tip) for index, tip in enumerate(tips)]
    scale = [text(LEFT - 6, 12, whole, "end"), text(LEFT - 6, 4 + height, "0", "end")]
    return svg(height + 8, title, *parts, *scale, *hits)


def _band(bottom: Sequence[float], top: Sequence[float], step: float, height: float) -> str:
    """Return the outline of a band, there along its top and back along its bottom, both in steps."""
    there = [f"V{number(4 + (1 - v) * height)}H{number(LEFT + (i + 1) * step)}" for i, v in enumerate(top)]
    back = [f"V{number(4 + (1 - v) * height)}H{number(LEFT + i * step)}" for i, v in reversed([*enumerate(bottom)])]
    return f"M{LEFT:g} {number(4 + height)}{''.join(there)}{''.join(back)}Z"


def time_axis(seconds: float) -> Markup:
    """Return the axis below bands over time, from 0 to `seconds`."""
    power, unit = next(((p, u) for p, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if seconds >= p), (1e-9, "ns"))
    whole = seconds / power
    marks = ticks(whole, 8)
    places = [LEFT + (mark / whole if whole else 0.0) * PLOT for mark in marks]
    parts = [
        part for x, mark in zip(places, marks, strict=True)
        for part in (line(x, 0, x, 5, "axis"), text(x, 18, f"{mark:g}", "middle"))
    ]  # fmt: skip
    return svg(24, "time", line(LEFT, 0, WIDTH - RIGHT, 0, "axis"), *parts, text(4, 18, unit))


def legend(entries: Mapping[str, str]) -> Markup:
    """Return what each class means."""
    found = [el("span", el("i", class_=f"key {class_}"), name) for class_, name in entries.items()]
    return el("p", join(found), class_="legend")
