"""A channel as the vectorized engine sees it: the row at hand, and of the past only what a row can still feel."""

from __future__ import annotations

import numpy as np

from sim.streaming.net import Net
from sim.streaming.outcome import Cycles, peak

NEVER = -(1 << 60)
"""The cycle at which a slot was freed that was never taken: it delays nobody."""
SPARE_ROWS = 16
"""Rows that fit into the buffer beside the past that must be kept, so that the past is moved seldom."""


class Stream:
    """Arrivals and freed slots of one channel, `row` tokens a row.

    Invariant: before a row, `_slots[:_at]` ends with the slots freed so far, at least as many as a push can reach
    back or an occupancy can count; `_arrivals[:initial]` are the tokens left over from the rows before.
    """

    def __init__(self, net: Net, channel: int, row: int) -> None:
        """Start at cycle 0 with rows of `row` tokens; later ones may be shorter."""
        self.row, self.initial, self.reach = row, net.initial[channel], net.reach[channel]
        self.peak = self.initial
        self._arrivals = np.zeros(self.initial + row, np.int64)
        self._at = self._past = max(self.reach or 0, row)
        self._slots = np.full(self._at + (SPARE_ROWS + 1) * row, NEVER, np.int64)

    @property
    def ready(self) -> Cycles:
        """When each token that the consumer takes in this row can be taken."""
        return self._arrivals[: self.row]

    @property
    def slots(self) -> Cycles | None:
        """When the slot for each push of this row is free; None where there is always one."""
        return None if self.reach is None else self._slots[self._at - self.reach : self._at - self.reach + self.row]

    @property
    def arrived(self) -> Cycles:
        """When each token pushed in this row can be taken."""
        return self._arrivals[self.initial : self.initial + self.row]

    @property
    def freed(self) -> Cycles:
        """When each slot given back in this row is free."""
        return self._slots[self._at : self._at + self.row]

    @property
    def carried(self) -> Cycles:
        """When each token left over from the rows before can be taken."""
        return self._arrivals[: self.initial]

    def credits(self) -> Cycles:
        """Return when the slots for the first pushes of this row are free, as far as earlier rows decide it."""
        if self.reach is None:
            return np.full(self.row, NEVER, np.int64)
        return self._slots[self._at - self.reach : self._at - max(0, self.reach - self.row)]

    def set_arrived(self, times: Cycles) -> bool:
        """Put the arrivals of this row in; return whether that changed what the consumer takes in this row."""
        matters = max(0, self.row - self.initial)
        changed = not np.array_equal(self.arrived[:matters], times[:matters])
        self.arrived[:] = times
        return changed

    def set_freed(self, times: Cycles) -> bool:
        """Put the freed slots of this row in; return whether that changed what a push in this row waits for."""
        matters = 0 if self.reach is None else max(0, self.row - self.reach)
        changed = not np.array_equal(self.freed[:matters], times[:matters])
        self.freed[:] = times
        return changed

    def observe(self, pushed: Cycles) -> None:
        """Count the slots taken at each push of the finished row; `peak` is the most."""
        start = self._at + self.initial - self.peak
        if np.any(self._slots[start : start + self.row] > pushed):
            known = self._slots[: self._at + self.row]
            self.peak = max(self.peak, peak(self.initial, pushed, known, self._at))

    def live(self, time: int) -> Cycles:
        """Return when the slots are free that at `time` are not."""
        return self._slots[self._at - self.taken(time) : self._at]

    def taken(self, time: int) -> int:
        """Return how many slots are not yet free at `time`."""
        return self._at - int(np.searchsorted(self._slots[: self._at], time, side="right"))

    def advance(self, time: int) -> None:
        """End the row; the producer, whose local time is `time`, goes on to the next."""
        self._at += self.row
        self._arrivals[: self.initial] = self._arrivals[self.row : self.row + self.initial].copy()
        if self._at + self.row > len(self._slots):
            keep = max(self._past, self.peak, self.taken(time))
            kept = self._slots[self._at - keep : self._at]
            self._slots = np.concatenate((kept, np.full(SPARE_ROWS * self.row + keep, NEVER, np.int64)))
            self._at = keep

    def guess(self, producer: int, consumer: int) -> None:
        """Let this row be the one before, its arrivals `producer` and its freed slots `consumer` cycles later."""
        self.arrived[:] += producer
        np.add(self._slots[self._at - self.row : self._at], consumer, out=self.freed)

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self._slots[: self._at] += cycles
        self._arrivals += cycles
