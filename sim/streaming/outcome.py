"""What an engine hands back: when each unit ended, what each channel saw, and who is blocked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.streaming.blocking import Wait, Window
from sim.streaming.net import Net
from sim.streaming.ports import Memory

Cycles = NDArray[np.int64]
"""Cycles, one for each token or firing, in order."""


@dataclass(frozen=True)
class Outcome:
    """A run in numbers, by index of `Net`. `times`: local time of each unit at its end, or where it is blocked.

    `full`, `empty`: cycles in which a channel's producer waited for a slot, and its consumer for a token. `peak`: most
    tokens in it at the end of a cycle, a slot being taken from its push until it can be used again. `pushed`,
    `freed`: how many pushes were made and slots given back. `blocked`: unit to the channel whose token it waits for,
    or to ~channel where it waits for a slot. `engine` is the one that found it; `memory` what the ports did; `waits`
    those of each unit in order, where they were recorded.
    """

    times: tuple[int, ...]
    full: tuple[int, ...]
    empty: tuple[int, ...]
    peak: tuple[int, ...]
    pushed: tuple[int, ...]
    freed: tuple[int, ...]
    blocked: dict[int, int]
    engine: str
    memory: Memory | None = None
    waits: Sequence[Sequence[Wait]] | None = None

    @property
    def cycles(self) -> int:
        """The end of the last unit, from cycle 0."""
        return max(self.times)


def of_window(net: Net, window: Window, memory: Memory | None = None) -> Outcome:
    """Return the outcome of a window that was the whole run."""
    pushed = [np.frombuffer(times, np.int64) for times in window.pushed]
    freed = [np.frombuffer(times, np.int64) for times in window.freed]
    return Outcome(
        times=tuple(window.times), full=tuple(window.full), empty=tuple(window.empty),
        peak=tuple(map(peak, net.initial, pushed, freed)),
        pushed=tuple(map(len, pushed)), freed=tuple(map(len, freed)),
        blocked=dict(window.blocked), engine="run-to-block", memory=memory, waits=window.waits,
    )  # fmt: skip


def peak(initial: int, pushed: Cycles, freed: Cycles, freed_before: int = 0) -> int:
    """Return the most slots taken at the end of a cycle, `initial` of them at the start.

    A slot is taken from the cycle of its push, and free from the cycle in `freed` on. Both are in order of time.
    """
    gone = np.searchsorted(freed, pushed, side="right") - freed_before
    taken = np.arange(1, len(pushed) + 1) + initial - gone
    return max(initial, int(taken.max(initial=0)))


