"""What a network needs at least, layer by layer, and the cycles that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.arch import Arch
from sim.bounds.arrays import Work, array_work
from sim.bounds.designs import Designs, Vector
from sim.bounds.lanes import lane_bytes, lane_cycles, lanes_pass
from sim.bounds.ports import Passed, added, busiest
from sim.bounds.traffic import moved_bytes, transfers
from sim.dataflow import DATAFLOWS
from sim.kernel import Contraction
from sim.layers import Lowered, Task


@dataclass(frozen=True)
class Needs:
    """What a layer needs at least, a value a design: array cycles, lane cycles, bytes off chip, bytes on chip.

    `early` is the part of `moved` that may come before the layers that it depends on are over. `passed` are the
    bytes between array, lanes, channel and buffers, `ported` the cycles of the busiest port for those of them that
    cannot come before.
    """

    array: Work
    lanes: float
    moved: Vector
    early: Vector
    macs: int
    passed: Passed
    ported: Vector


def cycles(needs: Sequence[Needs], lowered: Lowered, arch: Arch, designs: Designs) -> Vector:
    """Return the cycles that a network takes at least on each design; the rest of each chip is `arch`."""
    zero = np.zeros(len(designs.rows))
    ends: dict[str, Vector] = {}
    for task, need in zip(lowered.tasks, needs, strict=True):
        begin = np.maximum.reduce([zero, *(ends[tensor] for _, tensor in task.reads if tensor in ends)])
        late = np.maximum(0.0, need.moved - need.early) / designs.bandwidth
        busy = np.maximum(need.array.whole - need.array.ahead, need.ported)
        end = begin + np.maximum(np.maximum(busy, late), need.lanes)
        ends[task.writes] = np.maximum(end, need.array.whole)
    longest = np.maximum.reduce([zero, *ends.values()])
    tails = [need.array.whole - need.array.core - need.array.ahead for need in needs]
    array = np.sum([need.array.core for need in needs], axis=0) + np.minimum.reduce(tails or [zero])
    lanes = sum(need.lanes for need in needs)
    channel = (np.sum([need.moved for need in needs], axis=0) + zero) / designs.bandwidth
    ports = busiest(added(need.passed for need in needs), arch, zero)
    least = np.maximum.reduce([longest, array, lanes + zero, channel, ports])
    return np.asarray(np.ceil(least * (1 - 1e-12) - 1e-6))  # cycles are whole; rounding of floats must not add one


def needs_of(lowered: Lowered, arch: Arch, designs: Designs) -> list[Needs]:
    """Return what each layer needs at least on each design; the rest of each chip is `arch`."""
    known: dict[Any, Needs] = {}
    found = []
    for task in lowered.tasks:
        kept = tuple(sorted({t for _, t in task.reads} & lowered.kept)), task.writes in lowered.kept
        same = (len(kept[0]), len(task.reads), kept[1], task.parameters, task.result)
        key = (_bare(task), *same, lane_cycles(task, arch))
        if key not in known or kept[0]:
            known[key] = _task(task, lowered, arch, designs)
        found.append(known[key])
    return found


def _bare(task: Task) -> tuple[Any, ...]:
    return tuple((type(k), *(v for f, v in vars(k).items() if f != "name")) for k in task.kernels)


def _task(task: Task, lowered: Lowered, arch: Arch, designs: Designs) -> Needs:
    zero = np.zeros(len(designs.rows))
    parts = [_product(task, k, lowered, arch, designs) for k in task.kernels if isinstance(k, Contraction)]
    moved, early = zero, zero
    passed, ahead = lanes_pass(task, lowered, arch), Passed()
    if arch.bounded and not parts:
        moved = zero + lane_bytes(task, lowered, arch)
    if arch.bounded and parts:
        moved = early = zero + arch.bytes_of("partial_sum", task.parameters)
        ahead = {("output", "write"): moved}
    late = added([passed, *(part.late for part in parts)])
    return Needs(
        array=Work(*(sum((getattr(p.array, name) for p in parts), zero) for name in ("whole", "core", "ahead"))),
        lanes=lane_cycles(task, arch),
        moved=sum((part.moved for part in parts), moved),
        early=sum((part.early for part in parts), early),
        macs=sum(part.macs for part in parts),
        passed=added([late, ahead, *(part.ahead for part in parts)]),
        ported=busiest(late, arch, zero),
    )


@dataclass(frozen=True)
class _Part:
    """What one product of a layer needs: `late` and `ahead` are bytes on chip after and before its inputs are there."""

    array: Work
    moved: Vector
    early: Vector
    macs: int
    late: Passed
    ahead: Passed


def _product(task: Task, kernel: Contraction, lowered: Lowered, arch: Arch, designs: Designs) -> _Part:
    chip, array, zero = arch.seen(kernel.right_is, task.result), arch.array, np.zeros(len(designs.rows))
    if array is None:
        return _Part(Work(zero, zero, zero), zero, zero, 0, {}, {})
    work, late = array_work(kernel, chip, array, designs)
    moved, early = moved_bytes(task, kernel, lowered, chip, designs)
    size, ahead = {o: chip.bits(o) / 8 for o in ("weight", "input")}, Passed()
    resting = DATAFLOWS[array.dataflow].stationary, "read"
    if resting in late and resting[0] != "output":
        held = designs.rows * designs.cols * array.count * chip.mac_rate
        fold = np.minimum(held * size[resting[0]], late[resting])
        ahead[resting], late[resting] = fold, late[resting] - fold
    if chip.bounded:
        for way, amount in transfers(task, kernel, lowered, chip).items():
            into = ahead if way[0] == "weight" else late
            into[way] = into.get(way, 0.0) + amount
    return _Part(work, moved, early, kernel.macs, late, ahead)
