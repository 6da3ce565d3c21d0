"""Which points of a sweep need no simulation: those whose lower bound is beaten by a design that was simulated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim import bounds
from sim.arch import OPERANDS, Arch, Simple, build
from sim.attention.lowering import left_open
from sim.bounds import Designs, Vector
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

SPARED = 8
"""Points that a scout has to spare by what is expected, as it costs as much as so many that are simulated together."""

DRAWN = 1000
"""Points, drawn by a seed, among which a scout is looked for, and by which its worth is estimated."""

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
        self._above: dict[int, Costs] = {}
        """Each point that was simulated, to what it costs over its bound."""

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

    def scouts(self, lacking: Iterable[int]) -> Iterator[int]:
        """Yield some of the lacking points to simulate first, each as it is asked for, and remember what is skipped.

        Each is the one that would beat most others if it cost as much more than its bound as points so far did,
        until none is expected to spare `SPARED` of them.
        """
        mixed = np.random.default_rng(0).permutation(sorted(lacking))
        mixed = mixed[(self.least[mixed] > 0).all(axis=1)]
        sent: list[int] = []
        while len(mixed := mixed[[not self.skips(int(point)) for point in mixed]]):
            awaited = [point for point in sent if point not in self._above]
            factor = np.median([*self._above.values()], axis=0) if self._above else np.ones(self.least.shape[1])
            best = np.vstack([self.best, self.least[awaited] * factor])
            open_ones = [point for point in mixed[:DRAWN] if not dominated(self.least[point], best)]
            spared = _beaten(self.least[open_ones] * factor, self.least[open_ones])
            if not open_ones or spared.max() * len(mixed) < SPARED * min(DRAWN, len(mixed)):
                return
            sent.append(int(open_ones[int(spared.argmax())]))
            mixed = mixed[mixed != sent[-1]]
            yield sent[-1]

    def order(self, together: NDArray[np.int64], alike: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the points with alike ones still `together`, the most promising kinds first."""
        promise = np.log(np.maximum(self.least, 1e-30)).sum(axis=1)
        of_kind = np.full(alike.max(initial=0) + 1, np.inf)
        np.minimum.at(of_kind, alike, promise)
        return together[np.lexsort([alike[together], of_kind[alike[together]]])]

    def skips(self, point: int) -> bool:
        """Return whether a point can be skipped by what was simulated so far, and remember it."""
        if dominated(self.least[point], self.best):
            self.skipped.add(point)
        return point in self.skipped

    def simulated(self, point: int, figures: Mapping[str, float]) -> None:
        """Learn what a point costs."""
        cost = np.array([objective.cost(figures) for objective in self.objectives])
        self._above[point] = cost / np.maximum(self.least[point], 1e-30)
        if not dominated(cost, self.best):
            self.best = np.vstack([self.best, cost])


def _beaten(costs: Costs, others: Costs) -> NDArray[np.int64]:
    """Return how many of the others each row of costs is nowhere above, and somewhere below."""
    above = np.any(costs[:, None] > others, axis=2)
    below = np.any(costs[:, None] < others, axis=2)
    return np.asarray((below & ~above).sum(axis=1))


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
    capacity = {path[1]: _values(c) for c in space.columns if (path := _path(c)) and path[0] == "buffers"}
    return np.stack([cycles, seconds, bounds.picojoules(needs, lowered, chip, seconds, capacity)], axis=1)
