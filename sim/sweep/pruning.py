"""Which points of a sweep need no simulation: those whose lower bound is beaten by a design that was simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim import bounds, energy
from sim.arch import OPERANDS, Arch, Simple, build
from sim.attention.lowering import left_open
from sim.bounds import Designs, Needs, Vector
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError, TiletickError
from sim.layers import Lowered, lower
from sim.sweep.axes import number
from sim.sweep.evaluate import graph_of
from sim.sweep.figures import Objective
from sim.sweep.front import Costs, dominated
from sim.sweep.keys import Subject
from sim.sweep.schema import SweepFile
from sim.sweep.space import Column, Space
from sim.yamlfile import Document

BOUNDED = ("cycles", "seconds", "energy_pj", "edp", "area_mm2")
"""Figures with a lower bound."""

PRUNED = 4
"""Points that a worker gets at once where points are skipped: what one of them shows cannot spare the others."""

WEIGHTS = 8
"""Parts in which a weighting of objectives is divided among them."""

BLOCK = 8192
"""Points bounded at once: few enough for their numbers to stay in the processor's cache."""

_CAUTION = 1 - 1e-9
"""Factor that rounding in sums of floats may take off a bound."""


class Planned(Protocol):
    """What the bounds of a sweep follow from."""

    file: SweepFile
    document: Document
    subject: Subject
    space: Space
    objectives: tuple[Objective, ...]

    def areas(self, space: Space) -> Vector:
        """Return the mm2 of every point."""


class Pruning:
    """Decides which points are skipped, by a lower bound of every objective at every point.

    A point is skipped where a simulated one is nowhere above its bound and somewhere below: then it is beaten
    by that one, whatever it costs, and the front is the same without it.
    """

    def __init__(self, least: Costs) -> None:
        self.least = least
        self.skipped: set[int] = set()
        self.best: Costs = np.empty((0, least.shape[1]))
        self.objectives: tuple[Objective, ...] = ()

    @classmethod
    def of(cls, sweep: Planned) -> Pruning:
        """Return what prunes a sweep; ConfigError where an objective has no lower bound."""
        for place, objective in enumerate(sweep.objectives):
            if objective.figure not in BOUNDED or objective.sign < 0:
                there = ", ".join(BOUNDED)
                message = f"'{objective.title}' has no lower bound to prune by; there are bounds for: {there}"
                raise ConfigError(sweep.document.problem(("objectives", place), message))
        found = cls(lower_bounds(sweep))
        found.objectives = sweep.objectives
        return found

    def order(self) -> NDArray[np.int64]:
        """Return all points, the most promising first, whatever the weights of the objectives: they beat most others.

        Each weighting ranks the points by the weighted product of their bounds; a point counts by its best rank.
        """
        logs, best = np.log(np.maximum(self.least, 1e-30)), np.full(len(self.least), len(self.least))
        for weights in product(range(WEIGHTS + 1), repeat=logs.shape[1]):
            if sum(weights) == WEIGHTS:
                rank = np.empty(len(logs), dtype=np.int64)
                rank[np.argsort(logs @ np.array(weights), kind="stable")] = np.arange(len(logs))
                best = np.minimum(best, rank)
        return np.asarray(np.lexsort([logs.sum(axis=1), best]))

    def skips(self, point: int) -> bool:
        """Return whether a point can be skipped by what was simulated so far, and remember it."""
        if dominated(self.least[point], self.best):
            self.skipped.add(point)
        return point in self.skipped

    def simulated(self, point: int, figures: Mapping[str, float]) -> None:
        """Learn what a point costs."""
        cost = np.array([objective.cost(figures) for objective in self.objectives])
        if not dominated(cost, self.best):
            self.best = np.vstack([self.best, cost])


def lower_bounds(sweep: Planned) -> Costs:
    """Return a lower bound of each objective at each point, (points, objectives); 0 where there is none."""
    least = np.zeros((sweep.space.size, 3))
    _, which = sweep.space.distinct([c for c in sweep.space.columns if not _vectorized(c)])
    order = np.argsort(which, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
        _alike(sweep, rows, least)
    cycles, seconds, picojoules = least.T
    known = {"cycles": cycles, "seconds": seconds, "energy_pj": picojoules,
             "edp": picojoules * 1e-12 * seconds, "area_mm2": sweep.areas(sweep.space)}  # fmt: skip
    factor = {name: 1.0 if name == "area_mm2" else _CAUTION for name in known}
    return np.stack([known[o.figure] * factor[o.figure] for o in sweep.objectives], axis=1)


def _vectorized(column: Column) -> bool:
    path = [str(part) for part in column.target.path]
    return (
        (path[:1] == ["units"] and path[-1] in ("rows", "cols"))
        or (path[:1] == ["buffers"] and path[-1] == "capacity")
        or path == ["memory", "bandwidth"]
    )


def _alike(sweep: Planned, rows: NDArray[np.int64], least: Costs) -> None:
    """Add up the mean cycles, seconds and pJ at least, of points that differ in what Designs has vectors for."""
    file = sweep.file
    try:
        document, settings = sweep.subject.settings(sweep.space.targets(int(rows[0])))
        chip, total = build(document), sum(file.workloads.values())
        if file.layers is not None or chip.fabric or chip.pim or (chip.bounded and not isinstance(chip.memory, Simple)):
            return
        for name, weight in file.workloads.items():
            graph = graph_of(name, json.dumps(tuple(sorted(settings.items()))))
            fusible = {found.name for found in left_open(graph.expanded.nodes, chip)}
            lowered = lower(graph, chip, fusible)  # what may be fused has no bound of its own
            for start in range(0, len(rows), BLOCK):
                block = rows[start : start + BLOCK]
                space = sweep.space.take(block)
                least[block] += weight / total * _costs(chip, lowered, _designs(space, chip), space)
    except TiletickError:
        least[rows] = 0.0  # the points will say themselves what is wrong with them


def _designs(space: Space, chip: Arch) -> Designs:
    one, size = Designs.of(chip), space.size
    values = {path: _values(c) for c in space.columns if (path := _path(c))}
    sides = {side: one_side + np.zeros(size) for side, one_side in (("rows", one.rows), ("cols", one.cols))}
    for path, vector in values.items():
        if path[0] == "units" and path[-1] in sides and chip.units.get(path[1]) is chip.array:
            sides[path[-1]] = vector
    room = {operand: vector + np.zeros(size) for operand, vector in one.room.items()}
    for name, buffer in chip.buffers.items() if chip.bounded else ():
        if ("buffers", name, "capacity") in values:
            left = values["buffers", name, "capacity"] - (buffer.capacity - buffer.tile_capacity)
            room |= {operand: np.maximum(left, 1.0) for operand in buffer.holds}
    bandwidth = one.bandwidth + np.zeros(size)
    if ("memory", "bandwidth") in values and chip.bounded:
        bandwidth = values["memory", "bandwidth"] / chip.clock
    return Designs(sides["rows"], sides["cols"], {o: room[o] for o in OPERANDS}, bandwidth)


def _path(column: Column) -> tuple[str, ...]:
    return tuple(map(str, column.target.path)) if _vectorized(column) else ()


def _values(column: Column) -> Vector:
    return np.array([float(number(value)) for value in column.values])[column.index]


def _costs(chip: Arch, lowered: Lowered, designs: Designs, space: Space) -> Costs:
    needs = bounds.needs_of(lowered, chip, designs)
    cycles = bounds.cycles(needs, lowered, chip, designs)
    seconds = cycles / chip.clock
    return np.stack([cycles, seconds, _energy(chip, lowered, needs, space, seconds)], axis=1)


def _energy(chip: Arch, lowered: Lowered, needs: list[Needs], space: Space, seconds: Vector) -> Vector:
    """Return the pJ that a network takes at least: products, lanes, DRAM, accesses of buffers, and their leakage."""
    table = energy.load(chip.technology)
    total = np.zeros(space.size) + _work_energy(chip, lowered, needs)
    if not chip.bounded:
        return total
    if isinstance(chip.memory, Simple):
        price = min(cost.pj for cost in table.dram(chip.memory.technology))
        total = total + np.sum([need.moved for need in needs], axis=0) * 8 * price
    passed = bounds.added([*(need.passed for need in needs), bounds.kept_bytes(lowered, chip)])
    sized = {path[1]: _values(c) for c in space.columns if (path := _path(c)) and path[0] == "buffers"}
    for name, buffer in chip.buffers.items():
        capacity = sized.get(name, np.full(space.size, float(buffer.capacity)))
        reads, writes, leakage = _sram(chip.technology, buffer.port_width, capacity)
        for operand in buffer.holds:
            for way, price_each in (("read", reads), ("write", writes)):
                total = total + passed.get((operand, way), 0.0) / buffer.port_width * price_each
        total = total + leakage * seconds * 1e12
    return total


def _work_energy(chip: Arch, lowered: Lowered, needs: list[Needs]) -> float:
    """Return the pJ of products, of the registers that each of them writes, and of the lanes."""
    table, formats = energy.load(chip.technology), chip.precision
    total = 0.0
    if chip.array:
        flow = DATAFLOWS[chip.array.dataflow]
        seen = [chip.seen(right) for right in ("weight", "input", "kv")]
        moving = [min(one.bits(o) for one in seen) for o in ("weight", "input") if o != flow.stationary]
        bits = sum(moving) + chip.bits("partial_sum") / max(one.mac_rate for one in seen)
        others = {formats.weight, *(energy.beside(formats.input, chip.format_of(o)) for o in ("input", "kv"))}
        product = min(table.mac(formats.input, other, formats.partial_sum).pj for other in others)
        scale = chip.array.dvfs.energy if chip.array.dvfs else 1.0
        total = sum(need.macs for need in needs) * (product + bits * table.register(1).pj) * scale
    lanes = chip.vector.dvfs.energy if chip.vector and chip.vector.dvfs else 1.0
    for task in lowered.tasks:
        for kind, count in bounds.lane_operations(task, chip).items():
            total += count * _lane(table, chip, kind) * lanes
    return total


def _lane(table: energy.Table, chip: Arch, kind: str) -> float:
    """Return the pJ of a lane operation, by the method that lanes have for it."""
    method = chip.vector.functions.get(kind) if chip.vector else None
    if method is None:
        return table.lane(kind, chip.lane_format).pj
    return table.steps(method.steps(kind), chip.lane_format).pj


def _sram(technology: str, port_width: int, capacity: Vector) -> tuple[Vector, Vector, Vector]:
    """Return pJ a read, pJ a write and watts of leakage of buffers of so many bytes."""
    sizes, index = np.unique(capacity, return_inverse=True)
    figures = np.array([_one(technology, port_width, int(size)) for size in sizes])
    reads, writes, leakage = figures[index.reshape(-1)].T
    return reads, writes, leakage


@lru_cache(maxsize=4096)
def _one(technology: str, port_width: int, capacity: int) -> tuple[float, float, float]:
    sram = energy.load(technology).sram(capacity, port_width * 8)
    return sram.read.pj, sram.write.pj, sram.leakage_watts or 0.0
