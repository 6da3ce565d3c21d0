"""The output-stationary grid, register by register.

        w0    w1    w2                   each PE
       |     .     :    `.` is a skew      w
     [SRAM read registers]  register       v
       v     v     v                   x > [ accumulator += x · w ] > x
 x0 > PE -> PE -> PE                       v
 x1 . PE -> PE -> PE                       w
 x2 : PE -> PE -> PE
     [drain registers, one a PE]        copied from all accumulators at one edge,
       v     v     v                    then shifted down one array row an edge
     [output registers]

Step k of a fold is accepted by both memories at the same edge and multiplied in PE (0, 0) `sram_read_latency`
edges later, in PE (r, c) r + c edges after that. The multiplier has `pe_pipeline` - 1 registers; behind it the
product is added to the accumulator.

The controller reacts to marks and counters only:

- one edge after the far corner has added the product that carries the last mark, all accumulators are copied to
  the drain registers and cleared; a product that arrives at that very edge starts the next sum;
- the array row nearest the exit leaves first; all rows of the physical array leave;
- `drain: serial`: a stream begins once the last row of the fold before is out;
- `drain: overlap`: it begins at the edge of the copy. The drain registers are free again before the next one:
  the far corner lies rows - 1 edges behind PE (0, 0), and the copy one edge behind that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from sim.arch import Systolic
from sim.reference.grid import GRIDS, Exit, Grid, Reader, stream
from sim.reference.records import Fold, FoldEdges, Snapshot
from sim.reference.registers import FIRST, LAST, USEFUL, VALID, Array, Pipeline, Skew, Words, value_of


@GRIDS.register("os")
class OutputStationary(Grid):
    """Sums grow in the PEs, inputs flow right, weights flow down."""

    on_rows: ClassVar[int] = 0

    def __init__(self, array: Systolic, folds: Sequence[Fold], dtype: np.dtype[Any]) -> None:
        super().__init__(array, folds, dtype)
        rows, cols = self.shape
        self.reader = Reader(folds, self._steps)
        self.nothing = Words.blank(rows, dtype), Words.blank(cols, dtype)
        self.sram = Pipeline(array.sram_read_latency, self.nothing)
        self.input_skew, self.weight_skew = Skew(rows, dtype), Skew(cols, dtype)
        self.inputs, self.weights = Words.blank(self.shape, dtype), Words.blank(self.shape, dtype)
        self.multiplier = Pipeline(array.pe_pipeline - 1, Words.blank(self.shape, dtype))
        self.sums = np.zeros(self.shape, dtype)
        self.drain = Words.blank(self.shape, dtype)
        self.no_row = Words.blank(cols, dtype)
        self.exit = Exit(array.output_register, rows * len(folds), cols, dtype)
        self.copy_due = False
        self.copied = 0

    def step(self, edge: int) -> None:
        """Clock everything once: decide, move the operands, multiply, drain, add, let out."""
        self.copied += self.copy_due
        self.accepted = self.reader.read(edge, self._may_stream())
        inputs, weights = self.sram.push(self.accepted or self.nothing)
        self.inputs.push(self.input_skew.push(inputs), axis=1)
        self.weights.push(self.weight_skew.push(weights), axis=0)
        self.useful = (self.inputs.tag & self.weights.tag & USEFUL).astype(bool)
        product = Words(self.inputs.value * self.weights.value, self.inputs.tag.copy())
        ready = self.multiplier.push(product)
        self._move_drain()
        self.sums += ready.value
        self.copy_due = bool(ready.tag[-1, -1] & LAST)
        self.exit.push(edge, Words(self.drain.value[-1].copy(), self.drain.tag[-1].copy()))

    def _may_stream(self) -> bool:
        """Whether the fold before has left the accumulators, or with a serial drain the array."""
        gone = self.copied if self.array.drain == "overlap" else self.exit.finished
        return self.reader.started == gone

    def _move_drain(self) -> None:
        if not self.copy_due:
            self.drain.push(self.no_row, axis=0)
            return
        self.drain.value[:], self.drain.tag[:] = self.sums, VALID
        self.drain.tag[-1] |= FIRST
        self.drain.tag[0] |= LAST
        self.sums[:] = 0

    def _steps(self, fold: Fold) -> Iterator[tuple[Words, Words]]:
        """Yield, for each step of the reduction, the words for the rows and for the columns."""
        rows, cols = self.shape
        return zip(stream(fold.inputs.T, rows, self.dtype), stream(fold.weights, cols, self.dtype), strict=True)

    def snapshot(self, edge: int) -> Snapshot:
        """Return copies of all registers, just after `edge`."""
        inputs, weights = self.accepted or (None, None)
        return Snapshot(
            cycle=edge,
            inputs=self.inputs.value.copy(),
            weights=self.weights.value.copy(),
            shadow=None,
            sums=self.sums.copy(),
            drain=self.drain.value.copy(),
            useful=self.useful,
            accepted=value_of(inputs),
            accepted_weights=value_of(weights),
            leaving=self.exit.leaving.value,
            leaves=self.exit.leaving.tag.astype(bool),
        )

    def outputs(self) -> Iterator[Array]:
        """Yield the product of each fold, (used rows, used columns)."""
        for fold, rows in zip(self.folds, np.split(self.exit.memory, len(self.folds)), strict=True):
            yield rows[::-1][: len(fold.inputs), : fold.weights.shape[1]]

    def edges(self) -> Iterator[FoldEdges]:
        """Yield the times of each fold."""
        times = zip(self.reader.starts, self.exit.first_edges, self.exit.last_edges, strict=True)
        return (FoldEdges(None, *edges) for edges in times)
