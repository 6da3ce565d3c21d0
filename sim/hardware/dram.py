"""The off-chip channel with DRAM controllers behind it: a transfer takes what its bursts take.

Transfers go to the controllers in the order of the plan. Their bursts lie where the layouts put them, so that
rows, banks and turnarounds cost what they cost. A transfer joins the queues when all of the one before is in them;
where none is ready then, the queues empty first. Until then the channel is busy.

With `extrapolate: off` all bursts of the run go through the controllers, and no loop is skipped. Extrapolation (the
default) measures transfers of one kind, a step of a plan behind the same step before it, until they settle; from
then on, all of that kind take the same time. Of a long transfer blocks are measured, until their rate has settled.
Refresh is off while measuring, and slows the clock evenly instead. What was measured last differs by a spread; summed
over all that was not measured it estimates how far off the time is that data take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import ceil
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.arch import Arch, Dram, Simple
from sim.dram.controller import Controller
from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.stream import Transfer
from sim.dram.timing import NEVER
from sim.frontend import Stage
from sim.hardware.movers import ChannelUnit
from sim.hardware.ports import Ports
from sim.hardware.unit import Job, Watcher
from sim.plan import Step, Store, steps

SETTLED = 3
"""Transfers of a kind, and blocks of a transfer, that are measured at least."""
AGREE = 0.01
"""Share of the mean by which one more transfer may move it at most, or a block differ from the one before."""
PATIENCE = 8
"""Transfers of a kind that are measured at most."""
BLOCK = 1024
"""Bursts of a long transfer that are measured at a time."""
STREAM = 4096
"""Bursts of the sequential stream that tells what a device sustains."""


@dataclass(frozen=True)
class Rates:
    """What a device does on a sequential stream: clocks of a burst, clocks to the first data, and by how much refresh
    stretches time."""

    burst: Fraction
    latency: int
    stretch: Fraction


@lru_cache(maxsize=64)
def rates(memory: str) -> Rates:
    """Return the rates of a memory, given as the JSON of its Dram, measured on its controllers."""
    device = Dram.model_validate_json(memory).open()
    quiet = _quiet(device)
    stream = np.arange(STREAM, dtype=np.int64) * device.burst % device.capacity
    plain, first = _run(quiet, stream), _run(quiet, stream[:1])
    return Rates(Fraction(plain, STREAM), first, max(Fraction(1), Fraction(_run(device, stream), plain)))


def estimate(chip: Arch) -> Arch:
    """Return the chip with its DRAM replaced by a channel of the bandwidth that a sequential stream sustains.

    The mapper ranks candidates on it: to simulate every burst of every candidate would take minutes.
    """
    memory = chip.memory
    if not isinstance(memory, Dram):
        return chip
    device, found = memory.open(), rates(memory.model_dump_json())
    bandwidth = device.burst * device.clock_hertz / (found.burst * found.stretch)
    seconds = float(found.latency / device.clock_hertz)
    simple = Simple.model_construct(
        kind="simple", bandwidth=int(bandwidth), latency=seconds, burst=device.burst, technology="lpddr4"
    )
    return chip.model_copy(update={"memory": simple})


def _quiet(device: Device) -> Device:
    return Device(device.spec.model_copy(update={"refresh": "off"}))


def _run(device: Device, stream: NDArray[np.int64]) -> int:
    controller = _controller(device)
    return controller.finish(controller.submit(stream, False))


def _controller(device: Device) -> Controller:
    """Return controllers that take as many requests a clock as their buses can move data for."""
    return Controller(device, per_clock=-(-device.buses // device.timing("BL")))


COUNTED = ("reads", "writes", "activates", "precharges", "row_hits", "row_misses", "row_conflicts")
Counts = NDArray[np.float64]


def _counts(counters: Counters) -> Counts:
    return np.array([getattr(counters, name) for name in COUNTED], float)


@dataclass
class Kind:
    """Transfers of one kind: cycles for which each measured one held the channel, cycles from its start to its last
    data, by how much that may be off where blocks stood for the rest, and what the banks did for all of them."""

    held: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    doubt: int = 0
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
    def off(self) -> int:
        """Cycles by which a transfer that was not measured may differ from what it is taken for."""
        return max(_spread(self.held), _spread(self.done)) + self.doubt + 1


def _spread(values: Sequence[int]) -> int:
    return max(values) - min(values)


def _means(values: Sequence[int]) -> list[float]:
    """Return the mean of the first two, three, ... values, but the very first, which may have found rows closed."""
    later = values[1:] or values
    return [total / count for count, total in enumerate(accumulate(later), start=1)]


def _settled(values: Sequence[int]) -> bool:
    """Whether one more value hardly moves the mean."""
    means = _means(values)[-2:]
    return len(values) >= SETTLED and abs(means[1] - means[0]) <= AGREE * means[1]


def _drift(clocks: Sequence[int]) -> int:
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


class DramUnit(ChannelUnit):
    """The off-chip channel of a chip with DRAM."""

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, chip: Arch, ports: Ports
    ) -> None:
        super().__init__(env, name, engine, chip, ports)
        memory = chip.memory
        assert isinstance(memory, Dram)  # the engine builds one only there
        self.device, self.extrapolates = memory.open(), memory.extrapolate
        self.cycle = Fraction(chip.clock) / self.device.clock_hertz
        if self.extrapolates:
            self.cycle *= rates(memory.model_dump_json()).stretch
        self.controller = _controller(_quiet(self.device) if self.extrapolates else self.device)
        self.clock = Fraction(chip.clock) / self.device.clock_hertz
        self.kinds: dict[tuple[type, int], Kind] = {}
        self.before: Step | None = None
        self.under_way: list[Transit] = []

    def cost(self, step: Step) -> tuple[int, int]:
        """Return nothing: what a transfer takes is known when it is under way, and is its ports' at least."""
        return 0, 0

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Hold the channel until all bursts of the transfer are in the queues; its data are there when they are."""
        yield from self.wait(job.waits)
        self.start(job)
        kind = self.kinds.setdefault((type(self.before), id(job.step)), Kind())
        self.before = job.step
        if kind.cost is None or not self.extrapolates:
            yield from self._measure(job, kind)
            self.release(job)
            return
        self._finish()
        held, done = kind.cost
        yield from self.hold(job, held)
        self.release(job)
        self.finish(job, int(self.env.now) + done - held)

    def _measure(self, job: Job, kind: Kind) -> Generator[simpy.Event, Any, None]:
        """Send the bursts into the queues, as fast as these take them; let them empty where nothing follows at once."""
        self.measured, before = job.sequence, _counts(self.controller.counters)
        transit, share = self._send(job, kind)
        self.under_way.append(transit)
        self._deliver()
        held = max(0, self._cycles(transit.taken) + transit.beyond - job.start)
        yield from self.hold(job, held)
        if not (self.queue and all(signal.fired for signal, _ in self.queue[0].waits)):
            self._finish()
            last = max(part.clock for part in self.controller.parts)
            left = max(0, self._cycles(last) + transit.beyond - int(self.env.now))
            self.book(job, int(self.env.now) + job.shift + left, "compute")
            if left:
                yield self.env.timeout(left)
            held += left
        kind.counts += (_counts(self.controller.counters) - before) * share
        transit.held = held
        transit.learn()

    def _send(self, job: Job, kind: Kind) -> tuple[Transit, float]:
        """Hand the bursts to the controllers: all of them, or blocks until their rate has settled.

        Returns what is under way, and how many times what was sent the whole transfer is.
        """
        assert job.stream is not None  # with DRAM every transfer has its addresses
        stream, write, clocks = job.stream(), isinstance(job.step, Store), [ceil(job.start / self.cycle)]
        transit, sent = Transit(job, kind, [], clocks[0]), 0
        while sent < stream.size:
            block = stream[sent : sent + BLOCK] if self.extrapolates else stream
            transit.parts.append(self.controller.submit(block, write, clocks[-1]))
            clocks.append(self._fill(clocks[-1]))
            sent += block.size
            if len(clocks) > SETTLED and _drift(clocks) <= AGREE * (clocks[-1] - clocks[-2]):
                break
        transit.taken = clocks[-1]
        if sent < stream.size:
            rest = Fraction(stream.size - sent, BLOCK) * self.cycle
            transit.beyond = round(rest * (clocks[-1] - clocks[-2]))
            kind.doubt = max(kind.doubt, ceil(rest * _drift(clocks)))
        return transit, stream.size / sent if sent else 1.0

    def _fill(self, since: int) -> int:
        """Let the controllers go on until nothing waits in front of their queues; return the clock then."""
        for part in self.controller.parts:
            while part.streams:
                part.step(NEVER)
                since = max(since, part.clock)
        return since

    def _cycles(self, clock: int) -> int:
        return ceil(clock * self.cycle)

    def _finish(self) -> None:
        """Let the queues empty."""
        for transit in self.under_way:
            for part in transit.parts:
                self.controller.finish(part)
        self._deliver()

    def _deliver(self) -> None:
        """Let the jobs be done whose last data are known."""
        for transit in self.under_way:
            if all(part.done for part in transit.parts):
                last = max((part.last for part in transit.parts), default=transit.taken)
                at = self._cycles(last) + transit.beyond
                transit.done = at - transit.job.start
                transit.learn()
                self.finish(transit.job, at)
        self.under_way = [transit for transit in self.under_way if transit.done is None]

    def statistics(self, stages: Sequence[Stage], cycles: int) -> dict[str, Any]:
        """Return what the DRAM did in a run of `cycles`, and an estimate of how far off the time of its data is."""
        clocks = int(cycles / self.clock)
        if not self.extrapolates:
            self.controller.advance(clocks)
            return _named(_counts(self.controller.counters)) | {"refreshes": self.controller.counters.refreshes}
        kinds, runs = dict[int, list[Kind]](), Counter[int]()
        for (_, moved), kind in self.kinds.items():
            kinds.setdefault(moved, []).append(kind)
        for step, times in (each for stage in stages for each in steps(stage.plan.body)):
            runs[id(step)] += times
        total, off = np.zeros(len(COUNTED)), 0.0
        for moved, here in kinds.items():
            measured = sum(len(kind.done) for kind in here)
            total += sum((kind.counts for kind in here), np.zeros(len(COUNTED))) * (runs[moved] / measured)
            off += max(kind.off for kind in here) * (runs[moved] - measured) + sum(kind.doubt for kind in here)
        refreshes = _refreshes(self.device, clocks)
        off += self._refresh_doubt(clocks)
        return _named(total) | {"refreshes": refreshes, "extrapolation_error_bound": off / cycles if cycles else 0.0}

    def _refresh_doubt(self, clocks: int) -> float:
        """Return the cycles by which refreshes may stretch a run more, or less, than evenly: all that they block."""
        mode = self.device.spec.refresh
        if mode == "off":
            return 0.0
        blocked, interval = ("tRFCpb", "tREFIpb") if mode == "per_bank" else ("tRFC", "tREFI")
        each = sum(self.device.timing(name) for name in (blocked, "tRP", "tRCD") if name in self.device.spec.timing)
        return float(clocks // self.device.timing(interval) * each * self.clock)


def _named(counts: Counts) -> dict[str, Any]:
    return {name: round(float(value)) for name, value in zip(COUNTED, counts, strict=True)}


def _refreshes(device: Device, clocks: int) -> int:
    """Return the refresh commands in so many clocks: at the end of every interval one a rank, or one a channel."""
    mode = device.spec.refresh
    if mode == "off":
        return 0
    ranks = device.counts.get("Rank", 1) * device.counts.get("PseudoChannel", 1) if mode == "all_bank" else 1
    return clocks // device.timing("tREFIpb" if mode == "per_bank" else "tREFI") * device.channels * ranks
