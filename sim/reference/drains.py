"""How sums leave an output-stationary grid: all at once and downwards, or each as it is ready and to the right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from sim.arch import Systolic
from sim.reference.grid import Exit
from sim.reference.registers import FIRST, LAST, VALID, Array, Words


class Drain(ABC):
    """The drain registers, one a PE, and the exit behind them."""

    exit: Exit
    registers: Words

    @abstractmethod
    def may_stream(self, started: int) -> bool:
        """Return whether the fold behind `started` others may begin at this edge; called once an edge, first."""

    @abstractmethod
    def take(self, edge: int, ready: Words, sums: Array) -> None:
        """Clock once: add the products `ready` to `sums`, move what drains, let out what is at the exit."""

    @abstractmethod
    def outputs(self, folds: int) -> list[Array]:
        """Return what each fold put out, (rows, columns) of the array."""

    @abstractmethod
    def place(self, lane: int, count: int) -> tuple[int, int, int]:
        """Return fold, row and column of the output that leaves through `lane` behind `count` others."""


class Copied(Drain):
    """`serial` and `overlap`: all sums are copied at one edge, then shift down a row an edge."""

    def __init__(self, array: Systolic, folds: int, dtype: np.dtype[Any]) -> None:
        shape = (array.rows, array.cols)
        self.overlap = array.drain == "overlap"
        self.registers, self.no_row = Words.blank(shape, dtype), Words.blank(array.cols, dtype)
        self.exit = Exit(array.output_register, array.rows * folds, array.cols, dtype)
        self.copy_due = False
        self.copied = 0

    def may_stream(self, started: int) -> bool:
        """Return whether the fold before has left the accumulators, or with a serial drain the array."""
        self.copied += self.copy_due
        return started == (self.copied if self.overlap else self.exit.finished)

    def take(self, edge: int, ready: Words, sums: Array) -> None:
        """Copy and clear the sums one edge after the far corner is complete, else shift; then add."""
        if self.copy_due:
            self.registers.value[:], self.registers.tag[:] = sums, VALID
            self.registers.tag[-1] |= FIRST
            self.registers.tag[0] |= LAST
            sums[:] = 0
        else:
            self.registers.push(self.no_row, axis=0)
        sums += ready.value
        self.copy_due = bool(ready.tag[-1, -1] & LAST)
        self.exit.push(edge, Words(self.registers.value[-1].copy(), self.registers.tag[-1].copy()))

    def outputs(self, folds: int) -> list[Array]:
        """Return the rows of each fold; the bottom one left first."""
        return [rows[::-1] for rows in np.split(self.exit.memory, folds)]

    def place(self, lane: int, count: int) -> tuple[int, int, int]:
        """Return fold, row and column; lanes are columns, the bottom row leaves first."""
        fold, before = divmod(count, len(self.registers.value))
        return fold, len(self.registers.value) - 1 - before, lane


class Streamed(Drain):
    """`stream`: a PE hands its sum over as its last product arrives; a row leaves once its last PE has done so."""

    def __init__(self, array: Systolic, folds: int, dtype: np.dtype[Any]) -> None:
        shape = (array.rows, array.cols)
        self.held, self.registers = np.zeros(shape, dtype), Words.blank(shape, dtype)
        self.no_column = Words.blank(array.rows, dtype)
        self.exit = Exit(array.output_register, array.cols * folds, array.rows, dtype)

    def may_stream(self, started: int) -> bool:
        """Return True: a fold follows its predecessor at once, it meets each PE behind its last product."""
        return True

    def take(self, edge: int, ready: Words, sums: Array) -> None:
        """Add, hand over the sums that are complete, shift all rows right, fill the rows that are complete."""
        sums += ready.value
        last = (ready.tag & LAST).astype(bool)
        np.copyto(self.held, sums, where=last)
        sums[last] = 0
        self.registers.push(self.no_column, axis=1)
        done = last[:, -1]
        self.registers.value[done], self.registers.tag[done] = self.held[done], VALID
        self.registers.tag[done, -1] |= FIRST
        self.registers.tag[done, 0] |= LAST
        self.exit.push(edge, Words(self.registers.value[:, -1].copy(), self.registers.tag[:, -1].copy()))

    def outputs(self, folds: int) -> list[Array]:
        """Return the rows of each fold; the last column left first."""
        return [columns[::-1].T for columns in np.split(self.exit.memory, folds)]

    def place(self, lane: int, count: int) -> tuple[int, int, int]:
        """Return fold, row and column; lanes are rows, the last column leaves first."""
        columns = self.registers.value.shape[1]
        fold, before = divmod(count, columns)
        return fold, lane, columns - 1 - before
