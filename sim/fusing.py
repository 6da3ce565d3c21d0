"""Which attentions are fused where `mapping.attention: auto` leaves it open: as the engine finds them fastest.

Each attention is tried alone: layer by layer (scores, softmax and values, each mapped on its own), and fused as the
best mapping of attention that fits the chip. The fewest cycles win, then the least energy, then layer by layer. What
its neighbours prefetch or keep on chip may turn the tables, so the network as a whole is compared once more in
`sim.simulate`: fused attentions never make it slower. Where PEs keep scores in place nothing is tried, attention is
fused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from sim.accounting import Book
from sim.arch import Arch
from sim.attention.lowering import left_open
from sim.engine import Engine
from sim.errors import MappingError
from sim.frontend import Stage
from sim.graph import Graph
from sim.hardware.sustained import estimate
from sim.layers import Lowered, Task, lower
from sim.mapper import Trials
from sim.stages import Progress, Stages

Cost = tuple[int, float]
"""Cycles, and pJ without leakage."""


@dataclass(frozen=True)
class Trial:
    """What one attention takes alone, layer by layer and fused (None where it does not fit), and as which mapping."""

    apart: Cost | None
    fused: Cost | None
    mapping: str

    @property
    def fuses(self) -> bool:
        """Whether it is fused."""
        return self.fused is not None and (self.apart is None or self.fused < self.apart)

    def reason(self) -> str:
        """Return what was chosen, and what both ways take."""
        ways = [("layers", self.apart), (self.mapping or "fused", self.fused)]
        chosen, other = reversed(ways) if self.fuses else ways
        no = "do not fit" if other[0] == "layers" else "takes more, or does not fit"
        cycles = chosen[1][0] if chosen[1] else 0
        beside = f"{other[0]}: {f'{other[1][0]:,}' if other[1] else no}"
        return f"mapping.attention: auto takes {chosen[0]}, {cycles:,} cycles alone ({beside})"


@dataclass(frozen=True)
class Settled:
    """The layers of a run with its attentions settled, and without any left open fused (`apart`).

    `chosen` says why; `tried` is what those that were left open take alone, by name.
    """

    lowered: Lowered
    apart: Lowered
    stages: Stages
    tried: Mapping[str, Trial]
    parts: frozenset[str] = frozenset()
    """The layers that the attentions tried stand for."""

    @property
    def book(self) -> Book:
        """The accounts of the run."""
        return self.stages.book

    @property
    def fused(self) -> frozenset[str]:
        """The attentions that were left open and are fused."""
        return frozenset(name for name, trial in self.tried.items() if trial.fuses)

    @property
    def fits_apart(self) -> bool:
        """Whether the chip can run all of them layer by layer."""
        return all(trial.apart is not None for trial in self.tried.values())

    @property
    def chosen(self) -> tuple[dict[str, Any], ...]:
        """Each choice once, with the attentions that it holds for."""
        told: dict[str, list[str]] = {}
        for name, trial in self.tried.items():
            told.setdefault(trial.reason(), []).append(name)
        return tuple({"what": what, "where": where} for what, where in told.items())

    def overruled(self, apart: int, fused: int) -> tuple[dict[str, Any], ...]:
        """Return the choice where the network as a whole takes fewer cycles with all attentions layer by layer."""
        what = f"mapping.attention: auto takes layers, {apart:,} cycles for the network (fused: {fused:,})"
        return ({"what": what, "where": list(self.tried)},)

    def stages_of(self, lowered: Lowered, progress: Progress | None) -> list[Stage]:
        """Return the stages of these layers."""
        return replace(self.stages, lowered=lowered).all(progress)


def settle(graph: Graph, chip: Arch, trials: Trials | None = None, layers: str | None = None) -> Settled:
    """Return the layers of a network with each attention fused or not, as is faster; only those `layers` matches."""
    apart = lower(graph, chip)
    stages = Stages(estimate(chip), apart, Book(chip, graph), trials)
    nodes = graph.expanded.nodes
    open_ = {f.name: f for f in left_open(nodes, chip) if layers is None or fnmatchcase(f.name, layers)}
    if not open_:
        return Settled(apart, apart, stages, {})
    whole = lower(graph, chip, frozenset(open_))
    known: dict[Any, Trial] = {}
    tried: dict[str, Trial] = {}
    for task in whole.tasks:
        if task.name in open_:
            parts = [part for part in apart.tasks if part.name in open_[task.name].parts]
            wish = chip.mapping.of(task.name).model_dump_json()
            key = (_shapes(parts, apart), _shapes([task], whole), wish)
            if key not in known:
                known[key] = _try(task, parts, stages, whole)
            tried[task.name] = known[key]
    found = Settled(apart, apart, stages, tried, frozenset(part for name in tried for part in open_[name].parts))
    if not found.fused:
        return found
    return replace(found, lowered=whole if found.fused == frozenset(tried) else lower(graph, chip, found.fused))


def _try(task: Task, parts: Sequence[Task], stages: Stages, whole: Lowered) -> Trial:
    """Return what an attention takes alone both ways."""
    apart = _cost(parts, stages)
    one = replace(stages, lowered=whole, limit=apart[0] if apart else None)
    fused = _cost([task], one)
    plan = one.of(0, task)[0].plan if fused else None
    return Trial(apart, fused, str(getattr(plan.mapping, "name", "")) if plan else "")


def _cost(tasks: Sequence[Task], stages: Stages) -> Cost | None:
    """Return what some layers take behind each other and nothing else; None where no mapping fits."""
    try:
        made = [replace(stage, layer=index) for index, task in enumerate(tasks) for stage in stages.of(index, task)]
    except MappingError:
        return None
    return Engine(stages.chip).run(made).cycles, _energy(made, tasks, stages.book)


def _energy(made: Sequence[Stage], tasks: Sequence[Task], book: Book) -> float:
    kernels = [kernel for task in tasks for kernel in task.kernels]
    return sum(book.spent(s.plan, kernel, s.result) for s, kernel in zip(made, kernels, strict=True))


def _shapes(tasks: Sequence[Task], lowered: Lowered) -> tuple[Any, ...]:
    """Return all that the cost of layers alone depends on, without their names."""
    return tuple(
        (
            tuple(replace(kernel, name="") for kernel in task.kernels), task.result, task.writes in lowered.kept,
            tuple((operand, tensor in lowered.kept) for operand, tensor in task.reads),
            tuple(replace(work, name="") for work in task.epilogue),
        )
        for task in tasks
    )  # fmt: skip
