"""The array of a chip alone, and what a network has for it: its contractions as plans, their folds in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sim.accounting import Book
from sim.arch import Arch, Ideal, Systolic
from sim.errors import ConfigError, Problem, unknown
from sim.execute import FoldBlock, fold_blocks
from sim.graph import Graph
from sim.kernel import Contraction
from sim.layers import lower
from sim.plan import START, Compute, Loop, Node, Plan, Position
from sim.stages import Stages


def bare(chip: Arch) -> Arch:
    """Return the array of a chip alone, on ideal memory, at the clock of the chip.

    ConfigError where it has none, or more than one.
    """
    name = chip.unit_name(Systolic)
    array = chip.units[name]
    assert isinstance(array, Systolic)  # its name says so
    if chip.mac_rate > 1:
        told = f"PEs are shown that make one product a cycle, not {chip.mac_rate}"
        way_out = f"choose formats of rate 1, or --set {name}.rates={{}}"
        raise ConfigError(Problem(f"{told}; {way_out}", key=f"units.{name}.rates"))
    if array.count > 1:
        message = f"register by register there is one array, not {array.count}; --set count=1"
        raise ConfigError(Problem(message, key=f"units.{name}.count"))
    plain = array.model_copy(update={"dvfs": None})
    return chip.model_copy(update={"units": {name: plain}, "memory": Ideal(kind="ideal"), "buffers": {}})


def contractions(alone: Arch, graph: Graph, pattern: str) -> tuple[list[tuple[str, Plan]], tuple[str, ...]]:
    """Return name and plan of each contraction of the layers that match, and the layers that have none.

    ConfigError where no layer with a contraction matches.
    """
    lowered = lower(graph, alone)
    tasks = tuple(task for task in lowered.tasks if fnmatchcase(task.name, pattern) and task.contracts)
    if not tasks:
        raise ConfigError(Problem(unknown("layer", pattern, [t.name for t in lowered.tasks]), "--layers"))
    stages = Stages(alone, replace(lowered, tasks=tasks), Book(alone, graph)).all(None)
    named = {task.name for task in tasks}
    plans = [(tasks[stage.layer].name, stage.plan) for stage in stages if isinstance(stage.plan.kernel, Contraction)]
    return plans, tuple(node.name for node in graph.nodes if node.name not in named)


def computes(nodes: Sequence[Node], at: Position = START) -> Iterator[tuple[Compute, Position]]:
    """Yield every step in which the array works, with its place, in the order in which the array works on them."""
    for node in nodes:
        if isinstance(node, Loop):
            for index in range(node.count):
                yield from computes(node.body, node.at(index, at))
        elif isinstance(node, Compute):
            yield node, at


def blocks(plan: Plan, arch: Arch) -> list[FoldBlock]:
    """Return every fold of the plan in the order in which the array works on them."""
    return [block for step, at in computes(plan.body) for block in fold_blocks(plan, arch, step.extent, at)]
