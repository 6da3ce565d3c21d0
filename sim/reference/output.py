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
product is added to the accumulator. A precision-scalable PE takes `rate` steps at once and adds all their products.

The controller reacts to marks and counters only:

- one edge after the far corner has added the product that carries the last mark, all accumulators are copied to
  the drain registers and cleared; a product that arrives at that very edge starts the next sum;
- the array row nearest the exit leaves first; all rows of the physical array leave;
- `drain: serial`: all sums drain at once, downwards; a stream begins once the last row of the fold before is out;
- `drain: overlap`: it begins at the edge of the copy. The drain registers are free again before the next one:
  the far corner lies rows - 1 edges behind PE (0, 0), and the copy one edge behind that;
- `drain: stream`: the next fold follows at once. A PE hands its sum to a register of its own as the product that
  carries the last mark is added; once the last PE of an array row has, the row moves into its drain registers and
  shifts right, one column an edge, the last column first. These are free again for the next fold as long as it
  takes at least as many steps as there are columns: shorter ones are padded with steps of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from sim.arch import Systolic
from sim.reference.drains import Copied, Streamed
from sim.reference.grid import GRIDS, Grid, Reader, stream
from sim.reference.records import Fold, FoldEdges, Snapshot
from sim.reference.registers import USEFUL, Array, Pipeline, Skew, Words, bare, pack, value_of


@GRIDS.register("os")
class OutputStationary(Grid):
    """Sums grow in the PEs, inputs flow right, weights flow down."""

    on_rows: ClassVar[int] = 0

    def __init__(self, array: Systolic, folds: Sequence[Fold], dtype: np.dtype[Any], rate: int = 1) -> None:
        super().__init__(array, folds, dtype, rate)
        rows, cols = self.shape
        self.reader = Reader(folds, self._steps)
        self.nothing = Words.blank((rows, rate), dtype), Words.blank((cols, rate), dtype)
        self.sram = Pipeline(array.sram_read_latency, self.nothing)
        self.input_skew, self.weight_skew = Skew(rows, dtype, rate), Skew(cols, dtype, rate)
        self.inputs, self.weights = (Words.blank((*self.shape, rate), dtype) for _ in range(2))
        self.multiplier = Pipeline(array.pe_pipeline - 1, Words.blank(self.shape, dtype))
        self.sums = np.zeros(self.shape, dtype)
        self.drain = (Streamed if array.drain == "stream" else Copied)(array, len(folds), dtype)
        self.exit = self.drain.exit

    def step(self, edge: int) -> None:
        """Clock everything once: decide, move the operands, multiply, drain, add, let out."""
        self.accepted = self.reader.read(edge, self.drain.may_stream(self.reader.started))
        inputs, weights = self.sram.push(self.accepted or self.nothing)
        self.inputs.push(self.input_skew.push(inputs), axis=1)
        self.weights.push(self.weight_skew.push(weights), axis=0)
        self.useful = (self.inputs.tag & self.weights.tag & USEFUL).astype(bool)
        product = Words((self.inputs.value * self.weights.value).sum(axis=-1), self.inputs.tag[..., 0].copy())
        self.drain.take(edge, self.multiplier.push(product), self.sums)

    def _steps(self, fold: Fold) -> Iterator[tuple[Words, Words]]:
        """Yield, for each step of the reduction, the words for the rows and for the columns."""
        rows, cols = self.shape
        blocks = [pack(block, 0, self.rate) for block in (fold.inputs.T, fold.weights)]
        more = max(0, cols - len(blocks[0].value)) if self.array.drain == "stream" else 0
        padding = ((0, more), (0, 0), (0, 0))
        padded = [Words(np.pad(block.value, padding), np.pad(block.tag, padding)) for block in blocks]
        lanes = (stream(block, side, self.dtype) for block, side in zip(padded, (rows, cols), strict=True))
        return zip(*lanes, strict=True)

    def snapshot(self, edge: int) -> Snapshot:
        """Return copies of all registers, just after `edge`."""
        inputs, weights = self.accepted or (None, None)
        return Snapshot(
            cycle=edge,
            inputs=bare(self.inputs.value).copy(),
            weights=bare(self.weights.value).copy(),
            shadow=None,
            sums=self.sums.copy(),
            drain=self.drain.registers.value.copy(),
            useful=bare(self.useful),
            accepted=value_of(inputs),
            accepted_weights=value_of(weights),
            leaving=self.exit.leaving.value,
            leaves=self.exit.leaving.tag.astype(bool),
            valid={
                "inputs": bare(self.inputs.tag & USEFUL).astype(bool),
                "weights": bare(self.weights.tag & USEFUL).astype(bool),
                "sums": np.ones(self.shape, bool), "drain": self.drain.registers.tag.astype(bool),
            },
            outputs=self.arrived,
        )  # fmt: skip

    def outputs(self) -> Iterator[Array]:
        """Yield the product of each fold, (used rows, used columns)."""
        for fold, block in zip(self.folds, self.drain.outputs(len(self.folds)), strict=True):
            yield block[: len(fold.inputs), : fold.weights.shape[1]]

    def place(self, lane: int, count: int) -> tuple[int, int, int]:
        """Return fold, row and column of the output that leaves through `lane` behind `count` others."""
        return self.drain.place(lane, count)

    def edges(self) -> Iterator[FoldEdges]:
        """Yield the times of each fold."""
        times = zip(self.reader.starts, self.exit.first_edges, self.exit.last_edges, strict=True)
        return (FoldEdges(None, *edges) for edges in times)
