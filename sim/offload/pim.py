"""Layers on banks that multiply in the memory of a chip: their programs hold memory, while others wait.

What a program takes is what the command-level model of the device says. Between two reads of its results others have
their turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from sim.family import Request
from sim.inmemory.account import Account
from sim.inmemory.jobs import Job as Work
from sim.inmemory.jobs import Jobs, Program, together
from sim.inmemory.placement import check
from sim.inmemory.schedule import Schedule
from sim.kernel import Contraction
from sim.layers import Task
from sim.offload.job import Books, Deeds, Job
from sim.result import Traffic

WORD = 64
"""Bytes of its input that a block brings at least: a burst of common memories."""
TURN = 1024
"""Cycles after which others have their turn, if results are read as often: short beside the programs of a layer."""


@dataclass
class PimJobs:
    """Makes jobs of the layers of one chip's banks. CapacityError where a matrix does not fit into them."""

    request: Request
    port: int | None = None

    def __post_init__(self) -> None:
        chip, graph = self.request.chip, self.request.graph.expanded
        assert chip.pim is not None  # asked only where there are banks
        self.chip, self.device = chip, chip.pim.open()
        self.maker = Jobs(chip, self.device, {node.name: node for node in graph.nodes})
        self.account = Account(self.request, self.device, Schedule(chip, self.device, (), self.maker), ())
        self.books = Books(dict(self.account.costs))
        self.made: list[Work] = []
        clocks = self.device.interval * self.chip.clock / self.device.clock_hertz
        self.peak = round(self.device.lanes * self.device.units * self.device.spec.channels / clocks)

    def groups(self, tasks: Sequence[Task]) -> list[list[Task]]:
        """Return neighbours that multiply the same vector as one matrix each."""
        return together(tasks)

    def job(self, tasks: Sequence[Task], leaving: frozenset[str]) -> Job:
        """Return the job of a matrix, whose results in `leaving` go to memory."""
        works = list(self.maker.jobs(tasks))
        self.made += works
        programs = [program for work in works for program in (*work.before, *work.stores, work.product) if program]
        kernels = [k for task in tasks for k in task.kernels if isinstance(k, Contraction)]
        clocks = sum(program.cost.cycles + program.cost.closing for program in programs)
        cycles = ceil(clocks * self.chip.clock / self.device.clock_hertz)
        inputs = max(k.input_elements for k in kernels)
        outputs = sum(task.elements for task in tasks if task.writes in leaving)
        reads = sum(program.cost.chunks for program in programs)
        blocks = max(1, min(reads, self.chip.bytes_of("input", inputs) // WORD, ceil(cycles / TURN)))
        return Job(tasks[0].name, inputs, outputs, cycles, blocks, self._deeds(works, programs))

    def missing(self) -> list[dict[str, Any]]:
        """Return what is not modelled; CapacityError, by how much, where the matrices do not fit into the banks."""
        check(self.request.graph.expanded, self.made, self.device)
        sums = [work.name for work in self.made if work.adds]
        return [{"what": "adding partial sums outside the banks", "where": sums}] if sums else []

    def _deeds(self, works: Sequence[Work], programs: Sequence[Program]) -> Deeds:
        commands: Counter[str] = Counter()
        traffic: Traffic = {}
        for program in programs:
            commands.update(program.cost.commands)
            for memory, way, operand, size in self.account.moves(program):
                if size:
                    place = traffic.setdefault(memory, {"read": {}, "write": {}})[way]
                    place[operand] = place.get(operand, 0) + size
        counts = self.account.events(commands) if self.device.spec.energy is not None else {}
        lanes = self.device.lanes * self.device.units
        return Deeds(
            counts, traffic, self.peak, sum(work.macs for work in works),
            lanes * commands[self.device.command("multiply")],
            {"order": self.device.spec.order, "programs": sum(work.programs for work in works),
             "rows": sum(work.stored_rows for work in works), "padded_outputs": sum(work.padded for work in works)},
        )  # fmt: skip
