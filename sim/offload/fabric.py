"""Layers on a fabric beside other units: each run of neighbours is a pipeline, its time that of the streaming engine.

The pipeline runs alone through the streaming engine once, with its operands there. On the chip its tokens come and go
in blocks, as many bytes as the port has under way at once; a block takes its share of the pipeline's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from sim.arch import Ideal
from sim.fabric.account import BLOCK_BITS, ON_CHIP, Account
from sim.fabric.cost import NOTHING, Formats
from sim.fabric.execute import ATTEMPTS, PartRun, run
from sim.fabric.folding import Fold, Folder
from sim.fabric.parts import Part, fit, parts
from sim.fabric.stages import Stage, frames, stages
from sim.fabric.wiring import Places
from sim.family import Request
from sim.layers import Lowered, Task
from sim.offload.job import Books, Deeds, Job


@dataclass
class FabricJobs:
    """Makes jobs of the layers of one chip's fabric."""

    request: Request

    def __post_init__(self) -> None:
        fabric = self.request.chip.fabric
        assert fabric is not None  # asked only where there is one
        self.chip, self.fabric = self.request.chip, fabric
        self.alone = self.chip.model_copy(update={"memory": Ideal(kind="ideal")})
        self.books = Books()
        self.change = fabric.change(self.chip.clock)
        self.started = False
        self.port = fabric.port.width
        self.peak = fabric.dsp * Formats.of(self.chip, fabric).packed

    def groups(self, tasks: Sequence[Task]) -> list[list[Task]]:
        """Return how neighbours share the fabric: what is on it at once, by its pattern and its blocks."""
        made = self._stages(tasks)
        return [[stage.task for stage in part.stages] for part in parts(made, self.chip, self.fabric)]

    def job(self, tasks: Sequence[Task], leaving: frozenset[str]) -> Job:
        """Return the job of a pipeline, whose tensors in `leaving` go to memory."""
        made, images = self._stages(tasks), frames(self.request.graph, self._lowered(tasks))
        done = self._run(made, images, leaving)
        inside = {stage.task.writes for stage in made}
        pairs = list(zip(made, done.part.plan.folds, strict=True))
        inputs = {s.tensor: s.tokens * s.width for stage in made for s in stage.sources if s.tensor not in inside}
        outputs = sum(stage.tokens * stage.width for stage in made if stage.task.writes in leaving)
        held = sum(stage.matrix for stage, fold in pairs if not fold.streamed)
        away = [stage for stage, fold in pairs if fold.streamed]
        streamed = sum(stage.matrix for stage in away)
        passes = ceil(sum(stage.matrix * stage.vectors for stage in away) * images / streamed) if streamed else 1
        setup, self.started = self.change if self.started else 0, True
        port = self.fabric.port
        moved = max(self.chip.bytes_of("input", sum(inputs.values()) * images),
                    self.chip.bytes_of("weight", streamed) * passes,
                    self.chip.bytes_of("output", outputs * images))  # fmt: skip
        cycles = done.outcome.cycles
        blocks = max(1, min(ceil(moved / (port.outstanding * port.burst * port.width)), cycles))
        return Job(
            tasks[0].name, sum(inputs.values()) * images, outputs * images, cycles, blocks,
            self._deeds(done, pairs, images, leaving), held, streamed, passes, setup,
        )  # fmt: skip

    def missing(self) -> list[dict[str, Any]]:
        """Return what is not modelled of the cycles: nothing."""
        return []

    def _lowered(self, tasks: Sequence[Task]) -> Lowered:
        return Lowered(tuple(tasks), frozenset(), ())

    def _stages(self, tasks: Sequence[Task]) -> list[Stage]:
        return stages(self.request.graph, self._lowered(tasks))

    def _run(self, made: Sequence[Stage], images: int, leaving: frozenset[str]) -> PartRun:
        """Return the pipeline alone, narrowed where its FIFOs need the memory blocks."""
        folder = Folder(self.chip, self.fabric)
        part = Part(tuple(made), fit(made, folder, NOTHING))
        for _ in range(ATTEMPTS):
            done = run(part, self.alone, self.fabric, images, leaving, Places())
            needed, there = (done.part.plan.cost + done.fifos).bram18, self.fabric.bram18
            if there is None or needed <= there or not self.chip.bounded:
                break
            part = replace(part, plan=fit(made, folder, done.fifos))
        return done

    def _deeds(
        self, done: PartRun, pairs: Sequence[tuple[Stage, Fold]], images: int, leaving: frozenset[str]
    ) -> Deeds:
        account = Account(self.request, images, [done], 0, Places())
        counts: dict[tuple[str, str], float] = {}
        traffic: dict[str, dict[str, int]] = {"read": {}, "write": {}}
        for stage, fold in pairs:
            for action, count in account.actions(stage).items():
                counts[action] = counts.get(action, 0) + count
            for way, operand, size in account.on_chip(stage, fold):
                traffic[way][operand] = traffic[way].get(operand, 0) + size
        for way, operands in traffic.items():
            counts[ON_CHIP, way] = 8 * sum(operands.values()) / BLOCK_BITS
        self.books.costs |= account.costs
        if account.leakage is not None and self.chip.bounded:
            blocks = (done.part.plan.cost + done.fifos).bram18
            self.books.leakage[ON_CHIP] = max(self.books.leakage.get(ON_CHIP, 0.0), blocks * account.leakage)
        joins = [s for s, _ in pairs if s.task.writes in leaving and s.task.result == "kv"]
        joining = sum(stage.tokens * stage.width for stage in joins) * images
        slots = [account.slots(stage, fold) for stage, fold in pairs]
        cached = sum(s.tokens * s.width for stage, _ in pairs for s in stage.sources if s.operand == "kv") * images
        return Deeds(
            counts, {ON_CHIP: traffic} if any(traffic.values()) else {},
            self.peak,
            sum(used for used, _ in slots), sum(every for _, every in slots),
            {"pipeline": {s.name: {"pe": f.pe, "simd": f.simd, "interval": f.cycles} for s, f in pairs}},
            self.chip.bytes_of("input", cached), self.chip.bytes_of("output", joining),
        )  # fmt: skip
