"""Long regular streams: simulated until their rate has settled, computed from then on, with the error stated.

The clocks are cut into windows of whole refresh intervals, so that each holds as many refreshes. Once the windows
behind the first agree, their mean rate stands for the rest of the stream; of the last interval, the refresh comes
first. What that may be off by is estimated over the part that was not simulated: two standard errors of the mean, and
by how much the later half of the windows differs from the earlier; and one refresh.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from sim.dram.controller import Controller
from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.stream import Transfer

INTERVALS = 2
"""Refresh intervals in a window."""
CLOCKS = 20_000
"""Clocks of a window where there is no refresh."""
WINDOWS = 6
"""Windows that must agree, at least."""
AGREE = 0.002
"""Share of the cycles by which the rest may be off when the simulation ends."""


@dataclass(frozen=True)
class Extrapolation:
    """Cycles to the last data and counts of a whole stream of which the first `after` requests were simulated.

    bound: estimate of the largest error of the cycles, as a share of them. open_clocks: summed over ranks.
    """

    cycles: int
    counters: Counters
    open_clocks: int
    after: int
    bound: float


@dataclass(frozen=True)
class _Mark:
    """What was done at a clock."""

    clock: int
    served: int
    counters: Counters
    open_clocks: int


def extrapolate(controller: Controller, transfer: Transfer) -> Extrapolation | None:
    """Serve a long transfer until its rate settles and return what all of it takes; None where it ended before.

    The transfer must be all that the controller has to do. Where None is returned, all of it is served.
    """
    total, window = transfer.left, _window(controller)
    marks = [_mark(controller, 0, 0)]
    while not transfer.done:
        clock = marks[-1].clock + window
        controller.advance(clock)
        marks.append(_mark(controller, clock, total - transfer.left))
        off = _off(marks[1:], total, _refresh(controller.device)[1])
        if off is not None and off <= AGREE and not transfer.done:
            return _whole(controller, marks, total, off)
    return None


def _window(controller: Controller) -> int:
    interval = _refresh(controller.device)[0]
    return interval * max(INTERVALS, -(-CLOCKS // interval))


def _refresh(device: Device) -> tuple[int, int]:
    """Return the clocks from refresh to refresh, and those of them for which one blocks all banks."""
    if device.spec.refresh == "off":
        return CLOCKS, 0
    if device.spec.refresh == "per_bank":
        return device.timing("tREFIpb"), 0
    opening = max(each.cycles for name, each in device.spec.timing.items() if name in ("tRCD", "tRCDRD"))
    return device.timing("tREFI"), device.timing("tRP") + device.timing("tRFC") + opening


def _mark(controller: Controller, clock: int, served: int) -> _Mark:
    opened = sum(part.waits.open_until(clock) for part in controller.parts)
    return _Mark(clock, served, controller.counters, opened)


def _off(marks: list[_Mark], total: int, blocked: int) -> float | None:
    """Return by what share of all cycles the rest may be off; None where too few windows are there to tell."""
    rates = [later.served - earlier.served for earlier, later in pairwise(marks)]
    if len(rates) < WINDOWS or not min(rates):
        return None
    half = len(rates) // 2
    drift = abs(fmean(rates[:half]) - fmean(rates[-half:]))
    error = 2 * stdev(rates) / sqrt(len(rates)) + drift + 1  # a request may fall on either side of a border
    rest = (total - marks[-1].served) / total
    clocks = (marks[-1].clock - marks[0].clock) / sum(rates) * total
    return error / fmean(rates) * rest + blocked / clocks


def _whole(controller: Controller, marks: list[_Mark], total: int, off: float) -> Extrapolation:
    first, last, device = marks[1], marks[-1], controller.device
    times = (total - last.served) / (last.served - first.served)
    clocks = round(times * (last.clock - first.clock))
    interval, blocked = _refresh(device)
    if blocked:  # whole intervals, and of the last one the refresh and what comes behind it
        whole, part = divmod(clocks, interval)
        clocks = whole * interval + blocked + part * (interval - blocked) // interval
    writes = (last.counters.writes - first.counters.writes) > (last.counters.reads - first.counters.reads)
    cycles = last.clock + clocks + (device.write_latency if writes else device.read_latency)
    counters = _scaled(first.counters, last.counters, times)
    if device.spec.refresh != "off":
        ranks = device.ranks if device.spec.refresh == "all_bank" else 1
        counters = replace(counters, refreshes=cycles // interval * ranks * device.channels)
    opened = last.open_clocks + round(times * (last.open_clocks - first.open_clocks))
    return Extrapolation(cycles, counters, opened, last.served, off)


def _scaled(first: Counters, last: Counters, times: float) -> Counters:
    """Return the counts of `last` with those since `first` once more, so many times."""
    return Counters(*(
        getattr(last, each.name) + round(times * (getattr(last, each.name) - getattr(first, each.name)))
        for each in fields(Counters)
    ))  # fmt: skip
