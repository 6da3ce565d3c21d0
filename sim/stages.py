"""From layers to stages: each layer mapped and planned, equal ones once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sim.accounting import Book
from sim.arch import Arch, Systolic, Vector
from sim.frontend import Read, Stage
from sim.kernel import Attention, Contraction, VectorWork
from sim.layers import Lowered, Task, fuse_vector
from sim.mapper import Choice, Trials, search, search_chunks
from sim.mapper.attention import search_attention
from sim.plan import Plan
from sim.planner import Surroundings

Progress = Callable[[int, int, str], None]
"""Told of each layer that is about to be mapped: its number, how many there are, its name."""


@dataclass
class Stages:
    """Maps and plans the layers of a run; equal kernels in equal surroundings are mapped once."""

    chip: Arch
    lowered: Lowered
    book: Book
    trials: Trials | None = None
    choices: dict[Any, Choice] = field(default_factory=dict)
    chunked: dict[Any, Plan] = field(default_factory=dict)
    fused: dict[Any, Plan] = field(default_factory=dict)
    limit: int | None = None
    """Cycles that a fused attention may take; left out: any."""

    def all(self, progress: Progress | None) -> list[Stage]:
        """Return the stages of all layers, in order."""
        stages = []
        for index, task in enumerate(self.lowered.tasks):
            if progress:
                progress(index, len(self.lowered.tasks), task.name)
            stages += self.of(index, task)
        return stages

    def of(self, index: int, task: Task) -> list[Stage]:
        """Return the stages of layer `index`, one a kernel."""
        stages = []
        for position, kernel in enumerate(task.kernels):
            reads = task.kernel_reads(kernel)
            held = [operand for operand, tensor in reads if tensor in self.lowered.kept]
            on_chip = {o for o in held if all(t in self.lowered.kept for op, t in reads if op == o)}
            on_chip |= {"output"} if task.writes in self.lowered.kept else set()
            if isinstance(kernel, Contraction):
                around = Surroundings(frozenset(on_chip), tuple(task.epilogue), task.parameters if not position else 0)
                plan = self._map(task.name, kernel, around, task.result).plan
            elif isinstance(kernel, Attention):
                plan = self._fuse(task.name, kernel, frozenset(on_chip), task.result)
            else:
                work = fuse_vector(task, kernel, self.lowered.kept)
                plan = self._chunk(replace(work, result=task.result), frozenset(on_chip))
            waits = tuple(Read(operand, tensor, tensor in self.lowered.kept) for operand, tensor in reads)
            stages.append(Stage(plan, index, waits, task.writes, task.result))
        return stages

    def _chunk(self, work: VectorWork, on_chip: frozenset[str]) -> Plan:
        key = (replace(work, name=""), on_chip)
        if key not in self.chunked:
            chip = self.chip.seen(result=work.result)
            find = partial(search_chunks, work, chip, chip.unit_name(Vector), on_chip)
            self.chunked[key] = self.trials.chunk(work, chip, on_chip, find) if self.trials else find()
        return replace(self.chunked[key], name=work.name, kernel=work)

    def _fuse(self, layer: str, kernel: Attention, on_chip: frozenset[str], result: str) -> Plan:
        wish = self.chip.mapping.of(layer)
        key = (replace(kernel, name=""), on_chip, wish.model_dump_json(), result)
        if key not in self.fused:
            self.fused[key] = search_attention(kernel, self.chip.seen(result=result), wish, on_chip, self.limit)
        return replace(self.fused[key], name=layer, kernel=kernel)

    def _map(self, layer: str, kernel: Contraction, around: Surroundings, result: str) -> Choice:
        wish = self.chip.mapping.of(layer)
        bare = replace(around, epilogue=tuple(replace(work, name="") for work in around.epilogue))
        key = (replace(kernel, name=""), bare, wish.model_dump_json(), result)
        if key not in self.choices:
            unit = self.chip.unit_name(Systolic)
            named = replace(kernel, name=layer)
            chip = self.chip.seen(kernel.right_is, result)
            self.choices[key] = search(named, chip, unit, around, wish, self.book.prices, self.trials)
        return self.choices[key]
