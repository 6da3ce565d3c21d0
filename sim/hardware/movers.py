"""Units that take a job for a known number of cycles: the off-chip channel, the vector unit, the link."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from sim import arch
from sim.hardware.unit import Job, Unit, Watcher
from sim.plan import Broadcast, Load, Process, Reduce, Step, Store


class _Mover(Unit):
    """Waits, is busy, and is done some latency later."""

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles for which a step occupies the unit, and the latency behind them."""
        raise NotImplementedError

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles of a step, and what the run lasts beyond the last one at least."""
        busy, latency = self.cost(step)
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
        self.commit(job, begin, busy)
        if job.waits:
            self.book_wait(job, max(job.waits, key=lambda wait: wait[0].seen(job.shift)), begin)
        self.book(job, begin, "wait_dependency")
        self.book(job, begin + busy, "compute")
        if busy:
            yield self.env.timeout(busy)
        self.release(job)
        self.finish(job, job.start + busy + latency)

    @staticmethod
    def _note_dependency(job: Job) -> None:
        """Remember that the job waited for a layer before it, so that who waits for the job books that."""
        if any(cause == "wait_dependency" and signal.time == job.start for signal, cause in job.waits):
            job.done.dependency_until = job.start


class ChannelUnit(_Mover):
    """The off-chip channel: transfers in the order of the plan, whole bursts, reads after a latency.

    The order is static, so that time is a max-plus function of every duration: more bandwidth can never
    make a plan slower. Writes are posted: they are done when the channel has taken them.
    """

    kind = "channel"

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, chip: arch.Arch
    ) -> None:
        super().__init__(env, name, engine)
        channel = arch.channel(chip)
        assert channel is not None  # the engine builds one only where memory is bounded
        self.channel = channel
        self.ports = {o: chip.buffers[chip.buffer_of(o)].bandwidth for o in arch.OPERANDS}
        self.busy: dict[tuple[str, int], int] = {}

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles on the channel, or at the buffer's port where that is narrower."""
        assert isinstance(step, Load | Store)  # the engine sends nothing else
        # Parameters of the layer's vector work (biases) go where the sums are.
        operand = step.operand if isinstance(step, Load) and step.operand != "parameter" else "output"
        return self._busy(operand, step.bytes), self.channel.latency if isinstance(step, Load) else 0

    def _busy(self, operand: str, size: int) -> int:
        """Return the cycles of a transfer, computed once for each size."""
        if (operand, size) not in self.busy:
            cycles, port = self.channel.cycles(size), self.ports[operand]
            self.busy[operand, size] = cycles if port is None else max(cycles, -(-size // port))
        return self.busy[operand, size]


class VectorUnit(_Mover):
    """Lanes: a job is busy for its lane cycles, its result is out after the pipeline's latency."""

    kind = "vector"

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, vector: arch.Vector
    ) -> None:
        super().__init__(env, name, engine)
        self.vector = vector

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the lane cycles and the latency."""
        assert isinstance(step, Process)  # the engine sends nothing else
        return step.cycles, self.vector.latency


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
