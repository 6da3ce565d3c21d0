"""The off-chip channel with DRAM controllers behind it: a transfer takes what its bursts take.

Transfers go to the controllers in the order of the plan. Their bursts lie where the layouts put them, so that
rows, banks and turnarounds cost what they cost. A transfer joins the queues when all of the one before is in them;
where none is ready then, the queues empty first. Until then the channel is busy.

With `extrapolate: off`, and in runs of few bursts, all bursts go through the controllers, and no loop is skipped.
Extrapolation (the default) measures transfers of one kind, a step of a plan behind a load or behind a store, until
their mean has settled; from then on, all of that kind take the same time. Of a long transfer blocks are measured, until
their rate has settled.
Refresh is off while measuring, and slows the clock evenly instead. What was measured last differs by a spread; summed
over all that was not measured it estimates how far off the time is that data take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import simpy

from sim.arch import Arch, Dram
from sim.dram.controller import controller_of
from sim.dram.device import Device
from sim.dram.timing import NEVER
from sim.frontend import Stage
from sim.hardware.movers import ChannelUnit
from sim.hardware.ports import Ports
from sim.hardware.sustained import quiet, rates
from sim.hardware.transfers import AGREE, COUNTED, SETTLED, Counts, Kind, Transit, counts_of, drift
from sim.hardware.unit import Job, Watcher
from sim.plan import Load, Step, Store, steps

FEW = 50_000
"""Bursts up to which a run is simulated burst by burst: about half a CPU second."""
BLOCK = 1024
"""Bursts of a long transfer that are measured at a time."""


class DramUnit(ChannelUnit):
    """The off-chip channel of a chip with DRAM."""

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher, chip: Arch, ports: Ports) -> None:
        super().__init__(env, name, engine, chip, ports)
        memory = chip.memory
        assert isinstance(memory, Dram)  # the engine builds one only there
        self.memory, self.device, self.extrapolates = memory, memory.open(), False
        self.cycle = Fraction(chip.clock) / self.device.clock_hertz
        self.controller = controller_of(self.device)
        self.clock = Fraction(chip.clock) / self.device.clock_hertz
        self.kinds: dict[tuple[type, int], Kind] = {}
        self.before: Step | None = None
        self.under_way: list[Transit] = []
        self.told = np.zeros(len(COUNTED))

    def expect(self, stages: Sequence[Stage]) -> None:
        """Make ready for a run: one of few bursts is simulated burst by burst, whatever the switch says."""
        moved = sum(
            step.bytes * times
            for stage in stages
            for step, times in steps(stage.plan.body)
            if isinstance(step, Load | Store)
        )
        self.extrapolates = self.memory.extrapolate and moved > FEW * self.device.burst
        if self.extrapolates:
            self.cycle = self.clock * rates(self.memory.model_dump_json()).stretch
            self.controller = controller_of(quiet(self.device))

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
        self.measured, before = job.sequence, counts_of(self.controller.counters)
        transit, share = self._send(job, kind)
        self.under_way.append(transit)
        self._deliver()
        begin = job.start + job.shift  # loops that were skipped included, so that the controllers' clock is the run's
        held = max(0, self._cycles(transit.taken) + transit.beyond - begin)
        yield from self.hold(job, held)
        if not (self.queue and all(signal.fired for signal, _ in self.queue[0].waits)):
            self._finish()
            last = max(part.clock for part in self.controller.parts)
            left = max(0, self._cycles(last) + transit.beyond - int(self.env.now) - job.shift)
            self.book(job, int(self.env.now) + job.shift + left, "compute")
            if left:
                yield self.env.timeout(left)
            held += left
        did = counts_of(self.controller.counters) - before
        kind.counts += did * share
        self.told += did
        transit.held = held
        transit.learn()

    def _send(self, job: Job, kind: Kind) -> tuple[Transit, float]:
        """Hand the bursts to the controllers: all of them, or blocks until their rate has settled.

        Returns what is under way, and how many times what was sent the whole transfer is.
        """
        assert job.stream is not None  # with DRAM every transfer has its addresses
        stream, write = job.stream(job.at), isinstance(job.step, Store)
        clocks = [ceil((job.start + job.shift) / self.cycle)]
        transit, sent = Transit(job, kind, [], clocks[0]), 0
        kind.sent, kind.bursts = kind.sent + 1, kind.bursts + stream.size
        while sent < stream.size:
            block = stream[sent : sent + BLOCK] if self.extrapolates else stream
            transit.parts.append(self.controller.submit(block, write, clocks[-1]))
            clocks.append(self._fill(clocks[-1]))
            sent += block.size
            if len(clocks) > SETTLED and drift(clocks) <= AGREE * (clocks[-1] - clocks[-2]):
                break
        transit.taken = clocks[-1]
        if sent < stream.size:
            rest = Fraction(stream.size - sent, BLOCK) * self.cycle
            transit.beyond = round(rest * (clocks[-1] - clocks[-2]))
            kind.doubt = max(kind.doubt, ceil(rest * drift(clocks)))
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
                at = self._cycles(last) + transit.beyond - transit.job.shift
                transit.done = at - transit.job.start
                transit.learn()
                self.finish(transit.job, at)
        self.under_way = [transit for transit in self.under_way if transit.done is None]

    def statistics(self, stages: Sequence[Stage], cycles: int) -> dict[str, Any]:
        """Return what the DRAM did in a run of `cycles`, and an estimate of how far off the time of its data is."""
        clocks = int(cycles / self.clock)
        if not self.extrapolates:
            self.controller.advance(clocks)
            return _named(counts_of(self.controller.counters)) | {"refreshes": self.controller.counters.refreshes}
        kinds, runs = dict[int, list[Kind]](), Counter[int]()
        for (_, moved), kind in self.kinds.items():
            kinds.setdefault(moved, []).append(kind)
        for step, times in (each for stage in stages for each in steps(stage.plan.body)):
            runs[id(step)] += times
        total, off, bursts = np.zeros(len(COUNTED)), 0.0, 0.0
        total += counts_of(self.controller.counters) - self.told  # of a transfer with which the run ended
        for moved, here in kinds.items():
            measured = sum(kind.sent for kind in here)
            total += sum((kind.counts for kind in here), np.zeros(len(COUNTED))) * (runs[moved] / measured)
            bursts += sum(kind.bursts for kind in here) * runs[moved] / measured
            off += max(kind.off for kind in here) * (runs[moved] - measured) + sum(kind.doubt for kind in here)
        requests = sum(total[COUNTED.index(name)] for name in ("reads", "writes", "forwarded", "merged"))
        total *= bursts / requests if requests else 1.0  # queues shift counts between neighbours; bursts are known
        refreshes = _refreshes(self.device, clocks)
        off += self._refresh_doubt(clocks)
        return _named(total) | {"refreshes": refreshes, "extrapolation_error_bound": off / cycles if cycles else 0.0}

    def _refresh_doubt(self, clocks: int) -> float:
        """Return the cycles by which refreshes may stretch a run more, or less, than evenly: all that they block,
        and all that was assumed for them."""
        mode = self.device.spec.refresh
        if mode == "off":
            return 0.0
        assumed = float(clocks * (self.cycle - self.clock)) + 1
        blocked, interval = ("tRFCpb", "tREFIpb") if mode == "per_bank" else ("tRFC", "tREFI")
        each = sum(self.device.timing(name) for name in (blocked, "tRP", "tRCD") if name in self.device.spec.timing)
        return assumed + float(clocks // self.device.timing(interval) * each * self.clock)


def _named(counts: Counts) -> dict[str, Any]:
    return {name: round(float(value)) for name, value in zip(COUNTED, counts, strict=True)}


def _refreshes(device: Device, clocks: int) -> int:
    """Return the refresh commands in so many clocks: at the end of every interval one a rank, or one a channel."""
    mode = device.spec.refresh
    if mode == "off":
        return 0
    ranks = device.counts.get("Rank", 1) * device.counts.get("PseudoChannel", 1) if mode == "all_bank" else 1
    return clocks // device.timing("tREFIpb" if mode == "per_bank" else "tREFI") * device.channels * ranks
