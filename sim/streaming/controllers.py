"""DRAM behind memory ports: bursts join the queues of its controllers, contend there, and come back in order.

A burst joins a channel's queues when all of the one before it is in them. A read's word k leaves the memory once
as many of the burst's data are there as hold the words up to k; a write is over once the write queue has taken it, as
controllers post writes, and is written when they drain.

Units answer to what the memory does, and the memory to what they ask for: so its clocks go on by no more than the
latency of a port at a time. What happens within it is felt behind the port, where nobody can ask for anything earlier.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from sim.dram.address import Places, places
from sim.dram.controller import controller_of, per_clock_of
from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.stream import Share, Stream
from sim.dram.timing import NEVER
from sim.streaming.graph import Bursts


@dataclass(slots=True)
class Beats(Share):
    """The requests of a burst on one channel, with the clock of the data of each."""

    clocks: list[int] = field(default_factory=list)

    def serve(self, clock: int) -> None:
        """Take it that one request's data are there at `clock`."""
        self.clocks.append(clock)
        Share.serve(self, clock)


@dataclass(slots=True)
class Arrival(Stream):
    """The requests of a burst on their way into a channel's queues; `entered`: the clock at which the last was in."""

    entered: int = -1


class Route:
    """Where every burst of a unit goes in a device: worked out once, for all of them."""

    def __init__(self, device: Device, bursts: Bursts) -> None:
        begins, sizes = np.array(bursts.addresses, np.int64), np.array(bursts.sizes, np.int64) * bursts.word
        first, last = begins // device.burst, (begins + sizes - 1) // device.burst
        counts = last - first + 1
        self.ends = np.cumsum(counts)
        within = np.arange(int(counts.sum())) - np.repeat(self.ends - counts, counts)
        self.device, self.bursts = device, bursts
        self.found: Places = places(device, (np.repeat(first, counts) + within) * device.burst)

    def arrivals(self, index: int, since: int) -> list[tuple[int, Arrival]]:
        """Return burst `index` as requests that arrive at clock `since`, by channel."""
        part = slice(int(self.ends[index - 1]) if index else 0, int(self.ends[index]))
        channel = self.found.channel[part]
        return [(number, self._arrival(part, channel == number, since)) for number in sorted(set(channel.tolist()))]

    def _arrival(self, part: slice, mine: Any, since: int) -> Arrival:
        found = self.found
        bank, row, column, burst = (
            each[part][mine].tolist() for each in (found.bank, found.row, found.column, found.burst)
        )
        return Arrival(Beats(len(bank)), bank, row, column, burst, [self.bursts.write] * len(bank), since)

    def needed(self, index: int) -> list[int]:
        """Return for each word of burst `index` how many of its requests hold it and the words before it."""
        offset = self.bursts.addresses[index] % self.device.burst
        words = range(1, self.bursts.sizes[index] + 1)
        return [-(-(offset + word * self.bursts.word) // self.device.burst) for word in words]


@dataclass
class Flight:
    """A burst that is under way: its requests by channel, and for reads the requests that each word needs.

    `there`: clocks of the data that have come so far; `words`: how many words have been handed on.
    """

    arrivals: list[Arrival]
    needed: list[int]
    write: bool
    there: list[int] = field(default_factory=list)
    words: int = 0

    def news(self) -> list[int]:
        """Return the clock of each word of a read that has become known since it was last asked for; of a write,
        once, the clock at which all of it is in the queues."""
        if self.write:
            return [max(a.entered for a in self.arrivals)] if all(a.entered >= 0 for a in self.arrivals) else []
        came = [a.share.clocks for a in self.arrivals if isinstance(a.share, Beats)]
        self.there += sorted(clock for clocks in came for clock in clocks)
        for clocks in came:
            clocks.clear()
        known = bisect_right(self.needed, len(self.there))
        found = [self.there[count - 1] for count in self.needed[self.words : known]]
        self.words = known
        return found

    @property
    def over(self) -> bool:
        """Whether all of a burst is known."""
        return all(a.entered >= 0 for a in self.arrivals) if self.write else self.words == len(self.needed)


class Controllers:
    """The controllers of a device in the cycles of a graph."""

    def __init__(self, device: Device, clock_hz: int) -> None:
        self.device, self.controller = device, controller_of(device)
        self.cycle = Fraction(clock_hz) / device.clock_hertz
        self.waiting: list[deque[Arrival]] = [deque() for _ in self.controller.parts]
        self.posted: list[tuple[int, Arrival]] = []
        self.requests = 0
        self.per_clock = per_clock_of(device)

    def clock(self, cycle: int) -> int:
        """Return the first clock that begins at a cycle or after it."""
        return -(-cycle * self.cycle.denominator // self.cycle.numerator)

    def cycles(self, clock: int) -> int:
        """Return the first cycle at which a clock has come."""
        return -(-clock * self.cycle.numerator // self.cycle.denominator)

    def send(self, route: Route, index: int, cycle: int) -> Flight:
        """Send burst `index` of a route on its way, to be at the controllers at `cycle`."""
        arrivals = route.arrivals(index, self.clock(cycle))
        for number, arrival in arrivals:
            self.waiting[number].append(arrival)
            self.requests += len(arrival.banks)
        write = route.bursts.write
        self.posted += arrivals if write else []
        return Flight([arrival for _, arrival in arrivals], [] if write else route.needed(index), write)

    def advance(self, cycle: int) -> None:
        """Carry out all clocks that begin before `cycle`."""
        until = self.clock(cycle)
        for number in range(len(self.controller.parts)):
            while self.controller.parts[number].clock < until:
                self._step(number, until)

    def drain(self) -> None:
        """Carry out what the queues still hold: posted writes."""
        for number, arrival in self.posted:
            while arrival.share.left:
                self._step(number, NEVER)

    def _step(self, number: int, until: int) -> None:
        part, waiting = self.controller.parts[number], self.waiting[number]
        if waiting and not part.streams:
            part.streams.append(waiting.popleft())
        head, clock = part.streams[0] if part.streams else None, part.clock
        if waiting and head is not None and len(head.banks) - head.at <= self.per_clock:
            until = min(until, clock + 1)  # the next burst may follow in the clock after
        part.step(until)
        if isinstance(head, Arrival) and head.at == len(head.banks) and head.entered < 0:
            head.entered = clock

    def statistics(self, cycles: int) -> dict[str, Any]:
        """Return what the device did in a run of so many cycles, in the words of the contract."""
        self.drain()
        self.advance(cycles)
        counts: Counters = self.controller.counters
        moved = self.requests * self.device.burst
        seconds = float(cycles / self.cycle / self.device.clock_hertz)
        named = ("reads", "writes", "row_hits", "row_misses", "row_conflicts", "activates", "precharges", "refreshes")
        rate = moved / seconds if seconds else 0.0
        return {name: getattr(counts, name) for name in named} | {
            "bandwidth_utilization": rate / self.device.peak_bandwidth, "bandwidth_gbps": rate / 1e9,
        }  # fmt: skip
