"""The vectorized engine: rows of firings at a time in max-plus numpy, and rows that recur are not replayed.

A row is a part of the run in which every unit goes through its phases a fixed number of times, so that every channel
holds as many tokens after it as before. A time in a row depends on earlier times of the row and on those before it,
never on later rows, and no time depends on itself: so the equations of a row have one solution, and a guess that
satisfies them all *is* the solution. The guess is the row before, shifted. Where it does not settle in a few rounds,
the run-to-block engine carries the row out. The first row is always its own: if that ends, no later row can block,
as every channel is then as full as at the start (Lee and Messerschmitt, Synchronous Data Flow, 1987).

After a row only the relative times of the units, of the tokens left and of the slots not yet free matter. When they
are those of an earlier row, all that follows repeats with the same shift, and the rest is arithmetic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from sim.streaming import blocking
from sim.streaming.blocking import Window
from sim.streaming.history import Stream
from sim.streaming.net import Net
from sim.streaming.outcome import Outcome
from sim.streaming.scan import Evaluation, Scan, scan_of

FIRINGS = 64
"""Firings that the busiest unit should have in a row: below, numpy calls cost more than they save."""
FEWEST_ROWS = 3
ROUNDS = 4
"""Evaluations of each unit, on average, before a row is given to the run-to-block engine."""


def run(net: Net, fast_forward: bool = True, firings: int = FIRINGS) -> Outcome | None:
    """Return what comes out of the whole run; without `fast_forward` every row is worked out, `firings` long or more.

    None where the run does not fall into rows, or its first row blocks: both are for the run-to-block engine.
    """
    block = -(-firings * net.iterations // max(unit.firings for unit in net.units))
    rows, rest = divmod(net.iterations, block)
    scans = _scans(net, block) if rows >= FEWEST_ROWS else None
    engine = Rows(net, scans, block) if scans else None
    if engine is None or not engine.replay(block):
        return None
    seen: dict[bytes, Mark] = {}
    while engine.done < rows:
        if fast_forward:
            engine.skip(seen, rows)
        if engine.done < rows and not engine.settle():
            engine.replay(block)
    if rest:
        engine.replay(rest)
    return engine.outcome()


def _scans(net: Net, block: int) -> list[Scan] | None:
    """Return the scan of every unit over `block` iterations; None where one has none."""
    found = [scan_of(net, index, unit.repeat // net.iterations * block) for index, unit in enumerate(net.units)]
    scans = [scan for scan in found if scan is not None]
    return scans if len(scans) == len(found) else None


@dataclass(frozen=True)
class Mark:
    """Where the run stood when a state was first seen: rows done, the cycle, and what channels had waited."""

    done: int
    cycle: int
    full: tuple[int, ...]
    empty: tuple[int, ...]


class Rows:
    """A run that goes on row by row, each `block` iterations of the graph."""

    def __init__(self, net: Net, scans: Sequence[Scan], block: int) -> None:
        self.net, self.scans = net, scans
        self.streams = [Stream(net, c, tokens // net.iterations * block) for c, tokens in enumerate(net.tokens)]
        self.times, self.gained = [0] * len(net.units), [0] * len(net.units)
        self.full: Sequence[int] = (0,) * len(net.channels)
        self.empty: Sequence[int] = self.full
        self.done = 0

    def replay(self, iterations: int) -> bool:
        """Carry the next row out, so many iterations long, with the run-to-block engine; return whether it ended."""
        for stream, tokens in zip(self.streams, self.net.tokens, strict=True):
            stream.row = tokens // self.net.iterations * iterations
        ready = [deque(stream.carried.tolist()) for stream in self.streams]
        window = Window(list(self.times), ready, [deque(stream.credits().tolist()) for stream in self.streams])
        blocking.run(self.net, window, [u.repeat // self.net.iterations * iterations for u in self.net.units])
        if window.blocked:
            return False
        for channel, stream in enumerate(self.streams):
            stream.set_freed(np.frombuffer(window.freed[channel], np.int64))
            stream.set_arrived(np.frombuffer(window.arrived[channel], np.int64))
            stream.observe(np.frombuffer(window.pushed[channel], np.int64))
        self._end(window.times, window.full, window.empty)
        return True

    def settle(self) -> bool:
        """Find the next row from a guess; return False, with nothing done, where it does not settle soon."""
        self._guess()
        found: dict[int, Evaluation] = {}
        dirty, left = set(self.net.order), ROUNDS * len(self.net.order)
        while dirty:
            for unit in self.net.order:
                if unit in dirty:
                    dirty.remove(unit)
                    left -= 1
                    found[unit] = self.scans[unit].evaluate(self.times[unit], self.streams)
                    dirty |= self._put(found[unit])
            if left < 0:
                return False
        self._accept(found)
        return True

    def _guess(self) -> None:
        """Shift the row before by what each unit gained in it; the first row began empty, so take the least gain."""
        least = min(self.gained)
        gained = [least] * len(self.gained) if self.done == 1 else self.gained
        for stream, producer, consumer in zip(self.streams, self.net.producer, self.net.consumer, strict=True):
            stream.guess(gained[producer], gained[consumer])

    def _put(self, found: Evaluation) -> set[int]:
        """Put what a unit does into the streams and return the units that this concerns."""
        readers = {self.net.consumer[c] for c, times in found.arrived.items() if self.streams[c].set_arrived(times)}
        writers = {self.net.producer[c] for c, times in found.freed.items() if self.streams[c].set_freed(times)}
        return readers | writers

    def _accept(self, found: dict[int, Evaluation]) -> None:
        full, empty = [0] * len(self.streams), [0] * len(self.streams)
        for evaluation in found.values():
            for (channel, is_full), cycles in evaluation.waited.items():
                (full if is_full else empty)[channel] += cycles
            for channel, pushed in evaluation.pushed.items():
                self.streams[channel].observe(pushed)
        self._end([found[unit].end for unit in range(len(self.times))], full, empty)

    def _end(self, times: Sequence[int], full: Sequence[int], empty: Sequence[int]) -> None:
        self.gained = [after - before for after, before in zip(times, self.times, strict=True)]
        self.times = list(times)
        self.full, self.empty = _sum(self.full, full), _sum(self.empty, empty)
        for stream, producer in zip(self.streams, self.net.producer, strict=True):
            stream.advance(times[producer])
        self.done += 1

    def skip(self, seen: dict[bytes, Mark], rows: int) -> None:
        """Where this state was seen before, go on by whole periods as far as `rows` allows."""
        here = Mark(self.done, self.times[0], tuple(self.full), tuple(self.empty))
        sketch = self._sketch()
        mark = seen.setdefault(self._state(), here) if sketch in seen else seen.setdefault(sketch, here)
        if mark is here:
            return
        periods = (rows - self.done) // (self.done - mark.done)
        cycles = periods * (self.times[0] - mark.cycle)
        self.times = [time + cycles for time in self.times]
        for stream in self.streams:
            stream.shift(cycles)
        self.full = [now + periods * (now - then) for now, then in zip(self.full, mark.full, strict=True)]
        self.empty = [now + periods * (now - then) for now, then in zip(self.empty, mark.empty, strict=True)]
        self.done += periods * (self.done - mark.done)

    def _sketch(self) -> bytes:
        """Return a part of the state that is found at once; where it is new, so is the state."""
        taken = [s.taken(self.times[unit]) for s, unit in zip(self.streams, self.net.producer, strict=True)]
        return np.array([time - self.times[0] for time in self.times] + taken, np.int64).tobytes()

    def _state(self) -> bytes:
        """Return a digest of all that later rows can feel, relative to the first unit's time."""
        digest = blake2b((np.array(self.times, np.int64) - self.times[0]).tobytes(), digest_size=20)
        for stream, producer in zip(self.streams, self.net.producer, strict=True):
            live = stream.live(self.times[producer])
            digest.update(len(live).to_bytes(8, "little"))
            digest.update((live - self.times[0]).tobytes())
            digest.update((stream.carried - self.times[0]).tobytes())
        return digest.digest()

    def outcome(self) -> Outcome:
        """Return what the run came to."""
        return Outcome(
            times=tuple(self.times), full=tuple(self.full), empty=tuple(self.empty),
            peak=tuple(stream.peak for stream in self.streams), pushed=self.net.tokens, freed=self.net.tokens,
            blocked={}, engine="vectorized",
        )  # fmt: skip


def _sum(left: Sequence[int], right: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(left, right, strict=True)]
