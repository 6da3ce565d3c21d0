"""Ports of on-chip buffers: who moves how many bytes a cycle through which of them, and what that leaves to others.

A port passes its bandwidth and no more, in every cycle. Two ports: reads on one, writes on the other; one
port: all on one. Who moves bytes holds a share as a rate. Shares are given in a fixed order:

1. The array. While a tile streams it holds the average rate of its folds: operand registers and FIFOs at
   its edges even out what a fold asks for. Its own time stays a closed form (`sim.hardware.array`).
2. The off-chip channel, the scarcest of all resources: loads write, stores read.
3. The lanes, which read and write what they process.

The later ones proceed at what is left, slower where that is less than their own pace, and are rated again when
a share before theirs begins or ends. Where the port never limits, nothing else happens than without it.

Source of the order: Gemmini (github.com/ucb-bar/gemmini, Scratchpad.scala) lets its execute controller read and
write before the DMA, in the scratchpad and in the accumulators.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import ceil

from sim.arch import Arch
from sim.plan import Compute, Load, Moves, Process, Step, Store, moves_of

ARRAY, CHANNEL, LANES = range(3)
"""Who holds a share of a port, in the order in which shares are given."""
RANKS: dict[type, int] = {Compute: ARRAY, Load: CHANNEL, Store: CHANNEL, Process: LANES}

Rate = Fraction | int
Hold = tuple[int, int, Rate, float]
"""From a cycle (included) to a cycle (left out), at a rate in bytes a cycle, and about that rate as a float."""
Demand = tuple["Port", int]
"""Bytes that a job moves through a port."""
NARROW = 0.999999
"""Share of a port beyond which sums of rates are compared as fractions; floats are far more exact than this."""


class Port:
    """One port of a buffer, with the shares that the array and the channel hold of it now and later."""

    __slots__ = ("bandwidth", "holds", "shared")

    def __init__(self, bandwidth: int) -> None:
        self.bandwidth = bandwidth
        self.shared = True
        """Whether more than one of array, channel and lanes use the port in this run: else shares are no matter."""
        self.holds: tuple[list[Hold], list[Hold]] = ([], [])

    def left(self, rank: int, at: int, wanted: float) -> tuple[Rate | None, int | None]:
        """Return the bytes a cycle that those before `rank` leave at cycle `at`, and when that changes next.

        None stands for enough: they surely leave what is `wanted`, and sums of fractions are not needed.
        """
        taken: list[Rate] = []
        change: int | None = None
        for holds in self.holds[:rank]:
            for start, end, rate, about in holds:
                if end <= at:
                    continue
                moment = start
                if start <= at:
                    taken.append(rate)
                    wanted, moment = wanted + about, end
                if change is None or moment < change:
                    change = moment
        return (None if wanted < self.bandwidth * NARROW else self.bandwidth - sum(taken)), change

    def never_limits(self, rank: int, at: int, rate: float) -> bool:
        """Tell whether `rate` surely passes from cycle `at` on, even if all shares before `rank` were held at once."""
        for holds in self.holds[:rank]:
            for _, end, _, held in holds:
                if end > at:
                    rate += held
        return rate < self.bandwidth * NARROW

    def forget(self, before: int) -> None:
        """Drop shares that ended by `before`."""
        for holds in self.holds:
            if holds and holds[0][1] <= before:
                holds[:] = [hold for hold in holds if hold[1] > before]


class Flow:
    """A job of the channel or of the lanes on its way through ports: from its start, to `end` as far as is known.

    `own` is the number of cycles that it takes where no port limits it. Shares given later can only move the
    end back: at no moment do they leave more to this job. `speeds` says until when it does how much of its own
    cycles in a cycle.
    """

    __slots__ = ("demands", "end", "own", "rank", "speeds", "start")

    def __init__(self, rank: int, start: int, own: int, demands: tuple[Demand, ...]) -> None:
        self.rank, self.start, self.own, self.demands = rank, start, own, demands
        self.speeds: list[tuple[int, Rate]] = []
        self._go(start, own)

    def rate(self, now: int) -> None:
        """Work out the end, and hold what the job moves until then, given all shares known at cycle `now`."""
        at_own_pace = self.speeds[-1][1] == 1 and (len(self.speeds) == 1 or self.speeds[-2][0] <= now)
        if not (at_own_pace and self._never_limited(now)):
            self._go(*self._stop(now))

    def _never_limited(self, at: int) -> bool:
        return all(port.never_limits(self.rank, at, size / self.own) for port, size in self.demands)

    def _go(self, at: int, remaining: Rate) -> None:
        speed: Rate = 1
        if not self._never_limited(at):
            at, remaining, speed = self._wade(at, remaining)
        self.end = at + ceil(remaining if speed == 1 else remaining / speed)
        self._hold(at, self.end, speed)

    def _stop(self, now: int) -> tuple[int, Rate]:
        """Forget what was to come from cycle `now` on; return (the cycle until which the job got, what remains)."""
        at: int = self.start
        remaining: Rate = self.own
        for index, (until, speed) in enumerate(self.speeds):
            past = min(until, now) - at
            at, remaining = at + past, remaining - speed * past
            if until >= now:
                self.speeds[index:] = [(now, speed)] if past else []
                break
        for port, _ in self.demands if self.rank == CHANNEL else ():
            holds = port.holds[CHANNEL]
            holds[:] = [(start, min(end, now), rate, about) for start, end, rate, about in holds if start < now]
        return at, remaining

    def _wade(self, at: int, remaining: Rate) -> tuple[int, Rate, Rate]:
        """Go on through the shares of others; return (cycle, own cycles left, speed) from where that is constant."""
        while True:
            speed, change = self._speed(at)
            if speed and (change is None or remaining <= speed * (change - at)):
                return at, remaining, speed
            assert change is not None  # shares end, and the whole port moves something
            self._hold(at, change, speed)
            at, remaining = change, remaining - speed * (change - at)

    def _speed(self, at: int) -> tuple[Rate, int | None]:
        """Return the job's own cycles done in a cycle from `at` on, at most 1, and when that changes next."""
        speed: Rate = 1
        change: int | None = None
        for port, size in self.demands:
            left, moment = port.left(self.rank, at, size / self.own)
            if left is not None and left * self.own < size:
                speed = min(speed, left * _ratio(self.own, size))
            if moment is not None and (change is None or moment < change):
                change = moment
        return speed, change

    def _hold(self, start: int, end: int, speed: Rate) -> None:
        self.speeds.append((end, speed))
        for port, size in self.demands if speed and self.rank == CHANNEL else ():
            rate = _ratio(size, self.own) if speed == 1 else speed * _ratio(size, self.own)
            port.holds[CHANNEL].append((start, end, rate, float(rate)))


@lru_cache(maxsize=4096)
def _ratio(size: int, cycles: int) -> Fraction:
    return Fraction(size, cycles)


class Ports:
    """All ports of a chip, and the jobs that are on their way through them."""

    def __init__(self, arch: Arch) -> None:
        self.by_operand: dict[tuple[str, str], Port] = {}
        for buffer in arch.buffers.values() if arch.bounded else ():
            if buffer.bandwidth is None:
                continue
            one, two = Port(buffer.bandwidth), Port(buffer.bandwidth)
            for operand in (*buffer.holds, *(["parameter"] if "output" in buffer.holds else [])):
                self.by_operand[operand, "read"] = one
                self.by_operand[operand, "write"] = two if buffer.ports > 1 else one
        self.flows: dict[int, Flow] = {}

    def demands(self, moves: Moves) -> tuple[Demand, ...]:
        """Return what moves (operand, "read" or "write", bytes) ask of ports that have a limit."""
        asked: dict[Port, int] = {}
        for operand, way, size in moves:
            port = self.by_operand.get((operand, way))
            if port is not None and size:
                asked[port] = asked.get(port, 0) + size
        return tuple(asked.items())

    def watch(self, steps: Iterable[Step]) -> None:
        """Find out which ports the steps of a run share."""
        users: dict[Port, set[int]] = {}
        for step in steps if self.by_operand else ():
            for port, _ in self.demands(moves_of(step)):
                users.setdefault(port, set()).add(RANKS[type(step)])
        for port in self.by_operand.values():
            port.shared = len(users.get(port, ())) > 1

    def hold(self, now: int, port: Port, holds: Iterable[Hold]) -> None:
        """Give the array its share of a port, from `now` or later."""
        port.forget(now)
        port.holds[ARRAY].extend(holds)
        if self.flows:
            self._rate_again({port}, ARRAY, now)

    def begin(self, rank: int, now: int, own: int, demands: tuple[Demand, ...]) -> Flow:
        """Return the flow of a job that begins now."""
        for port, _ in demands:
            port.forget(now)
        flow = self.flows[rank] = Flow(rank, now, max(1, own), demands)
        if rank < LANES and LANES in self.flows:
            self._rate_again({port for port, _ in demands}, rank, now)
        return flow

    def end(self, flow: Flow) -> None:
        """Note that a job is through."""
        del self.flows[flow.rank]

    def _rate_again(self, changed: set[Port], rank: int, now: int) -> None:
        for later in range(rank + 1, LANES + 1):
            flow = self.flows.get(later)
            if flow is not None and any(port in changed for port, _ in flow.demands):
                flow.rate(now)
                changed |= {port for port, _ in flow.demands}
