"""Transfers in DRAM controllers: what those of one kind teach about the others, and those that are under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from sim.dram.counters import Counters
from sim.dram.stream import Transfer
from sim.hardware.unit import Job

LEAST = 16
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
    """Transfers of one step of a plan behind such and such others: what those that were simulated took.

    warm: of each, in their order, the cycles for which it held the channel, and those from its start to its last
    data; cold: of those that found the controllers empty, which count only where there are few others. uses: how
    many that were not simulated took what each of them did. stretch: where the last stretch begins in `warm`, and its
    number. doubt: standard error, in cycles, of those of which blocks stood for the rest. counts: what the banks did.
    """

    write: bool = False
    warm: list[tuple[int, int]] = field(default_factory=list)
    cold: list[tuple[int, int]] = field(default_factory=list)
    uses: Counter[tuple[bool, int]] = field(default_factory=Counter)
    stretch: tuple[int, int] = (0, -1)
    doubt: float = 0.0
    sent: int = 0
    bursts: int = 0
    taken: int = 0
    counts: Counts = field(default_factory=lambda: np.zeros(len(COUNTED)))

    @property
    def known(self) -> bool:
        """Whether enough were simulated, and their data are there."""
        return len(self.warm) + len(self.cold) >= LEAST

    def note(self, held: int, done: int, stretch: int) -> None:
        """Take up a transfer that was simulated, in a stretch with a number, or cold (COLD)."""
        pair = held, max(held, done)
        if stretch == COLD:
            self.cold.append(pair)
            return
        if stretch != self.stretch[1]:
            self.stretch = len(self.warm), stretch
        self.warm.append(pair)

    def take(self) -> tuple[int, int]:
        """Return what the next one takes that is not simulated, held and done: as long as one of those that were last,
        in their order, so that it is as often long and short as they are, and each counts as much as any other."""
        pairs = self.warm or self.cold
        first = max(0, min(self.stretch[0], len(pairs) - LEAST)) if self.warm else 0
        index = first + self.taken % (len(pairs) - first)
        self.taken += 1
        self.uses[bool(self.warm), index] += 1
        return pairs[index]

    def limit(self, memory: Waits) -> float:
        """Return by how many cycles all together may differ that were not simulated to their end.

        Of N transfers that took what others took, these being used u times each, the sum has a standard error of the
        deviation of one times sqrt(N + sum of u * u). The deviation is that of all that were simulated, but at least
        that of a row that is opened or not, and of a refresh that is met or not. Quantile of Student's distribution.
        """
        if not self.taken:
            return DEVIATIONS * self.doubt
        pairs = self.warm if len(self.warm) >= LEAST else self.warm + self.cold
        held, done = zip(*pairs, strict=True)
        each = max(memory.deviation(fmean(done)), stdev(held), stdev(done))
        weight = sqrt(self.taken + sum(times * times for times in self.uses.values()))
        return hypot(DEVIATIONS * self.doubt, student(len(pairs) - 1) * each * weight)


@dataclass(frozen=True)
class Waits:
    """What a transfer meets or misses, in cycles: a row to close and open, and a refresh that comes every interval."""

    row: float
    refresh: float
    interval: float

    def deviation(self, cycles: float) -> float:
        """Return the standard deviation of what such a transfer takes at least, from these two alone."""
        share = cycles / self.interval % 1 if self.interval else 0.0
        return hypot(self.row, self.refresh * sqrt(share * (1 - share)))


def student(free: int) -> float:
    """Return the quantile beyond which Student's distribution has as much as a normal one beyond DEVIATIONS.

    free: degrees of freedom, 7 at least, where the terms fall fast (Abramowitz and Stegun, Handbook of Mathematical
    Functions, 26.7.5).
    """
    x, n = float(DEVIATIONS), float(free)
    terms = (
        x, (x**3 + x) / 4, (5 * x**5 + 16 * x**3 + 3 * x) / 96, (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )  # fmt: skip
    return sum(term / n**power for power, term in enumerate(terms))


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
