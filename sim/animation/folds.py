"""A film of folds: weight, input and output stationary arrays, register by register."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.animation.film import Cells, Film, Frame, Slot, cells
from sim.arch import Systolic
from sim.execute import FoldBlock
from sim.kernel import Contraction
from sim.reference import Fold, Run, Snapshot, simulate
from sim.reference.registers import Array

WORDS = {
    "ws": ("input", "weight", "partial sum", "next weight"),
    "is": ("weight", "input", "partial sum", "next input"),
    "os": ("input", "weight", "sum", "draining sum"),
}
ABOUT = {
    "ws": ("Weights enter from above, a row a cycle, and stay.", "Inputs cross from the left, each row a cycle later "
           "than the one above: the skew.", "Partial sums fall, and leave below."),
    "is": ("Inputs enter from above, a row a cycle, and stay.", "Weights cross from the left, each row a cycle later "
           "than the one above: the skew.", "Partial sums fall, and leave below."),
    "os": ("Inputs cross from the left, weights fall from above, both skewed, so that those of one step meet.",
           "Sums stay and grow in the PEs.", "When the last is complete, all drain."),
}  # fmt: skip


@dataclass(frozen=True)
class Numbers:
    """The operands of a contraction: `left` (groups, M, K) as its window reads the inputs, `right` (groups, K, N)."""

    left: Array
    right: Array


def film_of_folds(
    title: str, array: Systolic, kernel: Contraction, blocks: Sequence[FoldBlock], numbers: Numbers
) -> Film:
    """Return the film of an array that works on the folds `blocks` of a product, in this order."""
    folds = [_fold(array, block, numbers) for block in blocks]
    run = simulate(array, folds, record=True)
    product = np.zeros((kernel.groups, kernel.m, kernel.n), run.outputs[0].dtype)
    parts = sum(block.groups[0] == 0 and 0 in block.m and 0 in block.n for block in blocks)
    frames = _Scene(array, folds, run).frames()
    done = tuple(
        replace(frame, outputs=tuple(_arrived(array, blocks, run, product, snapshot)))
        for frame, snapshot in zip(frames, run.snapshots, strict=True)
    )
    shape = (kernel.groups * kernel.m, kernel.n)
    words = _words(array)
    return Film(
        title, array.dataflow, words, array.rows, array.cols, array.rows * array.cols, done, shape,
        parts, ABOUT[array.dataflow],
    )  # fmt: skip


def _words(array: Systolic) -> tuple[str, str, str, str]:
    moving, resting, grown, held = WORDS[array.dataflow]
    return moving, resting, grown, held if array.dataflow == "os" or array.weight_buffers == 2 else ""


def _fold(array: Systolic, block: FoldBlock, numbers: Numbers) -> Fold:
    """Return the operands of one fold; groups packed onto one array lie on its diagonal."""
    lefts = [numbers.left[g][np.ix_(block.m, block.k)] for g in block.groups]
    rights = [numbers.right[g][np.ix_(block.k, block.n)] for g in block.groups]
    if array.dataflow == "os":
        return Fold(np.concatenate(lefts), np.concatenate(rights, axis=1))
    if array.dataflow == "is":
        lefts, rights = [right.T for right in rights], [left.T for left in lefts]
    rows, cols = (sum(right.shape[axis] for right in rights) for axis in (0, 1))
    resident = np.zeros((rows, cols), rights[0].dtype)
    r = c = 0
    for right in rights:
        resident[r : r + right.shape[0], c : c + right.shape[1]] = right
        r, c = r + right.shape[0], c + right.shape[1]
    return Fold(np.concatenate(lefts, axis=1), resident)


def _arrived(
    array: Systolic, blocks: Sequence[FoldBlock], run: Run, product: Array, snapshot: Snapshot
) -> Iterator[tuple[int, int, int]]:
    """Add what the memory takes at this edge to the product; yield the elements that change."""
    for fold, row, col in snapshot.outputs:
        place = _place(array.dataflow, blocks[fold], row, col)
        if place is not None:
            product[place] += run.outputs[fold][row, col]
            g, m, n = place
            yield g * product.shape[1] + m, n, int(product[place])


def _place(dataflow: str, block: FoldBlock, row: int, col: int) -> tuple[int, int, int] | None:
    """Return the group, m and n of an output of a fold; None where it mixes packed groups."""
    if dataflow == "is":
        (pack, m), n = divmod(col, block.m.size), row
    elif dataflow == "os":
        (pack, m), (other, n) = divmod(row, block.m.size), divmod(col, block.n.size)
        if pack != other:
            return None
    else:
        m, (pack, n) = row, divmod(col, block.n.size)
    return block.groups[pack], int(block.m[m]), int(block.n[n])


class _Scene:
    """The registers of a run as frames."""

    def __init__(self, array: Systolic, folds: Sequence[Fold], run: Run) -> None:
        self.array, self.folds, self.run = array, folds, run
        self.latency, self.os = array.sram_read_latency, array.dataflow == "os"
        self.at = [*self._steps()]
        self.weights_at = self.at if self.os else [*self._loads()]

    def _steps(self) -> Iterator[tuple[int, int]]:
        """Yield for each edge the fold and the step of it that is accepted, (-1, -1) where there is none."""
        starts = {edges.first_input: fold for fold, edges in enumerate(self.run.edges)}
        fold, step = -1, -1
        for snapshot in self.run.snapshots:
            fold, step = (starts[snapshot.cycle], 0) if snapshot.cycle in starts else (fold, step + 1)
            here = snapshot.accepted is not None and step < self._length(fold)
            yield (fold, step) if here else (-1, -1)

    def _length(self, fold: int) -> int:
        return len(self.folds[fold].weights if self.os else self.folds[fold].inputs)

    def _loads(self) -> Iterator[tuple[int, int]]:
        fold = -1
        for snapshot in self.run.snapshots:
            fold += any(edges.first_weight == snapshot.cycle for edges in self.run.edges)
            yield (fold, 0) if snapshot.accepted_weights is not None else (-1, -1)

    def frames(self) -> Iterator[Frame]:
        """Yield a frame for each cycle."""
        for snapshot in self.run.snapshots:
            valid = snapshot.valid
            spare = snapshot.drain if self.os else snapshot.shadow
            held = cells(spare, valid["drain" if self.os else "shadow"]) if spare is not None else self._none()
            yield Frame(
                snapshot.cycle, self._phase(snapshot), cells(snapshot.inputs, valid["inputs"]),
                cells(snapshot.weights, valid["weights"]), cells(snapshot.sums, valid["sums"]), held,
                self._crossing(snapshot), tuple(tuple(map(bool, row)) for row in snapshot.useful),
                tuple(self._left(snapshot.cycle, row) for row in range(self.array.rows)),
                tuple(self._top(snapshot.cycle, col) for col in range(self.array.cols)),
            )  # fmt: skip

    def _none(self) -> Cells:
        return ((None,) * self.array.cols,) * self.array.rows

    def _crossing(self, snapshot: Snapshot) -> tuple[tuple[int, ...], ...]:
        """Return the step of each PE's moving operand, which was accepted latency + row + column edges ago."""
        return tuple(
            tuple(self._step(snapshot.cycle - self.latency - row - col) if snapshot.valid["inputs"][row, col] else -1
                  for col in range(self.array.cols))
            for row in range(self.array.rows)
        )  # fmt: skip

    def _step(self, edge: int) -> int:
        return self.at[edge][1] if edge >= 0 else -1

    def _left(self, cycle: int, row: int) -> tuple[Slot, ...]:
        """Return what waits in the SRAM register and the skew of a row, nearest to the array first."""
        return tuple(self._slot(edge, row, "accepted") for edge in range(cycle - self.latency - row + 1, cycle + 1))

    def _top(self, cycle: int, col: int) -> tuple[Slot, ...]:
        depth = self.latency + (col if self.os else 1)
        return tuple(self._slot(edge, col, "accepted_weights") for edge in range(cycle - depth + 1, cycle + 1))

    def _slot(self, edge: int, lane: int, which: str) -> Slot:
        fold, step = (self.at if which == "accepted" else self.weights_at)[edge] if edge >= 0 else (-1, -1)
        if fold < 0 or lane >= self._used(fold, which):
            return None
        return int(getattr(self.run.snapshots[edge], which)[lane]), step

    def _used(self, fold: int, which: str) -> int:
        block = self.folds[fold]
        shape = block.inputs.shape[0 if self.os else 1] if which == "accepted" else block.weights.shape[1]
        return int(shape)

    def _phase(self, snapshot: Snapshot) -> str:
        moving, resting, _, _ = WORDS[self.array.dataflow]
        told = [
            (not self.os and snapshot.accepted_weights is not None, f"{resting}s are loaded"),
            (snapshot.accepted is not None, f"{moving}s stream in"),
            (snapshot.accepted is None and bool(snapshot.useful.any()), "the last operands cross"),
            (self.os and bool(snapshot.valid["drain"].any()), "sums drain"), (bool(snapshot.outputs), "outputs leave"),
        ]  # fmt: skip
        return ", ".join(words for so, words in told if so) or "registers pass on"
