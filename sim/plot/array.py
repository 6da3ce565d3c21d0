"""A cycle of an array: what every PE holds, what enters, what has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.plot._style import PALETTE, axis_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.animation.film import Film, Frame, Slot

TINTS = tuple(zip((PALETTE[i] for i in (0, 1, 2, 3, 5, 4)), (0.6, 0.28) * 3, strict=True))
"""Colours of the steps of a stream and their strength: what enters together has one colour, so that a wave can be seen.
Strong and pale ones alternate, so that it can be seen in grey."""

SLOT = 0.42
"""Width of a register before the array, in PEs."""

MOST_CELLS = 144
"""Elements of a product that is drawn."""


def array(film: Film, cycle: int, axis: Axes | None = None) -> Figure:
    """Return the picture of one cycle of a film (`sim.animation.animate`): a square for each PE.

    Above in a PE stand what moves and what rests, in the middle the sum, below what is held for later; PEs with a
    strong frame do a useful multiply, and operands of one step of the stream have one colour. Beside it the product
    fills up. A picture has no axes; `cycle` counts from 0.
    """
    frame = film.frames[cycle]
    axis = axis_of(axis, 5.0 + 0.75 * film.cols, 1.6 + 0.75 * film.rows)
    before = max((len(lane) for lane in frame.left), default=0) * SLOT
    above = max((len(lane) for lane in frame.top), default=0) * SLOT * 0.8
    for row in range(film.rows):
        for col in range(film.cols):
            _pe(axis, frame, row, col)
    _slots(axis, frame)
    right = film.cols + 0.6
    below = max(film.rows, _product(axis, film, cycle, right))
    _key(axis, film, right, below + 0.4)
    axis.set_xlim(-before - 0.2, right + max(3.6, film.product[1] * 0.6 if _drawn(film) else 0))
    axis.set_ylim(below + 1.7, -above - 0.3)
    axis.set_aspect("equal")
    axis.set_axis_off()
    axis.set_title(f"{film.title}, cycle {cycle} (0 to {film.cycles - 1})\n{frame.phase}", loc="left", fontsize=10)
    figure = axis.get_figure(root=True)
    assert figure is not None  # an axis in use has one
    return figure


def _box(axis: Axes, x: float, y: float, width: float, height: float, **look: object) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((x, y), width, height, **look))  # type: ignore[arg-type]


def _pe(axis: Axes, frame: Frame, row: int, col: int) -> None:
    step, useful = frame.steps[row][col], frame.useful[row][col]
    _box(axis, col + 0.03, row + 0.03, 0.94, 0.94, facecolor=_tint(step, useful),
         edgecolor="black" if useful else "#999999", linewidth=1.6 if useful else 0.6)  # fmt: skip
    marks = (
        (frame.moving, 0.22, 0.24, 8, "normal"), (frame.resting, 0.78, 0.24, 8, "normal"),
        (frame.sums, 0.5, 0.56, 11, "bold"), (frame.held, 0.5, 0.86, 7, "normal"),
    )  # fmt: skip
    for cells, x, y, size, weight in marks:
        if (value := cells[row][col]) is not None:
            _word(axis, col + x, row + y, str(value), size, weight)


def _word(
    axis: Axes, x: float, y: float, text: str, size: float, weight: str = "normal", place: str = "center"
) -> None:
    axis.text(x, y, text, ha=place, va="center", fontsize=size, fontweight=weight)


def _tint(step: int, useful: bool) -> tuple[tuple[float, float, float], float] | str:
    from matplotlib.colors import to_rgb

    colour, strength = TINTS[step % len(TINTS)]
    return "#F7F7F7" if step < 0 else (to_rgb(colour), strength if useful else strength / 3)


def _slots(axis: Axes, frame: Frame) -> None:
    for row, lane in enumerate(frame.left):
        for depth, slot in enumerate(lane):
            _slot(axis, slot, -(depth + 1) * SLOT, row + 0.08)
    for col, lane in enumerate(frame.top):
        for depth, slot in enumerate(lane):
            _slot(axis, slot, col + 0.56, -(depth + 1) * SLOT * 0.8)


def _slot(axis: Axes, slot: Slot, x: float, y: float) -> None:
    colour = "none" if slot is None else _tint(slot[1], True)
    _box(axis, x + 0.02, y + 0.02, SLOT - 0.04, SLOT * 0.8 - 0.04, facecolor=colour, edgecolor="#BBBBBB", linewidth=0.6)
    if slot is not None:
        _word(axis, x + SLOT / 2, y + SLOT * 0.4, str(slot[0]), 7.5)


def _drawn(film: Film) -> bool:
    return film.product[0] * film.product[1] <= MOST_CELLS


def _product(axis: Axes, film: Film, cycle: int, x: float) -> float:
    """Draw what has left the array; return where it ends below."""
    values = film.outputs(cycle)
    changed = {(row, col) for row, col, _ in film.frames[cycle].outputs}
    rows, cols = film.product
    _word(axis, x, -0.1, f"product: {len(values)} of {rows * cols} begun", 8, place="left")
    for row in range(rows) if _drawn(film) else ():
        for col in range(cols):
            value, fresh = values.get((row, col)), (row, col) in changed
            look = {"facecolor": "none" if value is None else (0.0, 0.447, 0.698, 0.2)}
            _box(axis, x + 0.6 * col, 0.1 + 0.4 * row, 0.58, 0.38, edgecolor="black" if fresh else "#BBBBBB",
                 linewidth=1.4 if fresh else 0.6, **look)  # fmt: skip
            if value is not None:
                _word(axis, x + 0.6 * col + 0.29, 0.1 + 0.4 * row + 0.19, str(value), 7.5)
    return 0.4 * rows + 0.1 if _drawn(film) else 0.3


def _key(axis: Axes, film: Film, x: float, y: float) -> None:
    """Explain the places in a PE."""
    _box(axis, x, y, 0.94, 0.94, facecolor="#F7F7F7", edgecolor="black", linewidth=1.6)
    moving, resting, grown, held = film.words
    for dx, dy, text, size in ((0.2, 0.2, "a", 8), (0.75, 0.2, "b", 8), (0.47, 0.53, "c", 11), (0.47, 0.83, "d", 7)):
        if text != "d" or held:
            _word(axis, x + dx, y + dy, text, size)
    told = [f"a {moving}, b {resting}", f"c {grown}", *([f"d {held}"] if held else []), "strong frame: useful multiply"]
    for index, line in enumerate(told):
        _word(axis, x + 1.1, y + 0.12 + 0.25 * index, line, 7.5, place="left")
