"""All firings of a unit in a row at once: the firing rule as a running maximum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from sim.streaming.history import NEVER, Stream
from sim.streaming.net import Net, Step
from sim.streaming.outcome import Cycles

Index = slice | NDArray[np.intp]
Ops = tuple[tuple[int, bool], ...]
"""Operations of one sort in a phase, in program order: the channel, and whether its slot is given back."""
Key = tuple[int, bool, int]
"""An operation of a phase, and how many like it come before in the same firing."""
EVERY = slice(None)


@dataclass(frozen=True)
class Lane:
    """One operation over the row: on which channel, in which firings, on which tokens, giving back which slots."""

    channel: int
    at: Index
    tokens: Index
    slots: Index | None


@dataclass
class Evaluation:
    """What the firings of a row came to: the unit's local time at the end, and by channel what it did and waited."""

    end: int
    arrived: dict[int, Cycles]
    pushed: dict[int, Cycles]
    freed: dict[int, Cycles]
    waited: dict[tuple[int, bool], int]


class Scan:
    """A unit's firings in a row: `offsets` are the intervals that have passed before each."""

    def __init__(self, net: Net, unit: int, repeat: int) -> None:
        steps = net.steps[unit]
        counts = np.tile([step.count for step in steps], repeat)
        phase = np.repeat(np.tile(np.arange(len(steps)), repeat), counts)
        intervals = np.array([step.interval for step in steps], np.int64)[phase]
        self.latency = net.units[unit].latency
        self.offsets = np.concatenate(([0], np.cumsum(intervals)[:-1]))
        self.last = int(intervals[-1])
        self.takes = _lanes(steps, phase, lambda step: step.takes)
        self.frees = _lanes(steps, phase, lambda step: tuple((channel, True) for channel in step.frees))
        self.pushes = _lanes(steps, phase, lambda step: tuple((channel, False) for channel in step.pushes))
        self.send, self.credit = net.send, net.credit

    def evaluate(self, start: int, streams: Sequence[Stream]) -> Evaluation:
        """Return what the row comes to, begun at cycle `start`, if the streams hold what the others do in it."""
        slots = [streams[lane.channel].slots for lane in self.pushes]
        latest = np.full(len(self.offsets), NEVER, np.int64)
        for lane in self.takes:
            _raise(latest, lane, streams[lane.channel].ready)
        for lane, free in zip(self.pushes, slots, strict=True):
            _raise(latest, lane, free)
        latest -= self.offsets
        np.maximum.accumulate(latest, out=latest)
        np.maximum(latest, start, out=latest)
        end = int(latest[-1] + self.offsets[-1]) + self.last
        now = np.empty_like(latest)
        now[0], now[1:] = start, latest[:-1]
        now += self.offsets
        return self._replay(Evaluation(end, {}, {}, {}, {}), now, streams, slots)

    def _replay(self, found: Evaluation, now: Cycles, streams: Sequence[Stream],
                slots: Sequence[Cycles | None]) -> Evaluation:  # fmt: skip
        """Walk the operations in program order, `now` being the local time before the next one in each firing."""
        for lane in self.takes:
            times = _wait(now, lane, streams[lane.channel].ready, found.waited, (lane.channel, False))
            self._free(found, lane.channel, lane.slots, times, streams)
        for lane in self.frees:
            self._free(found, lane.channel, lane.slots, now[lane.at], streams)
        done = now + self.latency
        for lane, free in zip(self.pushes, slots, strict=True):
            channel = lane.channel
            times = _wait(now, lane, free, found.waited, (channel, True))
            _put(found.pushed, channel, lane.tokens, times, streams)
            arrived = np.maximum(times + self.send[channel], done[lane.at])
            _put(found.arrived, channel, lane.tokens, arrived, streams)
        return found

    def _free(self, found: Evaluation, channel: int, at: Index | None, times: Cycles,
              streams: Sequence[Stream]) -> None:  # fmt: skip
        if at is not None:
            _put(found.freed, channel, at, times + self.credit[channel], streams)


def _raise(latest: Cycles, lane: Lane, bound: Cycles | None) -> None:
    if bound is None:
        return
    if isinstance(lane.at, slice):
        np.maximum(latest, bound[lane.tokens], out=latest)
    else:
        latest[lane.at] = np.maximum(latest[lane.at], bound[lane.tokens])


def _wait(now: Cycles, lane: Lane, bound: Cycles | None, waited: dict[tuple[int, bool], int],
          cause: tuple[int, bool]) -> Cycles:  # fmt: skip
    """Raise `now` to `bound` in the firings of the lane, book the cycles under `cause`, and return their times."""
    before = now[lane.at]
    if bound is None:
        return before.copy()
    times = np.maximum(before, bound[lane.tokens])
    waited[cause] = waited.get(cause, 0) + int(times.sum() - before.sum())
    now[lane.at] = times
    return times


def _put(found: dict[int, Cycles], channel: int, at: Index, times: Cycles, streams: Sequence[Stream]) -> None:
    if isinstance(at, slice):
        found[channel] = times
    else:
        found.setdefault(channel, np.empty(streams[channel].row, np.int64))[at] = times


def scan_of(net: Net, unit: int, repeat: int) -> Scan | None:
    """Return the scan of `repeat` rounds of the unit's phases.

    None where its phases do the same operations in different orders, or it waits for a memory port or for values.
    """
    if net.units[unit].bursts is not None:
        return None
    try:
        return Scan(net, unit, repeat)
    except CycleError:
        return None


def _lanes(steps: Sequence[Step], phase: NDArray[np.intp], ops: Callable[[Step], Ops]) -> list[Lane]:
    """Return a lane for each operation, in an order that all phases agree on; CycleError where there is none."""
    keyed = [_keys(ops(step)) for step in steps]
    lanes = []
    for key in _merged(keyed):
        channel, frees, ordinal = key
        active = np.array([key in keys for keys in keyed])[phase]
        at = EVERY if active.all() else np.flatnonzero(active)
        used = [sum(op[0] == channel for op in ops(step)) for step in steps]
        given = [step.frees.count(channel) + step.takes.count((channel, True)) for step in steps]
        slots = _numbers(given, phase, at, ordinal) if frees else None
        lanes.append(Lane(channel, at, _numbers(used, phase, at, ordinal), slots))
    return lanes


def _keys(ops: Ops) -> list[Key]:
    return [(*op, ops[:index].count(op)) for index, op in enumerate(ops)]


def _merged(sequences: Sequence[Sequence[Key]]) -> list[Key]:
    sorter: TopologicalSorter[Key] = TopologicalSorter()
    for keys in sequences:
        for before, key in zip((None, *keys), keys, strict=False):
            sorter.add(key, *(() if before is None else (before,)))
    return list(sorter.static_order())


def _numbers(each: Sequence[int], phase: NDArray[np.intp], at: Index, ordinal: int) -> Index:
    """Return which ones of the row the operation concerns, where a firing of phase i has `each[i]` of them."""
    counts = np.array(each)[phase]
    numbers = (np.cumsum(counts) - counts)[at] + ordinal
    whole = len(numbers) == counts.sum() and np.array_equal(numbers, np.arange(len(numbers)))
    return EVERY if whole else numbers
