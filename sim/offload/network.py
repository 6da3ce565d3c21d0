"""A network on a chip whose families of units share memory: every layer on its unit, all in one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from sim.arch import Arch
from sim.engine import Engine
from sim.family import Request
from sim.frontend import Read, Stage
from sim.hardware.sustained import estimate
from sim.layers import Task
from sim.offload.account import SharedBook
from sim.offload.fabric import FabricJobs
from sim.offload.job import Job, view_of
from sim.offload.pim import PimJobs
from sim.programs import Offload, Programs
from sim.result import Result
from sim.stages import Stages

Makers = dict[str, FabricJobs | PimJobs]
"""What makes jobs of layers, by family of units."""


def run_shared(request: Request, record: bool = False) -> Result:
    """Return what a network costs on a chip of several families of units.

    Each layer runs where `assign` sends it. All families run side by side as far as layers do not wait for each other,
    and share memory.
    """
    chip = request.chip
    book = SharedBook(chip, request.graph)
    makers: Makers = {"fabric": FabricJobs(request)} if chip.fabric else {}
    makers |= {"pim": PimJobs(request)} if chip.pim else {}
    groups = list(_groups(request.lowered.tasks, chip, makers))
    tasks = [_merged(group, _leaving(group, request)) for group in groups]
    lowered = replace(request.lowered, tasks=tuple(task for task, _ in tasks))
    planned = Stages(estimate(chip), lowered, book)
    jobs: dict[int, Job] = {}
    for index, (group, (task, also)) in enumerate(zip(groups, tasks, strict=True)):
        if request.progress:
            request.progress(index, len(groups), task.name)
        maker = makers.get(task.family(chip))
        if maker is not None:
            jobs[index] = maker.job(group, frozenset({task.writes, *also}))
    missing = [entry for maker in makers.values() for entry in maker.missing()]
    offloads, views = [], dict[str, Arch]()
    for name, unit in chip.units.items():
        mine = [job for index, job in jobs.items() if lowered.tasks[index].unit == name]
        if mine:
            maker = makers[unit.family]
            views[name] = view_of(chip, max(job.room(chip) for job in mine), maker.port)
            offloads.append(Offload(name, unit.kind, views[name]))
    stages: list[Stage] = []
    for index, (task, also) in enumerate(tasks):
        if index in jobs:
            plan = jobs[index].plan(views[task.unit], task.unit)
            reads = tuple(Read("input", tensor) for _, tensor in task.reads)
            stages.append(Stage(plan, index, reads, task.writes, task.result, also))
        else:
            stages += planned.of(index, task)
    book.peak = sum(maker.peak for maker in makers.values())
    for maker in makers.values():
        book.costs |= maker.books.costs
        book.action_costs.leakage |= maker.books.leakage
    book.deeds = {index: job.deeds for index, job in jobs.items()}
    engine = Programs(chip, offloads, record) if offloads else Engine(chip, record=record)  # alone, it may skip loops
    timeline = engine.run(stages)
    result = book.result(lowered, stages, timeline, [*request.missing, *missing], dict(request.provenance))
    return replace(result, timeline=timeline if record else None)


def _groups(tasks: Sequence[Task], chip: Arch, makers: Makers) -> Iterator[list[Task]]:
    """Yield the layers that are one job: neighbours on a fabric as far as they fit on it together, others alone."""
    for family, run in groupby(tasks, key=lambda task: task.family(chip)):
        if family in makers:
            yield from makers[family].groups(list(run))
        else:
            yield from ([task] for task in run)


def _leaving(group: Sequence[Task], request: Request) -> list[str]:
    """Return the tensors of a group that others read, or nobody, or that join a cache: they go to memory."""
    inside = {id(task) for task in group}
    elsewhere = {tensor for t in request.lowered.tasks if id(t) not in inside for _, tensor in t.reads}
    within = {tensor for task in group for _, tensor in task.reads}
    kept = {task.writes for task in group if task.result == "kv"} | elsewhere
    return [task.writes for task in group if task.writes in kept or task.writes not in within]


def _merged(group: Sequence[Task], leaving: Sequence[str]) -> tuple[Task, tuple[str, ...]]:
    """Return a group as one layer, called after its first, and the tensors that it makes beside that layer's."""
    if len(group) == 1:
        return group[0], ()
    first, inside = group[0], {task.writes for task in group}
    reads = tuple(dict.fromkeys(("input", t) for task in group for _, t in task.reads if t not in inside))
    made = {task.writes: task for task in group}
    fused = [name for task in group for name in (task.name, *task.fused)][1:]
    whole = Task(
        first.name, first.op, tuple(k for task in group for k in task.kernels), reads, (), leaving[0],
        sum(made[name].elements for name in leaving), made[leaving[0]].result, first.unit, [], fused,
    )  # fmt: skip
    return whole, tuple(leaving[1:])
