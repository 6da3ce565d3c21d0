"""The off-chip channel with DRAM controllers behind it: a transfer takes what its bursts take.

Transfers go to the controllers in the order of the plan. Their bursts lie where the layouts put them, so that
rows, banks and turnarounds cost what they cost. A transfer joins the queues when all of the one before is in them;
where none is ready then, the queues empty first. Until then the channel is busy.

Runs of up to FEW bursts, and all with `extrapolate: off`, go through the controllers burst by burst. Of longer ones
only stretches of transfers do, spread evenly over the run so that they come to a part of FEW bursts; of each kind, a
step of a plan behind the same three others (loads or stores), LEAST at least. They meet each other, and refresh, as
they do burst by burst. What is not simulated takes what those of its kind took that were last, one after the other.
Of a transfer of very many bursts blocks are simulated, and the rest takes their mean.

The bound that the result states is an estimate: it takes what was sampled for independent and nearly normal.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from fractions import Fraction
from math import ceil, hypot
from typing import Any

import simpy

from sim.arch import Arch, Dram
from sim.dram.controller import controller_of
from sim.dram.timing import NEVER
from sim.frontend import Stage
from sim.hardware.activity import counted, estimated, off
from sim.hardware.movers import ChannelUnit
from sim.hardware.ports import Ports
from sim.hardware.sustained import rates
from sim.hardware.transfers import COLD, Kind, Transit, counts_of, mean_of
from sim.hardware.unit import Job, Watcher
from sim.plan import Fill, Load, Step, Store, steps

FEW = 800_000
"""Bursts up to which a run is simulated burst by burst: a few CPU seconds."""
SAMPLED = 4
"""Of longer runs, one in so many of FEW bursts is simulated."""
STRETCH = 16
"""Transfers that are simulated one behind the other."""
SPREAD = 32
"""Such stretches at least, evenly over the run."""
MEETS = 3
"""Transfers before one that tell of what kind it is: writes wait behind reads, and come up among later ones."""
BLOCK = 4096
"""Bursts of a long transfer that are simulated at a time."""
BLOCKS = 6
"""Blocks of a transfer that are simulated at most."""



class DramUnit(ChannelUnit):
    """The off-chip channel of a chip with DRAM."""

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher, chip: Arch, ports: Ports) -> None:
        super().__init__(env, name, engine, chip, ports)
        memory = chip.memory
        assert isinstance(memory, Dram)  # the engine builds one only there
        self.memory, self.device, self.extrapolates = memory, memory.open(), False
        self.clock = Fraction(chip.clock) / self.device.clock_hertz
        self.controller = controller_of(self.device)
        self.kinds: dict[tuple[tuple[type, ...], int], Kind] = {}
        self.before: tuple[type, ...] = ()
        self.under_way: list[Transit] = []
        self.every, self.turn = 1, 0
        self.tail = self.latency = 0
        """Cycle from which on data can follow those of what was not simulated; cycles from a request to its data."""
        self.cold = False

    def expect(self, stages: Sequence[Stage]) -> None:
        """Make ready for a run: one of few bursts is simulated burst by burst, whatever the switch says."""
        transfers = [
            (step.bytes, times)
            for stage in stages
            for step, times in steps(stage.plan.body)
            if isinstance(step, Load | Store)
        ]
        bursts = sum(size * times for size, times in transfers) // self.device.burst
        self.extrapolates = self.memory.extrapolate and bursts > FEW
        if self.extrapolates:
            count = sum(times for _, times in transfers)
            stretches = max(SPREAD, FEW * count // (SAMPLED * STRETCH * bursts))
            self.every = max(STRETCH, count // stretches)
            self.latency = int(rates(self.device).latency * self.clock)

    def cost(self, step: Step) -> tuple[int, int]:
        """Return nothing: what a transfer takes is known when it is under way, and is its ports' at least."""
        return 0, 0

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Hold the channel until all bursts of the transfer are in the queues; its data are there when they are."""
        yield from self.wait(job.waits)
        self.start(job)
        kind = self.kinds.setdefault((self.before, id(job.step)), Kind(isinstance(job.step, Store)))
        self.before = (*self.before, type(job.step))[-MEETS:]
        if self._simulates(kind):
            yield from self._simulate(job, kind)
            self.release(job)
            return
        self._finish()
        held, done = kind.take()
        self.tail, self.cold = job.start + done - self.latency, True
        yield from self.hold(job, held)
        self.release(job)
        self.finish(job, int(self.env.now) + done - held)

    def _simulates(self, kind: Kind) -> bool:
        """Return whether the next transfer goes through the controllers."""
        if not self.extrapolates:
            return True
        self.turn += 1
        return self.turn % self.every < STRETCH or not kind.known

    def _simulate(self, job: Job, kind: Kind) -> Generator[simpy.Event, Any, None]:
        """Send the bursts into the queues, as fast as these take them; let them empty where nothing follows at once."""
        before = counts_of(self.controller.counters)
        transit, share = self._send(job, kind)
        self.under_way.append(transit)
        self._deliver()
        held = max(0, self._cycles(transit.taken) + transit.beyond - job.start)
        yield from self.hold(job, held)
        if not (self.queue and all(signal.fired for signal, _ in self.queue[0].waits)):
            self._finish()
            last = max(part.clock for part in self.controller.parts)
            left = max(0, self._cycles(last) + transit.beyond - int(self.env.now))
            self.book(job, int(self.env.now) + left, "compute")
            if left:
                yield self.env.timeout(left)
            held += left
        kind.counts += (counts_of(self.controller.counters) - before) * share
        transit.held = held
        transit.learn()

    def _send(self, job: Job, kind: Kind) -> tuple[Transit, float]:
        """Hand the bursts to the controllers: all of them, or as many blocks as stand for the rest.

        Returns what is under way, and how many times what was sent the whole transfer is.
        """
        assert job.stream is not None  # with DRAM every transfer has its addresses
        stream, write = job.stream(job.at), isinstance(job.step, Store | Fill)
        clocks = [ceil(max(job.start, self.tail) / self.clock)]
        transit, sent = Transit(job, kind, [], clocks[0], COLD if self.cold else self.turn // self.every), 0
        self.cold = False
        kind.sent, kind.bursts = kind.sent + 1, kind.bursts + stream.size
        while sent < stream.size and not (self.extrapolates and len(clocks) > BLOCKS):
            block = stream[sent : sent + BLOCK] if self.extrapolates else stream
            transit.parts.append(self.controller.submit(block, write, clocks[-1]))
            clocks.append(self._fill(clocks[-1]))
            sent += block.size
        transit.taken = clocks[-1]
        if sent < stream.size:
            rest = float(Fraction(stream.size - sent, BLOCK) * self.clock)
            mean, error = mean_of(clocks)
            transit.beyond = round(rest * mean)
            kind.doubt = hypot(kind.doubt, rest * error)
        return transit, stream.size / sent if sent else 1.0

    def _fill(self, since: int) -> int:
        """Let the controllers go on until nothing waits in front of their queues; return the clock then."""
        for part in self.controller.parts:
            while part.streams:
                part.step(NEVER)
                since = max(since, part.clock)
        return since

    def _cycles(self, clock: int) -> int:
        return ceil(clock * self.clock)

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

    def activity(self, cycles: int) -> dict[str, Any]:
        """Return what the DRAM did in a run of `cycles`; where it was extrapolated, by what share they may be off."""
        clocks = int(cycles / self.clock)
        if not self.extrapolates:
            self.controller.advance(clocks)
            return counted(self.controller.counters)
        kinds = self.kinds.values()
        share = off(kinds, self.device, float(self.clock), self.latency) / max(1, cycles)
        found = estimated(kinds, self.controller.counters, self.device, clocks)
        return found | {"extrapolation_error_bound": share}
