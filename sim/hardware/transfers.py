"""Transfers in DRAM controllers: what those of one kind teach about the others, and those that are under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sim.dram.counters import Counters
from sim.dram.stream import Transfer
from sim.hardware.unit import Job

SETTLED = 3
"""Transfers of a kind, and blocks of a transfer, that are measured at least."""
AGREE = 0.01
"""Share of the mean by which one more transfer may move it at most, or a block differ from the one before."""
PATIENCE = 8
"""Transfers of a kind that are measured at most."""
COUNTED = (
    "reads", "writes", "forwarded", "merged", "activates", "precharges", "row_hits", "row_misses", "row_conflicts"
)  # fmt: skip
Counts = NDArray[np.float64]


def counts_of(counters: Counters) -> Counts:
    """Return the counts in the order of COUNTED."""
    return np.array([getattr(counters, name) for name in COUNTED], float)


@dataclass
class Kind:
    """Transfers of one kind: cycles for which each measured one held the channel, cycles from its start to its last
    data, by how much that may be off where blocks stood for the rest, and how many were sent, with how many
    bursts, and what the banks did for all of them. `cost` is (held, done) of all others, once that is known."""

    held: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    doubt: int = 0
    sent: int = 0
    bursts: int = 0
    counts: Counts = field(default_factory=lambda: np.zeros(len(COUNTED)))
    cost: tuple[int, int] | None = None

    def note(self, held: int, done: int) -> None:
        """Take up a measured transfer; fix the cost of all others where the last ones agree, or were enough."""
        self.held.append(held)
        self.done.append(done)
        if len(self.done) >= PATIENCE or (_settled(self.held) and _settled(self.done)):
            hold, there = (round(_means(v)[-1]) for v in (self.held, self.done))
            self.cost = hold, max(hold, there)

    @property
    def off(self) -> float:
        """Cycles by which one that was not measured may differ from what it is taken for: as much as any measured one
        does, what blocks left open, and what was rounded."""
        return max(_widest(self.held), _widest(self.done)) + self.doubt + 0.5


def _widest(values: Sequence[int]) -> float:
    mean = _means(values)[-1]
    return max(abs(value - mean) for value in values)


def _means(values: Sequence[int]) -> list[float]:
    """Return the mean of the first two, three, ... values, but the very first, which may have found rows closed."""
    later = values[1:] or values
    return [total / count for count, total in enumerate(accumulate(later), start=1)]


def _settled(values: Sequence[int]) -> bool:
    """Whether one more value hardly moves the mean."""
    means = _means(values)[-2:]
    return len(values) >= SETTLED and abs(means[1] - means[0]) <= AGREE * means[1]


def drift(clocks: Sequence[int]) -> int:
    """Return by how many clocks the last block took more or less than the one before."""
    return abs(clocks[-1] - 2 * clocks[-2] + clocks[-3])


@dataclass
class Transit:
    """A job in the controllers: the parts of its transfer, cycles that stand for what was not sent, what it teaches."""

    job: Job
    kind: Kind
    parts: list[Transfer]
    taken: int
    beyond: int = 0
    held: int | None = None
    done: int | None = None

    def learn(self) -> None:
        """Let the kind know as soon as both are known: how long the channel was held, when the data were there."""
        if self.held is not None and self.done is not None:
            self.kind.note(self.held, self.done)
