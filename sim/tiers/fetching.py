"""The front end's part of tiers: fetches go out with the layers, loads of weights wait for them."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.frontend import Addresses, FrontEnd, Stage
from sim.hardware.unit import Job, Signal, Wait
from sim.plan import Load, Loop, Node, Position
from sim.tiers.schedule import Order, Schedule
from sim.tiers.uses import Block


class Fetching:
    """Queues the fetches of a schedule, and what they write into memory, ahead of the loads that need it."""

    def __init__(self, front: FrontEnd, schedule: Schedule, last: int) -> None:
        self.front, self.schedule, self.last = front, schedule, last
        self.coming: dict[tuple[Block, int], tuple[Order, Job]] = {}
        """Matrices of blocks that were ordered and are not in memory yet, by block and stage."""
        self.here: dict[tuple[Block, int], Signal] = {}
        """When those that were ordered in this run came."""
        self.vain: list[tuple[Order, Job]] = []
        self.read: dict[Block, Signal] = {}
        """The last load of each block."""

    def begin(self, index: int, stage: Stage) -> None:
        """Queue the fetches that go out when the inputs of a stage are known; write what was fetched in vain."""
        if index in self.schedule.orders or index == self.last:
            for order, job in self.vain:
                self._fill(order, job)
            self.vain = []
        for order in self.schedule.orders.get(index, ()):
            made = [signal for read in stage.reads for signal in self.front.tensors.get(read.tensor, ())]
            waits: list[Wait] = [(signal, "wait_dependency") for signal in made]
            waits += [(self.read[v], "wait_output_space") for v in order.victims if v in self.read]
            job = self.front.queues.job(order.fetch, order.matrix.layer, waits)
            self.front.queues.submit(order.tier, job)
            key = order.block, order.matrix.stage
            self.here[key] = job.done
            if order.asked:
                self.coming[key] = order, job
            else:
                self.vain.append((order, job))

    def due(self, index: int, step: Load, at: Position) -> bool:
        """Tell whether a load waits for a fetch of this run."""
        return any((block, index) in self.here for block in self._blocks(index, step, at))

    def before(self, index: int, step: Load, at: Position) -> list[Wait]:
        """Return what a load of weights waits for; what came for it is written into memory first."""
        waits: list[Wait] = []
        for block in self._blocks(index, step, at):
            key = block, index
            if key in self.coming:
                self._fill(*self.coming.pop(key))
            if key in self.here:
                waits.append((self.here[key], "wait_tier"))
        return waits

    def loaded(self, index: int, step: Load, at: Position, job: Job) -> None:
        """Note that a job loads blocks: their places are not free before it is done."""
        for block in self._blocks(index, step, at):
            self.read[block] = job.done

    def varies(self, index: int, loop: Loop) -> bool:
        """Tell whether iterations of a loop of stage `index` read different blocks, so that none stands for another."""
        return index in self.schedule.reads and _goes_along_groups(loop)

    def _blocks(self, index: int, step: Load, at: Position) -> list[Block]:
        matrix = self.schedule.reads.get(index) if step.operand == "weight" else None
        if matrix is None:
            return []
        return list(dict.fromkeys(matrix.blocks[at["g"] : at["g"] + step.extent[0]]))

    def _fill(self, order: Order, fetched: Job) -> None:
        """Queue the writing of a matrix into memory, as soon as it is there."""
        front, size = self.front, order.fill.bytes
        job = front.queues.job(order.fill, order.matrix.layer, [(fetched.done, "wait_tier")])
        if front.addresses is not None:
            stage = order.matrix.stage
            group = order.matrix.blocks.index(order.block) if order.asked else 0
            job.stream = partial(_elsewhere, front.addresses, stage, group, size)
        front.queues.submit("dram", job)


def _elsewhere(addresses: Addresses, stage: int, group: int, size: int, at: Position) -> NDArray[np.int64]:
    """Return where weights of a group lie: loops around who needs them say nothing about that."""
    return addresses.held(stage, group, size)


def _goes_along_groups(node: Node) -> bool:
    return isinstance(node, Loop) and (node.dim == "g" or any(_goes_along_groups(inner) for inner in node.body))
