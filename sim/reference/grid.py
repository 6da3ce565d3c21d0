"""What both kinds of grid share: the reader of the operand memories, the exit, and the clock's interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from sim.arch import Systolic
from sim.reference.records import Fold, FoldEdges, Snapshot
from sim.reference.registers import FIRST, LAST, VALID, Array, Pipeline, Words
from sim.registry import Registry

T = TypeVar("T")


class Reader(Generic[T]):
    """Reads the words of one fold after another from a memory, one address an edge without a gap in a fold.

    A fold begins at the first edge at which the controller lets it. `starts` holds those edges, `ended`
    counts the folds that have been read to their last word.
    """

    def __init__(self, folds: Sequence[Fold], words: Callable[[Fold], Iterable[T]]) -> None:
        self._folds, self._words = folds, words
        self._current: list[T] = []
        self.starts: list[int] = []
        self.ended = 0

    @property
    def started(self) -> int:
        """Folds of which a word has been read."""
        return len(self.starts)

    def read(self, edge: int, may_start: bool) -> T | None:
        """Return the word accepted at `edge`, None where there is none; a new fold only if it `may_start`."""
        if not self._current:
            if not may_start or self.started == len(self._folds):
                return None
            self._current = list(self._words(self._folds[self.started]))[::-1]
            self.starts.append(edge)
        word = self._current.pop()
        self.ended += not self._current
        return word


class Exit:
    """The last registers below the grid, and the memory behind them that takes every valid output."""

    def __init__(self, depth: int, rows: int, cols: int, dtype: np.dtype[Any]) -> None:
        self._registers = Pipeline(depth, Words.blank(cols, dtype))
        self._taken = np.zeros(cols, np.int64)
        self.memory = np.zeros((rows, cols), dtype)
        self.leaving = Words.blank(cols, dtype)
        self.taken: list[tuple[int, int]] = []
        """Lanes whose output was stored at the last edge, and how many each had stored before."""
        self.first_edges: list[int] = []
        self.last_edges: list[int] = []

    @property
    def finished(self) -> int:
        """Folds whose last output has left the last column."""
        return len(self.last_edges)

    def push(self, edge: int, bottom: Words) -> None:
        """Clock once: take in what the bottom row of the grid holds, store what leaves and is valid."""
        self.leaving = self._registers.push(bottom)
        columns = np.flatnonzero(self.leaving.tag & VALID)
        self.taken = list(zip(columns.tolist(), self._taken[columns].tolist(), strict=True))
        self.memory[self._taken[columns], columns] = self.leaving.value[columns]
        self._taken[columns] += 1
        if self.leaving.tag[-1] & FIRST:
            self.first_edges.append(edge)
        if self.leaving.tag[-1] & LAST:
            self.last_edges.append(edge)


class Grid(ABC):
    """PEs, the registers around them and their controller, under one clock."""

    on_rows: ClassVar[int] = 1
    """Which axis of a fold's inputs lies on the rows of the array."""
    useful: Array
    """Which PEs did a multiply that counts at the last edge; boolean, shape (rows, cols, rate)."""
    exit: Exit

    def __init__(self, array: Systolic, folds: Sequence[Fold], dtype: np.dtype[Any], rate: int = 1) -> None:
        self.array, self.folds, self.dtype, self.rate = array, folds, dtype, rate
        self.shape = (array.rows, array.cols)

    @abstractmethod
    def step(self, edge: int) -> None:
        """Clock everything once."""

    @abstractmethod
    def snapshot(self, edge: int) -> Snapshot:
        """Return copies of all registers, just after `edge`."""

    @abstractmethod
    def outputs(self) -> Iterator[Array]:
        """Yield the product of each fold, unused rows and columns cut off."""

    @abstractmethod
    def edges(self) -> Iterator[FoldEdges]:
        """Yield the times of each fold."""

    @abstractmethod
    def place(self, lane: int, count: int) -> tuple[int, int, int]:
        """Return fold, row and column of the output that leaves through `lane` behind `count` others."""

    @property
    def arrived(self) -> tuple[tuple[int, int, int], ...]:
        """Fold, row and column of the outputs stored at the last edge, unused rows and columns left out."""
        places = (self.place(lane, count) for lane, count in self.exit.taken)
        return tuple(place for place in places if self._used(*place))

    def _used(self, fold: int, row: int, col: int) -> bool:
        return row < len(self.folds[fold].inputs) and col < self.folds[fold].weights.shape[1]

    @property
    def finished(self) -> bool:
        """Whether the last output of the last fold has left."""
        return self.exit.finished == len(self.folds)


GRIDS: Registry[type[Grid]] = Registry("register-level model", "sim.reference")
"""Dataflow to the grid that executes it; each registers itself in its own file."""


def stream(block: Words, lanes: int, dtype: np.dtype[Any]) -> Iterator[Words]:
    """Yield the rows of `block` (steps, used lanes, rate) as words of `lanes` lanes, the unused ones zero.

    Unused lanes carry the same first and last marks: the hardware does not know that they are unused.
    """
    steps, used, rate = block.value.shape
    words = Words.blank((steps, lanes, rate), dtype)
    words.value[:, :used] = block.value
    words.tag[:] = VALID
    words.tag[:, :used] |= block.tag
    words.tag[0] |= FIRST
    words.tag[-1] |= LAST
    return (Words(value, tag) for value, tag in zip(words.value, words.tag, strict=True))
