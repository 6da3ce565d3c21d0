"""Units that take a job for a known number of cycles: the off-chip channel, the vector unit, the link."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from math import ceil
from typing import Any

import simpy

from sim import arch
from sim.hardware.ports import ARRAY, CHANNEL, LANES, Demand, Ports
from sim.hardware.unit import Job, Unit, Watcher
from sim.plan import Broadcast, Fetch, Fill, Load, Process, Reduce, Step, Store, moves_of

Passing = tuple[int, tuple[Demand, ...]]
"""The cycles of a step with its ports to itself, and what it asks of ports that others use too."""


class Mover(Unit):
    """Waits, is busy, and is done some latency later. Ports of buffers may hold it up while it is busy."""

    rank = ARRAY
    ports: Ports | None = None

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher) -> None:
        super().__init__(env, name, engine)
        self.passings: dict[int, Passing] = {}

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles for which a step occupies the unit where no port limits it, and the latency behind them."""
        raise NotImplementedError

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles of a step with its ports to itself, and what the run lasts beyond the last one at least."""
        return self.passing(step)[0], self.cost(step)[1]

    def passing(self, step: Step) -> Passing:
        """Return the cycles of a step with its ports to itself, and what it asks of ports that others use too."""
        found = self.passings.get(id(step))  # the plans of a run outlive it
        if found is None:
            cycles, _ = self.cost(step)
            demands = self.ports.demands(moves_of(step)) if self.ports else ()
            for port, size in demands:
                cycles = max(cycles, -(-size // port.bandwidth))
            found = self.passings[id(step)] = cycles, tuple(demand for demand in demands if demand[0].shared)
        return found

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Hold the unit for the job's cycles; its result is there after the latency."""
        yield from self.wait(job.waits)
        self.start(job)
        busy, latency = self.cost(job.step)
        yield from self.hold(job, busy)
        self.release(job)
        self.finish(job, int(self.env.now) + latency)

    def start(self, job: Job) -> None:
        """Let a job begin now, and book what it waited for."""
        job.start = int(self.env.now)
        if job.on_start:
            job.on_start(job, job.start)
        self._note_dependency(job)
        self.catch_up(job.shift)
        begin = job.start + job.shift
        self.commit(job, begin, self.passing(job.step)[0])
        if begin > self.ledger.until:
            if job.waits:
                self.book_wait(job, max(job.waits, key=lambda wait: wait[0].seen(job.shift)), begin)
            self.book(job, begin, "wait_dependency")

    def hold(self, job: Job, busy: int) -> Generator[simpy.Event, Any, None]:
        """Keep the unit for `busy` cycles from the start of the job, and for as long as ports take beyond them."""
        alone, shared = self.passing(job.step)
        least = max(busy, alone)
        self.book(job, job.start + job.shift + busy, "compute")
        if shared:
            yield from self._share(job, least, shared)
        elif least:
            yield self.env.timeout(least)
        now = int(self.env.now)
        job.done.held_up = now - job.start - busy
        self.book(job, now + job.shift, "wait_port")

    def _share(self, job: Job, least: int, shared: tuple[Demand, ...]) -> Generator[simpy.Event, Any, None]:
        """Move what the job asks of ports beside others."""
        assert self.ports is not None  # who has demands has ports
        flow = self.ports.begin(self.rank, job.start, least, shared)
        while flow.end > self.env.now:
            yield self.env.timeout(flow.end - self.env.now)
        self.ports.end(flow)

    @staticmethod
    def _note_dependency(job: Job) -> None:
        """Remember that the job waited for a layer before it, or for a tier, so that who waits for it books that."""
        done = job.done
        for signal, cause in job.waits:
            if cause == "wait_dependency" and signal.time == job.start:
                done.dependency_until = job.start
            elif cause == "wait_tier":
                moved = min(signal.shift, job.shift) - job.shift
                done.tier_until = max(done.tier_until, signal.time + moved)
                done.dependency_until = max(done.dependency_until, signal.dependency_until + moved)


_TRANSFERS = (Load, Store, Fill)


class ChannelUnit(Mover):
    """The off-chip channel: transfers in the order of the plan, whole bursts, reads after a latency.

    The order is static, so that time is a max-plus function of every duration where no port is shared: more
    bandwidth can never make a plan slower. Writes are posted: they are done when the channel has taken them.
    """

    kind, rank = "channel", CHANNEL

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, chip: arch.Arch, ports: Ports
    ) -> None:
        super().__init__(env, name, engine)
        channel = arch.channel(chip)
        assert channel is not None  # the engine builds one only where memory is bounded
        self.channel, self.ports, self.chip = channel, ports, chip
        self.busy: dict[tuple[str, int], int] = {}

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles on the channel, computed once for each size, and the latency."""
        assert isinstance(step, _TRANSFERS)  # the engine sends nothing else
        operand, latency = (step.operand, self.channel.latency) if isinstance(step, Load) else ("", 0)
        key = (operand, step.bytes)
        if key not in self.busy:
            self.busy[key] = self.channel.cycles(self.chip.brought(operand, step.bytes))
        return self.busy[key], latency


class VectorUnit(Mover):
    """Lanes: a job is busy for its lane cycles, its result is out after the pipeline's latency.

    `pace` cycles of the chip are one of the lanes; what a job takes is converted as a whole, rounded up.
    """

    kind, rank = "vector", LANES

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, vector: arch.Vector, ports: Ports,
        pace: Fraction | int = 1,
    ) -> None:
        super().__init__(env, name, engine)
        self.ports, self.pace, self.latency = ports, pace, ceil(vector.latency * pace)

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the lane cycles and the latency."""
        assert isinstance(step, Process)  # the engine sends nothing else
        return step.cycles if self.pace == 1 else ceil(step.cycles * self.pace), self.latency


class LinkUnit(Mover):
    """The wires between arrays: bytes at a rate, after a latency."""

    kind = "link"

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher, link: arch.Link) -> None:
        super().__init__(env, name, engine)
        self.link = link

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles that the bytes take, and the latency."""
        assert isinstance(step, Broadcast | Reduce)  # the engine sends nothing else
        return -(-step.bytes // self.link.bandwidth), self.link.latency


class TierUnit(Mover):
    """The channel of a slower memory: whole blocks at its rate, in the order in which they were asked for.

    What it brings is there a latency later; requests overlap, so that the latency is not waited for one by one.
    """

    kind = "tier"

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher, tier: arch.Tier, clock: int) -> None:
        super().__init__(env, name, engine)
        self.line = tier.channel(clock)

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles that the blocks take, and the latency."""
        assert isinstance(step, Fetch)  # the front end sends nothing else
        return self.line.cycles(step.bytes), self.line.latency
