"""What a film of an array shows: a frame a cycle, in words that fit every dataflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sim import textfile
from sim.animation.gif import to_gif
from sim.animation.page import embedded, to_html
from sim.reference.registers import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cells = tuple[tuple[int | None, ...], ...]
"""A value for each PE, row by row; None where its register holds none."""

Slot = tuple[int, int] | None
"""An operand on its way, and the step of the stream it belongs to."""


@dataclass(frozen=True)
class Frame:
    """One cycle. All cells stand row by row as they are drawn.

    `moving` crosses the PEs from the left; `resting` stays in them, or falls from above; `sums` grow; `held` is what
    waits in a second register: weights for the next fold, sums that drain. `steps` says to which step of the stream
    the operand in a PE belongs (-1: none), `useful` which PEs do a multiply that counts. `left` and `top` are the
    registers before the array, nearest first. `outputs` are the (row, column, value) of the product that change.
    """

    cycle: int
    phase: str
    moving: Cells
    resting: Cells
    sums: Cells
    held: Cells
    steps: tuple[tuple[int, ...], ...]
    useful: tuple[tuple[bool, ...], ...]
    left: tuple[tuple[Slot, ...], ...] = ()
    top: tuple[tuple[Slot, ...], ...] = ()
    outputs: tuple[tuple[int, int, int], ...] = ()

    @property
    def active(self) -> int:
        """PEs that do a useful multiply."""
        return sum(sum(row) for row in self.useful)


@dataclass(frozen=True)
class Film:
    """An array at work on one layer. `words` names what moves, rests, grows and is held, in that order.

    `rows` x `cols` PEs are drawn (`pes` there are). `product` is the shape of the result; each of its elements is
    complete after `parts` sums have left the array. `about` explains what is seen, a sentence each.
    """

    title: str
    dataflow: str
    words: tuple[str, str, str, str]
    rows: int
    cols: int
    pes: int
    frames: tuple[Frame, ...]
    product: tuple[int, int]
    parts: int
    about: tuple[str, ...] = field(default=())

    @property
    def cycles(self) -> int:
        """Cycles from the first accepted operand to the last valid output, inclusive."""
        return len(self.frames)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates."""
        return sum(frame.active for frame in self.frames)

    @property
    def utilization(self) -> float:
        """Useful MACs / (PEs x cycles)."""
        return self.macs / (self.pes * self.cycles)

    def outputs(self, until: int) -> dict[tuple[int, int], int]:
        """Return the elements of the product that have left the array by the end of cycle `until`, as they stand."""
        return {(row, col): value for frame in self.frames[: until + 1] for row, col, value in frame.outputs}

    def to_html(self, path: str | Path) -> None:
        """Write the film as one page with play, step and scrub that loads nothing from a network."""
        textfile.write(path, to_html(self))

    def to_gif(self, path: str | Path, fps: float = 3.0) -> None:
        """Write the film as an animated GIF of `fps` frames a second."""
        textfile.write_bytes(path, to_gif(self, fps))

    def plot(self, cycle: int, axis: Axes | None = None) -> Figure:
        """Return the picture of one cycle; see `sim.plot.array`."""
        from sim.plot.array import array

        return array(self, cycle, axis)

    def _repr_html_(self) -> str:
        return embedded(self)

    def __repr__(self) -> str:
        return f"<Film: {self.title}, {self.rows} x {self.cols} {self.dataflow}, {self.cycles} cycles>"


def cells(values: Array, valid: Array) -> Cells:
    """Return the values where `valid` says that there are some."""
    return tuple(
        tuple(value if there else None for value, there in zip(row, mask, strict=True))
        for row, mask in zip(values.tolist(), valid.tolist(), strict=True)
    )
