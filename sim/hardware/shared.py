"""Off-chip memory that several units reach, each through a channel of its own: one transfer at a time.

Who is ready first goes first. While a fabric's or an array's transfer is under way, and while banks multiply, the
others wait: `wait_port`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from sim.arch import Arch
from sim.frontend import Stage
from sim.hardware.dram import DramUnit
from sim.hardware.movers import ChannelUnit, Mover
from sim.hardware.ports import Ports
from sim.hardware.unit import Job, Unit, Watcher
from sim.plan import Process, Step


def turn(unit: Unit, job: Job, bus: simpy.Resource) -> Generator[simpy.Event, Any, simpy.resources.resource.Request]:
    """Return the right to use memory, once the job's operands are there and nobody else has it."""
    yield from unit.wait(job.waits)
    asked = int(unit.env.now)
    granted = bus.request()
    yield granted
    if unit.env.now > asked:
        if job.waits:
            unit.book_wait(job, max(job.waits, key=lambda wait: wait[0].seen(job.shift)), asked)
        unit.book(job, asked, "wait_dependency")
        unit.book(job, int(unit.env.now), "wait_port")
    return granted


class SharedChannel(ChannelUnit):
    """A channel to memory of which one transfer at a time is served."""

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, chip: Arch, ports: Ports, bus: simpy.Resource
    ) -> None:
        super().__init__(env, name, engine, chip, ports)
        self.bus = bus

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Move the job's bytes as soon as memory is free."""
        granted = yield from turn(self, job, self.bus)
        yield from super().serve(job)
        self.bus.release(granted)

    def settle(self) -> int:
        """Return the cycle at which nothing is under way any more."""
        return int(self.env.now)


class SharedDram(DramUnit):
    """A channel to DRAM whose controllers serve all channels of the chip, every burst of them."""

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, chip: Arch, ports: Ports, bus: simpy.Resource,
        first: SharedDram | None = None,
    ) -> None:  # fmt: skip
        super().__init__(env, name, engine, chip, ports)
        self.bus = bus
        if first is not None:
            self.controller = first.controller

    def expect(self, stages: Sequence[Stage]) -> None:
        """Simulate every burst: controllers that several channels use cannot be left out for one of them."""
        self.extrapolates = False

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Hand the job's bursts to the controllers as soon as those of the one before are in their queues."""
        granted = yield from turn(self, job, self.bus)
        yield from super().serve(job)
        self.bus.release(granted)

    def settle(self) -> int:
        """Return the cycle at which nothing is under way any more."""
        self._finish()
        return max(int(self.env.now), *(self._cycles(part.clock) for part in self.controller.parts))


class BlockUnit(Mover):
    """A unit that takes a step of known length: a fabric with a pipeline on it, given a block of its inputs."""

    kind = "fabric"

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles of the step; its result is there at their end."""
        assert isinstance(step, Process)  # nothing else is given to it
        return step.cycles, 0


class BankUnit(BlockUnit):
    """Multipliers in the banks of the memory: while they work, nobody else reaches it."""

    kind = "pim"

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, bus: simpy.Resource,
        channels: Sequence[SharedChannel | SharedDram],
    ) -> None:  # fmt: skip
        super().__init__(env, name, engine)
        self.bus, self.channels = bus, channels

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Multiply as soon as memory is free and quiet."""
        granted = yield from turn(self, job, self.bus)
        quiet = max((channel.settle() for channel in self.channels), default=0)
        if quiet > self.env.now:
            yield self.env.timeout(quiet - int(self.env.now))
            self.book(job, quiet, "wait_port")
        yield from super().serve(job)
        self.bus.release(granted)
