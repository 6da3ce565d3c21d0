"""Transfers in DRAM controllers: what those of one kind teach about the others, and those that are under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, sqrt
from statistics import stdev

import numpy as np
from numpy.typing import NDArray

from sim.dram.counters import Counters
from sim.dram.stream import Transfer
from sim.hardware.unit import Job

LEAST = 8
"""Transfers of a kind that are simulated before others are taken to be like them."""
DEVIATIONS = 4
"""Standard errors that a bound is: 6 of 100,000 normal ones lie beyond, and 6 of 100 of any (Chebyshev)."""
COUNTED = (
    "reads", "writes", "forwarded", "merged", "activates", "precharges", "row_hits", "row_misses", "row_conflicts"
)  # fmt: skip
Counts = NDArray[np.float64]


def counts_of(counters: Counters) -> Counts:
    """Return the counts in the order of COUNTED."""
    return np.array([getattr(counters, name) for name in COUNTED], float)


COLD = -1
"""Stands for the stretch of a transfer that found the controllers empty behind others that were not simulated."""


@dataclass
class Kind:
    """Transfers of one step of a plan behind a load, or behind a store: what those that were simulated took.

    held: cycles for which each held the channel; done: cycles from its start to its last data; the first of each
    stretch of simulated ones, which found the controllers empty (cold), counts only where there is no other. recent:
    those of the last stretch. doubt: standard
    error, in cycles, of those of which blocks stood for the rest. counts: what the banks did for those simulated.
    """

    held: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    cold: list[tuple[int, int]] = field(default_factory=list)
    recent: list[tuple[int, int]] = field(default_factory=list)
    stretch: int = -1
    doubt: float = 0.0
    sent: int = 0
    bursts: int = 0
    taken: int = 0
    counts: Counts = field(default_factory=lambda: np.zeros(len(COUNTED)))

    @property
    def known(self) -> bool:
        """Whether enough were simulated, and their data are there."""
        return len(self.done) + len(self.cold) >= LEAST

    def note(self, held: int, done: int, stretch: int) -> None:
        """Take up a transfer that was simulated, in a stretch with a number, or cold (COLD)."""
        pair = held, max(held, done)
        if stretch == COLD:
            self.cold.append(pair)
            return
        if stretch != self.stretch:
            self.stretch, self.recent = stretch, []
        self.recent.append(pair)
        self.held.append(held)
        self.done.append(done)

    def take(self) -> tuple[int, int]:
        """Return what the next one takes that is not simulated, held and done: as long as one of those that were last,
        in their order, so that it is as often long and short as they are, and each counts as much as any other."""
        pairs = self.recent or self.cold
        self.taken += 1
        return pairs[self.taken % len(pairs)]

    def error(self, row: float) -> float:
        """Return the standard error, in cycles, of what all together took that were not simulated to their end.

        row: cycles to close a row and open another; transfers are taken to differ by that at least. The mean of few
        is the less certain (standard deviation of Student's distribution).
        """
        if not self.taken:
            return self.doubt
        held, done = (self.held, self.done) if self.held else zip(*self.cold, strict=True)
        free = max(3, len(held) - 1)
        each = max(row, _spread(held), _spread(done)) * sqrt(free / (free - 2) / len(held))
        return hypot(self.doubt, self.taken * each)


def _spread(values: Sequence[int]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def mean_of(clocks: Sequence[int]) -> tuple[float, float]:
    """Return the mean time of blocks that ended at `clocks`, and its standard error; the first finds empty queues."""
    times = np.diff(clocks)[1:]
    return float(np.mean(times)), float(np.std(times, ddof=1)) / sqrt(times.size)


@dataclass
class Transit:
    """A job in the controllers: the parts of its transfer, cycles that stand for what was not sent, what it teaches.

    stretch: number of the stretch of simulated ones that it is in, or COLD.
    """

    job: Job
    kind: Kind
    parts: list[Transfer]
    taken: int
    stretch: int
    beyond: int = 0
    held: int | None = None
    done: int | None = None

    def learn(self) -> None:
        """Let the kind know as soon as both are known: how long the channel was held, when the data were there."""
        if self.held is not None and self.done is not None:
            self.kind.note(self.held, self.done, self.stretch)
