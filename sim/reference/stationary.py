"""The weight-stationary grid, register by register; input stationary is the same with the operands exchanged.

    weights, one row an edge             each PE
       |     |     |                        from above: partial sum, next weight
     [SRAM read registers]                    |      |
       v     v     v                          v      v
 x0 > PE -> PE -> PE                     x > [ x · w + sum ] > x
 x1 . PE -> PE -> PE    `.` is a skew         |      |
 x2 : PE -> PE -> PE    register of the       v      v
       |     |     |    input's row           partial sum, next weight
     [output registers]
       v     v     v    outputs, column c is c edges behind column 0

An operand accepted at an edge is multiplied in PE (0, 0) `sram_read_latency` edges later, in PE (r, c) r + c
edges after that. The multiplier has `pe_pipeline` - 1 registers; behind it one register a PE holds the partial
sum, which takes one edge to fall a row. A precision-scalable PE holds `rate` weights along k, and takes as many
inputs at once: their products are added to the sum together. Partial sums always fall through all rows and a fold
ends with the last physical column.

The controller knows counters only:

- weights are accepted one array row an edge, the bottom row first, for as many edges as the array has rows;
- a stream begins once its weights have all been accepted and the stream before it has ended;
- one weight register: the next weights are accepted once the last output of the fold is out;
- two registers, `swap: wave`: a mark on the fold's first input makes each PE take its shadow weight as that
  input arrives; the next weights are accepted once the far corner has done so;
- two registers, `swap: global`: all PEs swap once the last output of the fold before is out and the shadow
  weights are in place; only then may the stream begin, and the next weights are accepted behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sim.arch import Systolic
from sim.reference.grid import GRIDS, Exit, Grid, Reader, stream
from sim.reference.records import Fold, FoldEdges, Snapshot
from sim.reference.registers import FIRST, LAST, USEFUL, Array, Pipeline, Skew, Words, bare, pack, push, value_of


@GRIDS.register("is")
@GRIDS.register("ws")
class Stationary(Grid):
    """Weights wait in the PEs, inputs flow right, partial sums fall down."""

    def __init__(self, array: Systolic, folds: Sequence[Fold], dtype: np.dtype[Any], rate: int = 1) -> None:
        super().__init__(array, folds, dtype, rate)
        latency = array.sram_read_latency
        self.swap = array.swap if array.weight_buffers == 2 else None
        self.input_reader = Reader(folds, lambda fold: stream(pack(fold.inputs, 1, rate), array.rows, dtype))
        self.weight_reader = Reader(folds, self._weight_rows)
        self.no_input = Words.blank((array.rows, rate), dtype)
        self.input_sram = Pipeline(latency, self.no_input)
        # One more than for inputs: PE (0, 0) multiplies an input off the wire, a weight out of its register.
        self.weight_sram = Pipeline[Words | None](latency + 1, None)
        self.skew = Skew(array.rows, dtype, rate)
        self.inputs, self.weights, spare = (Words.blank((*self.shape, rate), dtype) for _ in range(3))
        self.shadow = spare if self.swap else self.weights
        self.multiplier = Pipeline(array.pe_pipeline - 1, Words.blank(self.shape, dtype))
        self.sums, self.summed = np.zeros(self.shape, dtype), np.zeros(self.shape, bool)
        self.ends = np.cumsum([len(fold.inputs) for fold in folds])
        self.exit = Exit(array.output_register, int(self.ends[-1]), array.cols, dtype)
        self.placed = self.swapped = 0
        """Folds whose weights have arrived in the registers that load, and in the ones that multiply."""

    def step(self, edge: int) -> None:
        """Clock everything once: decide, move the weights, swap, move the inputs, multiply, add, let out."""
        self.accepted = self.input_reader.read(edge, self._may_stream())
        self.accepted_weights = self.weight_reader.read(edge, self._may_load())
        self._move_weights()
        self._swap_all()
        self.inputs.push(self.skew.push(self.input_sram.push(self.accepted or self.no_input)), axis=1)
        self._swap_with_the_wave()
        self.useful = (self.inputs.tag & self.weights.tag & USEFUL).astype(bool)
        product = Words((self.inputs.value * self.weights.value).sum(axis=-1), self.inputs.tag[..., 0].copy())
        ready = self.multiplier.push(product)
        push(self.sums, 0, axis=0)
        self.sums += ready.value
        self.summed = ready.tag.astype(bool)
        self.exit.push(edge, Words(self.sums[-1].copy(), ready.tag[-1]))

    def _may_stream(self) -> bool:
        """Whether the next fold's weights have been accepted and, but for the wave, the array is empty."""
        loaded = self.weight_reader.ended > self.input_reader.started
        return loaded and (self.swap == "wave" or self.exit.finished == self.input_reader.started)

    def _may_load(self) -> bool:
        """Whether the weight registers that load are free: as many folds have left them as were loaded."""
        free = {None: self.exit.finished, "wave": self.swapped, "global": self.input_reader.started}[self.swap]
        return self.weight_reader.started == free

    def _move_weights(self) -> None:
        row = self.weight_sram.push(self.accepted_weights)
        if row is not None:
            self.shadow.push(row, axis=0)
            self.placed += bool(row.tag[-1, 0] & LAST)

    def _swap_all(self) -> None:
        if self.swap == "global" and self.placed > self.swapped == self.exit.finished:
            self.weights = self.shadow.copy()
            self.swapped += 1

    def _swap_with_the_wave(self) -> None:
        if self.swap == "wave":
            first = (self.inputs.tag & FIRST).astype(bool)
            self.weights.take(self.shadow, where=first)
            self.swapped += bool(first[-1, -1, 0])

    def _weight_rows(self, fold: Fold) -> Iterator[Words]:
        """Yield the weights of `fold` as array rows, the bottom row first; unused PEs get zeros."""
        held = pack(fold.weights, 0, self.rate)
        used_rows, used_cols, _ = held.value.shape
        block = Words.blank((self.array.rows, used_cols, self.rate), self.dtype)
        block.value[:used_rows] = held.value
        block.tag[:] = USEFUL  # which elements count is known from the inputs
        return stream(Words(block.value[::-1], block.tag), self.array.cols, self.dtype)

    def snapshot(self, edge: int) -> Snapshot:
        """Return copies of all registers, just after `edge`."""
        return Snapshot(
            cycle=edge,
            inputs=bare(self.inputs.value).copy(),
            weights=bare(self.weights.value).copy(),
            shadow=None if self.shadow is self.weights else bare(self.shadow.value).copy(),
            sums=self.sums.copy(),
            drain=None,
            useful=bare(self.useful),
            accepted=value_of(self.accepted),
            accepted_weights=value_of(self.accepted_weights),
            leaving=self.exit.leaving.value,
            leaves=self.exit.leaving.tag.astype(bool),
            valid={
                "inputs": bare(self.inputs.tag & USEFUL).astype(bool), "weights": bare(self.weights.tag).astype(bool),
                "shadow": bare(self.shadow.tag).astype(bool), "sums": self.summed,
            },
            outputs=self.arrived,
        )  # fmt: skip

    def outputs(self) -> Iterator[Array]:
        """Yield the product of each fold, (streamed rows, used columns)."""
        for fold, rows in zip(self.folds, np.split(self.exit.memory, self.ends[:-1]), strict=True):
            yield rows[:, : fold.weights.shape[1]]

    def place(self, lane: int, count: int) -> tuple[int, int, int]:
        """Return fold, row and column of the output that leaves column `lane` behind `count` others."""
        fold = int(np.searchsorted(self.ends, count, side="right"))
        return fold, count - int(self.ends[fold] - len(self.folds[fold].inputs)), lane

    def edges(self) -> Iterator[FoldEdges]:
        """Yield the times of each fold."""
        readers = self.weight_reader.starts, self.input_reader.starts
        times = zip(*readers, self.exit.first_edges, self.exit.last_edges, strict=True)
        return (FoldEdges(*edges) for edges in times)
