"""Where every cycle of every unit went: one cause each, and they add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import Any

CAUSES = (
    "compute", "fill", "drain", "wait_input", "wait_weight", "wait_tier", "wait_output_space", "wait_port",
    "wait_dependency", "idle",
)  # fmt: skip
"""The causes, in the order in which tables show them. On the off-chip channel `compute` is transfer."""


REPEATS = "repeats"
"""In slices: iterations of a settled loop that were skipped, all like the one before them."""

Slice = tuple[int, int, int, str]
"""Cycles [start, end) of one layer (-1: none) under one cause, REPEATS included."""


@dataclass
class Ledger:
    """Cycles of one unit by layer and cause, written from left to right without gaps."""

    until: int = 0
    cycles: dict[tuple[int, str], int] = field(default_factory=dict)
    work: int = 0
    """Cycles that the jobs begun so far keep the unit busy at least, skipped ones included."""
    slices: list[Slice] | None = None
    """The same cycles in order of time, where a run records them; neighbours that agree are one."""

    def advance(self, until: int, layer: int, cause: str) -> int:
        """Give the cycles from where the ledger stands to `until` to a cause; return how many they were."""
        amount = until - self.until
        if amount <= 0:
            return 0
        self.add(layer, cause, amount)
        self._record(until, layer, cause)
        self.until = until
        return amount

    def skip(self, amount: int) -> None:
        """Move over skipped iterations, whose cycles are booked apart."""
        if amount:
            self._record(self.until + amount, self.slices[-1][2] if self.slices else -1, REPEATS)
            self.until += amount

    def _record(self, until: int, layer: int, cause: str) -> None:
        if self.slices is None:
            return
        if self.slices and self.slices[-1][2:] == (layer, cause):
            self.slices[-1] = (self.slices[-1][0], until, layer, cause)
        else:
            self.slices.append((self.until, until, layer, cause))

    def add(self, layer: int, cause: str, amount: int) -> None:
        """Book `amount` cycles without moving."""
        key = (layer, cause)
        self.cycles[key] = self.cycles.get(key, 0) + amount

    def by_cause(self) -> dict[str, int]:
        """Return the cycles of each cause, zeros included, over all layers."""
        return {cause: sum(c for (_, k), c in self.cycles.items() if k == cause) for cause in CAUSES}

    def of_layer(self, layer: int) -> dict[str, int]:
        """Return the cycles of each cause that `layer` has."""
        return {cause: self.cycles[layer, cause] for cause in CAUSES if (layer, cause) in self.cycles}


@dataclass
class Occupancy:
    """Bytes in a buffer over time, and the most there ever were in a cycle.

    What goes in a cycle leaves its place to what comes in it. Who comes may be known before its time.
    """

    now: int = 0
    most: int = 0
    clock: Callable[[int], int] | None = None
    """Says which cycle of the run a moment is, where a run records them."""
    samples: list[tuple[int, int]] = field(default_factory=list)
    """Cycle and bytes from then on, in order of time, where a run records them."""
    coming: list[tuple[int, int]] = field(default_factory=list)
    """When what bytes come that are not counted yet, a heap."""

    def take(self, amount: int, at: int) -> None:
        """Add bytes from moment `at` on."""
        heappush(self.coming, (at, amount))

    def give(self, amount: int, at: int) -> None:
        """Remove bytes at moment `at`, the latest so far."""
        self.settle(at)
        self._count(at, -amount)

    def settle(self, before: float = inf) -> None:
        """Count what came before a moment."""
        while self.coming and self.coming[0][0] < before:
            self._count(*heappop(self.coming))
            self.most = max(self.most, self.now)

    def _count(self, at: int, amount: int) -> None:
        self.now += amount
        if self.clock is not None:
            self.samples.append((self.clock(at), self.now))


@dataclass
class Timeline:
    """What the engine found: the end, each unit's ledger, each layer's span, each buffer's peak, what DRAM did."""

    cycles: int
    ledgers: dict[str, Ledger]
    spans: list[tuple[int, int]]
    peaks: dict[str, int]
    dram: dict[str, dict[str, Any]] = field(default_factory=dict)
    occupancy: dict[str, list[tuple[int, int]]] = field(default_factory=dict, compare=False)
    """Cycle and bytes of tiles from then on, by buffer, where the run recorded them."""
    repeats: list[tuple[int, int, int]] = field(default_factory=list, compare=False)
    """Start, end and period of skipped iterations, in which everything is as in the period before."""
    kept: dict[str, list[int]] = field(default_factory=dict)
    """Bytes of activations that are kept for later layers, by buffer, layer by layer."""
