"""The engine for chips whose units share memory: a program for each family of units, all run side by side.

Each family has its own front end, its own buffers and its own channel to memory. A stage is dispatched once the
stages that make what it reads are. No loop is skipped: who is ready first has memory first, so that what one
program does next depends on where the others are.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from sim.arch import Arch, Dram
from sim.engine import Engine
from sim.frontend import FrontEnd, Stage
from sim.hardware.buffers import Buffers
from sim.hardware.ports import Ports
from sim.hardware.shared import BankUnit, BlockUnit, SharedChannel, SharedDram
from sim.hardware.unit import Iteration, Unit
from sim.plan import START, Load, Process, Step, Store
from sim.timeline import Timeline


@dataclass(frozen=True)
class Offload:
    """A unit beside arrays and lanes: its name and kind, and the chip as it sees it, with its own buffers."""

    unit: str
    kind: str
    view: Arch

    @property
    def channel(self) -> str:
        """The name of its channel to memory."""
        return f"{self.unit}.dram"


class OffloadFront(FrontEnd):
    """The front end of a unit beside arrays and lanes."""

    def __init__(self, engine: Engine, offload: Offload) -> None:
        super().__init__(offload.view, engine, Buffers(offload.view))
        self.offload, self.tensors = offload, engine.front.tensors

    def unit_of(self, step: Step) -> str:
        """Return the unit that does a step; empty where it takes no time."""
        if isinstance(step, Load | Store):
            return self.offload.channel
        return self.offload.unit if isinstance(step, Process) else ""


class Programs(Engine):
    """One run of several programs. A stage belongs to that of its plan's unit, or of arrays and lanes."""

    def __init__(self, chip: Arch, offloads: Sequence[Offload], record: bool = False) -> None:
        self.offloads = {offload.unit: offload for offload in offloads}
        super().__init__(chip, fast_forward=False, record=record)
        self.fronts = {name: OffloadFront(self, offload) for name, offload in self.offloads.items()}

    def build(self) -> dict[str, Unit]:
        """Return the units of the chip, all channels to memory sharing it."""
        units = super().build()
        bus = simpy.Resource(self.env)
        channels: list[SharedChannel | SharedDram] = []
        seen = {"dram": (self.arch, self.ports)}
        seen |= {offload.channel: (offload.view, Ports(offload.view)) for offload in self.offloads.values()}
        for name, (chip, ports) in seen.items() if self.arch.bounded else ():
            first = channels[0] if channels else None
            if isinstance(self.arch.memory, Dram):
                assert first is None or isinstance(first, SharedDram)  # all are of one kind
                made: SharedChannel | SharedDram
                made = SharedDram(self.env, name, self, chip, ports, bus, first)
            else:
                made = SharedChannel(self.env, name, self, chip, ports, bus)
            channels.append(made)
            units[name] = made
        for name, offload in self.offloads.items():
            banks = offload.kind == "pim"
            units[name] = BankUnit(self.env, name, self, bus, channels) if banks else BlockUnit(self.env, name, self)
        return units

    def run(self, stages: Sequence[Stage], limit: int | None = None) -> Timeline:
        """Run all stages; DeadlockError with who waits on what where they cannot end."""
        self.made = self._made(stages)
        timeline = super().run(stages, limit)
        timeline.dram = {name: found for name, found in timeline.dram.items() if name == "dram"}
        return timeline

    def _made(self, stages: Sequence[Stage]) -> dict[str, list[simpy.Event]]:
        """Return for each tensor the events that its makers are dispatched."""
        self.dispatched_stage = [self.env.event() for _ in stages]
        made: dict[str, list[simpy.Event]] = {}
        for stage, event in zip(stages, self.dispatched_stage, strict=True):
            for tensor in stage.completes:
                made.setdefault(tensor, []).append(event)
        return made

    def _place(self, stages: Sequence[Stage]) -> None:
        super()._place(stages)
        for front in self.fronts.values():
            front.addresses = self.front.addresses
        self.fast_forward = False

    def _dispatch(self, stages: Sequence[Stage]) -> Generator[simpy.Event, Any, None]:
        parts: dict[str, list[tuple[int, Stage]]] = {}
        for index, stage in enumerate(stages):
            unit = stage.plan.unit if stage.plan.unit in self.offloads else ""
            parts.setdefault(unit, []).append((index, stage))
        fronts: Mapping[str, FrontEnd] = {"": self.front, **self.fronts}
        running = [self.env.process(self._program(fronts[unit], part)) for unit, part in parts.items()]
        yield simpy.AllOf(self.env, running)
        self.dispatched = True
        if not self.outstanding:
            self.all_done.succeed()

    def _program(self, front: FrontEnd, part: Sequence[tuple[int, Stage]]) -> Generator[simpy.Event, Any, None]:
        """Dispatch the stages of one program, in order; its place in it is kept while others dispatch theirs."""
        for index, stage in part:
            awaited = [event for read in stage.reads for event in self.made.get(read.tensor, ()) if not event.triggered]
            if awaited:
                front.flush()  # others may wait for what this program has yet to store
                yield simpy.AllOf(self.env, awaited)
            self.front, self.iteration = front, None
            front.begin(index, stage)
            yield from self._taking_turns(front, stage)
            front.finish()
            self.dispatched_stage[index].succeed()
        front.flush()

    def _taking_turns(self, front: FrontEnd, stage: Stage) -> Generator[simpy.Event, Any, None]:
        nodes = self._nodes(stage.plan.body, START)
        iteration: Iteration | None = None
        while True:
            self.front, self.iteration = front, iteration
            event = next(nodes, None)
            iteration = self.iteration
            if event is None:
                return
            yield event
