"""A chip as a picture: the channel, the buffers with what they hold, the units and the wires between."""

from __future__ import annotations

from collections.abc import Iterator

from sim.arch import Arch, Systolic, Vector, channel
from sim.arch.buffer import Buffer
from sim.arch.unit import Unit
from sim.report.page.charts import box, line, svg, text
from sim.report.page.markup import Markup, el, short
from sim.result import Result
from sim.units import show_bytes, show_si

ROW, HIGH = 112.0, 92.0
"""From box to box, and how high a box is."""

COLUMNS = ((10.0, 220.0), (330.0, 290.0), (720.0, 270.0))
"""Left edge and width of memory, buffers and units."""

LEFT_BUS, RIGHT_BUS = 280.0, 670.0

MOST_CELLS = 12
"""PEs, or lanes, that are drawn along a side; of more, as many."""


STYLE = (
    ".tt-chip svg{width:100%;max-width:860px;height:auto;font:13px system-ui,sans-serif}"
    ".tt-chip text{fill:currentColor}.tt-chip .strong{font-weight:600}.tt-chip .hit{fill:none}"
    ".tt-chip .wire{stroke:#5b6470;stroke-width:2}.tt-chip .cell{fill:#0072b2}.tt-chip .box{fill:#8881;stroke:#5b6470}"
)
"""How the picture looks outside a page, in light and dark notebooks."""


def embedded(chip: Arch) -> Markup:
    """Return the picture of `chip` for a notebook, with the style that it needs."""
    return el("div", el("style", Markup(STYLE)), picture(chip, None), class_="tt-chip")


def picture(chip: Arch, result: Result | None) -> Markup:
    """Return the picture of `chip`, its buffers filled to their peak in `result` where there is one."""
    rows = max(len(chip.buffers), len(chip.units), 1)
    height = rows * ROW + 20
    middle = height / 2
    parts = [*_memory(chip, middle)]
    for index, (name, buffer) in enumerate(chip.buffers.items()):
        parts += _buffer(name, buffer, _top(index, len(chip.buffers), middle), middle, result)
    for index, (name, unit) in enumerate(chip.units.items()):
        parts += _unit(name, unit, _top(index, len(chip.units), middle), middle)
    return svg(height, f"the chip {chip.name}", *parts)


def _top(index: int, count: int, middle: float) -> float:
    return middle - count * ROW / 2 + index * ROW + (ROW - HIGH) / 2


def _memory(chip: Arch, middle: float) -> Iterator[Markup]:
    x, width = COLUMNS[0]
    top, wire = middle - HIGH / 2, channel(chip)
    rate = "no limit" if wire is None else show_si(float(wire.burst / wire.cycles_per_burst) * chip.clock, "B/s")
    yield box(x, top, width, HIGH, "box")
    yield text(x + 12, top + 26, "off-chip memory", class_="strong")
    yield text(x + 12, top + 48, getattr(chip.memory, "device", "") or chip.memory.kind)
    yield text(x + 12, top + 70, rate)
    yield line(x + width, middle, LEFT_BUS, middle, "wire")


def _buffer(name: str, buffer: Buffer, top: float, middle: float, result: Result | None) -> Iterator[Markup]:
    x, width = COLUMNS[1]
    peak = result.buffers.get(name, {}).get("peak_bytes") if result is not None else None
    centre = top + HIGH / 2
    tip = f"{name}: {show_bytes(buffer.capacity)}" + ("" if peak is None else f", {show_bytes(peak)} at its fullest")
    yield from _elbow(LEFT_BUS, middle, x, centre)
    yield from _elbow(RIGHT_BUS, middle, x + width, centre)
    yield box(x, top, width, HIGH, "box")
    if peak:
        yield box(x, top, width * min(1.0, peak / buffer.capacity), HIGH, "full")
    yield text(x + 12, top + 26, short(name, 30), class_="strong")
    yield text(x + 12, top + 48, f"{show_bytes(buffer.capacity)}, {buffer.buffering}, holds {', '.join(buffer.holds)}")
    rate = "no limit" if buffer.bandwidth is None else f"{show_bytes(float(buffer.bandwidth))}/cycle"
    yield text(x + 12, top + 70, f"{buffer.ports} port{'s' * (buffer.ports > 1)}, {rate}")
    yield box(x, top, width, HIGH, "hit", tip)


def _elbow(bus: float, middle: float, x: float, y: float) -> Iterator[Markup]:
    """Yield a wire along a bus, from the middle of the picture to the height of a box, and from there to its edge."""
    yield line(bus, middle, bus, y, "wire")
    yield line(bus, y, x, y, "wire")


def _unit(name: str, unit: Unit, top: float, middle: float) -> Iterator[Markup]:
    x, width = COLUMNS[2]
    yield from _elbow(RIGHT_BUS, middle, x, top + HIGH / 2)
    yield box(x, top, width, HIGH, "box")
    yield text(x + 12, top + 26, short(name, 16), class_="strong")
    for index, words in enumerate(_told(unit)):
        yield text(x + 12, top + 48 + 22 * index, words)
    if isinstance(unit, Systolic):
        yield from _grid(unit, x + width - HIGH, top + 8, HIGH - 16)
    elif isinstance(unit, Vector):
        yield from _cells(1, min(unit.lanes, MOST_CELLS), x + width - HIGH, top + HIGH / 2 - 10, HIGH - 16, 20)


def _told(unit: Unit) -> list[str]:
    if isinstance(unit, Systolic):
        count = f"{unit.count} of " if unit.count > 1 else ""
        return [f"{count}{unit.rows} × {unit.cols} PEs", f"dataflow {unit.dataflow}"]
    return [f"{unit.lanes:,} lanes"] if isinstance(unit, Vector) else [unit.kind]


def _grid(unit: Systolic, x: float, y: float, side: float) -> Iterator[Markup]:
    """Yield the PEs in the shape of the array, at most MOST_CELLS a side."""
    most = max(unit.rows, unit.cols)
    share = min(1.0, MOST_CELLS / most)
    rows, cols = max(1, round(unit.rows * share)), max(1, round(unit.cols * share))
    cell = side / max(rows, cols)
    yield from _cells(rows, cols, x + (side - cols * cell) / 2, y + (side - rows * cell) / 2, cols * cell, rows * cell)


def _cells(rows: int, cols: int, x: float, y: float, width: float, height: float) -> Iterator[Markup]:
    wide, high = width / cols, height / rows
    for row in range(rows):
        for col in range(cols):
            yield box(x + col * wide, y + row * high, 0.8 * wide, 0.8 * high, "cell")
