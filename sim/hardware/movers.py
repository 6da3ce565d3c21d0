"""Units that take a job for a known number of cycles: the off-chip channel, the vector unit, the link."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from sim import arch
from sim.hardware.ports import ARRAY, CHANNEL, LANES, Demand, Ports
from sim.hardware.unit import Job, Unit, Watcher
from sim.plan import Broadcast, Load, Moves, Process, Reduce, Step, Store


class _Mover(Unit):
    """Waits, is busy, and is done some latency later. Ports of buffers may hold it up while it is busy."""

    rank = ARRAY
    ports: Ports | None = None

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher) -> None:
        super().__init__(env, name, engine)
        self.asked: dict[int, tuple[Demand, ...]] = {}

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles for which a step occupies the unit where no port limits it, and the latency behind them."""
        raise NotImplementedError

    def moves(self, step: Step) -> Moves:
        """Return what a step moves through ports of buffers: (operand, "read" or "write", bytes)."""
        return ()

    def demands(self, step: Step) -> tuple[Demand, ...]:
        """Return what a step asks of ports that have a limit."""
        if id(step) not in self.asked:  # the plans of a run outlive it
            self.asked[id(step)] = self.ports.demands(self.moves(step)) if self.ports else ()
        return self.asked[id(step)]

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles of a step with its ports to itself, and what the run lasts beyond the last one at least."""
        busy, latency = self.cost(step)
        for port, size in self.demands(step):
            busy = max(busy, -(-size // port.bandwidth))
        return busy, latency

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Hold the unit for the job's cycles; its result is there after the latency."""
        yield from self.wait(job.waits)
        job.start = int(self.env.now)
        if job.on_start:
            job.on_start()
        busy, latency = self.cost(job.step)
        self._note_dependency(job)
        self.catch_up(job.shift)
        begin = job.start + job.shift
        self.commit(job, begin, self.least(job.step)[0])
        if job.waits:
            self.book_wait(job, max(job.waits, key=lambda wait: wait[0].seen(job.shift)), begin)
        self.book(job, begin, "wait_dependency")
        self.book(job, begin + busy, "compute")
        demands = self.demands(job.step)
        if demands:
            yield from self._pass(job, busy, demands)
        elif busy:
            yield self.env.timeout(busy)
        self.release(job)
        self.finish(job, int(self.env.now) + latency)

    def _pass(self, job: Job, busy: int, demands: tuple[Demand, ...]) -> Generator[simpy.Event, Any, None]:
        """Move what the job asks of ports; what that takes beyond its own cycles is booked to them."""
        assert self.ports is not None  # who has demands has ports
        flow = self.ports.begin(self.rank, job.start, busy, demands)
        while flow.end > self.env.now:
            yield self.env.timeout(flow.end - self.env.now)
        self.ports.end(flow)
        job.done.held_up = flow.end - job.start - busy
        self.book(job, flow.end + job.shift, "wait_port")

    @staticmethod
    def _note_dependency(job: Job) -> None:
        """Remember that the job waited for a layer before it, so that who waits for the job books that."""
        if any(cause == "wait_dependency" and signal.time == job.start for signal, cause in job.waits):
            job.done.dependency_until = job.start


class ChannelUnit(_Mover):
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
        self.channel, self.ports = channel, ports
        self.busy: dict[int, int] = {}

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles on the channel, computed once for each size, and the latency."""
        assert isinstance(step, Load | Store)  # the engine sends nothing else
        if step.bytes not in self.busy:
            self.busy[step.bytes] = self.channel.cycles(step.bytes)
        return self.busy[step.bytes], self.channel.latency if isinstance(step, Load) else 0

    def moves(self, step: Step) -> Moves:
        """Return the bytes of a transfer at its buffer: parameters of the layer's vector work go where the sums are."""
        assert isinstance(step, Load | Store)  # the engine sends nothing else
        if isinstance(step, Store):
            return (("output", "read", step.bytes),)
        return ((step.operand if step.operand != "parameter" else "output", "write", step.bytes),)


class VectorUnit(_Mover):
    """Lanes: a job is busy for its lane cycles, its result is out after the pipeline's latency."""

    kind, rank = "vector", LANES

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, vector: arch.Vector, ports: Ports
    ) -> None:
        super().__init__(env, name, engine)
        self.vector, self.ports = vector, ports

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the lane cycles and the latency."""
        assert isinstance(step, Process)  # the engine sends nothing else
        return step.cycles, self.vector.latency

    def moves(self, step: Step) -> Moves:
        """Return the bytes that the lanes read and write on chip."""
        assert isinstance(step, Process)  # the engine sends nothing else
        return step.moves


class LinkUnit(_Mover):
    """The wires between arrays: bytes at a rate, after a latency."""

    kind = "link"

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher, link: arch.Link) -> None:
        super().__init__(env, name, engine)
        self.link = link

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles that the bytes take, and the latency."""
        assert isinstance(step, Broadcast | Reduce)  # the engine sends nothing else
        return -(-step.bytes // self.link.bandwidth), self.link.latency
