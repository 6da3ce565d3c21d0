"""All candidates of a contraction at once: lower bounds of their cycles and their energy, the best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from heapq import merge
from itertools import pairwise
from operator import itemgetter

import numpy as np

from sim import arch as arch_module
from sim.arch import OPERANDS, Arch
from sim.dataflow import Dim
from sim.kernel import Contraction
from sim.mapper.bounds import Bounds, Ends, ports_of
from sim.mapper.candidates import Pattern, distinct
from sim.mapper.grid import Grid, Indices, Mask, Vector
from sim.mapper.holding import Holding, Picked, loops_inside
from sim.mapper.times import ArrayTimes
from sim.mapping import DIMS, Mapping
from sim.planner import Surroundings

BLOCK = 8192
"""Candidates bounded at once: few enough for their numbers to stay in the processor's cache."""


@dataclass(frozen=True)
class Prices:
    """Picojoules a byte: off chip, and on chip by operand (read, write). Ties in cycles go to the cheapest."""

    off_chip: float = 1.0
    reads: dict[str, float] = field(default_factory=dict)
    writes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidates:
    """Candidates by (pattern, tile): cycles at least, bytes moved off chip, and bytes of each buffer that they need."""

    bound: Vector
    moved: Vector
    used: dict[str, Vector]
    pattern: Indices
    tile: Indices


NONE = Candidates(np.empty(0), np.empty(0), {}, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
"""Of a table that has not been measured."""


class Table:
    """The (g, m, n, k) grid of tile sizes under all loop patterns, for one split and one packing of groups."""

    def __init__(
        self, kernel: Contraction, arch: Arch, around: Surroundings, split: Dim | None, packed: int, lowering: str,
        axes: Sequence[Sequence[int]], choices: tuple[Pattern, ...], prices: Prices,
    ) -> None:  # fmt: skip
        self.arch, self.around, self.prices = arch, around, prices
        self.split, self.packed, self.lowering, self.choices = split, packed, lowering, choices
        self._measure(Grid(kernel, axes))
        self.numbers, self.whole = np.arange(len(self.grid.tiles)), len(self.grid.tiles)
        self.cuts: list[tuple[Indices, float]] = []
        self.made: list[Table] = []
        self.candidates = NONE

    def _measure(self, grid: Grid) -> None:
        """Work out what follows from the sizes of each tile alone."""
        channel = arch_module.channel(self.arch)
        assert channel is not None  # only bounded memory is searched
        self.grid = grid
        self.times = ArrayTimes(grid, self.arch, self.split, self.packed, self.lowering)
        self.times.hold_up(self._streaming_port())
        copies = np.minimum(self.times.array.count, grid.size["k"]) if self.split == "k" else 1
        self.holding = Holding(grid, self.arch, self.around, channel, copies)
        self.bounds = Bounds(grid, self.times, self.holding, self.arch, self.around)

    def on(self, arch: Arch, prices: Prices) -> Table:
        """Return the table for a chip that differs in capacities alone; what does not depend on them is shared."""
        other = copy(self)
        other.arch, other.prices = arch, prices
        return other

    def parts(self) -> Iterator[tuple[Table, float]]:
        """Yield the table in parts, each with the cycles that no candidate of the parts behind it can beat.

        Tiles that keep the array busy for the shortest time come first: most searches need no others.
        """
        if not self.cuts:
            least = np.floor(np.maximum(self.times.busy, self._slowest_port()))
            order, total = np.argsort(least, kind="stable"), len(least)
            for start, stop in pairwise(sorted({0, total // 16, total // 4, total})):
                self.cuts.append((order[start:stop], float(least[order[stop]]) if stop < total else np.inf))
        for index, (chosen, beyond) in enumerate(self.cuts):
            if index == len(self.made):
                part = copy(self)
                part.numbers = np.sort(chosen)
                part._measure(self.grid.part(part.numbers))
                part.candidates = part._candidates()
                self.made.append(part)
            yield self.made[index].on(self.arch, self.prices), beyond

    def rank(self) -> tuple[Vector, Vector, Indices]:
        """Return (bound, energy, number in the whole table) of all candidates that fit and differ from each other."""
        found = self.candidates
        fits = np.ones(len(found.bound), dtype=bool)
        for name, used in found.used.items():
            fits &= used <= self.arch.buffers[name].tile_capacity
        tile = found.tile[fits]
        energy = self._on_chip_energy()[tile] + found.moved[fits] * self.prices.off_chip
        return found.bound[fits], energy, found.pattern[fits] * self.whole + self.numbers[tile]

    def _candidates(self) -> Candidates:
        """Return all candidates that differ from each other, whether they fit or not."""
        tiled = [o for o in OPERANDS if o == "output" or o not in self.around.on_chip]
        held = [*tiled, *(["parameter"] if self.around.parameters else [])]
        scopes = {o: self.holding.scopes(o, self.choices) for o in held}
        which = {o: np.array([scopes[o].number[loops_inside(*choice, o)] for choice in self.choices]) for o in held}
        busy, differs = np.maximum(self.times.busy, self._slowest_port()), self._differs(frozenset(tiled))
        bound, moved = (np.empty((len(self.choices), len(self.grid.tiles))) for _ in range(2))
        used = {name: np.empty(bound.shape) for name in self.arch.buffers}
        ends = [self._last_scope(*choice) for choice in self.choices]
        remaining = {inside: self.times.remaining(inside) for inside in set(ends)}
        single = [inside <= loops_inside(*choice, "output") for inside, choice in zip(ends, self.choices, strict=True)]
        step = -(-BLOCK // len(self.grid.tiles))
        for rows in (slice(start, start + step) for start in range(0, len(self.choices), step)):
            picked = {o: Picked(scopes[o], which[o][rows]) for o in held}
            bound[rows], moved[rows] = self.bounds.bound(picked, busy, Ends(ends[rows], remaining, single[rows]))
            for name, room in self._used(picked).items():
                used[name][rows] = room
        pattern, tile = np.nonzero(differs)
        return Candidates(bound[differs], moved[differs], {n: u[differs] for n, u in used.items()}, pattern, tile)

    def _last_scope(self, order: tuple[Dim, ...], levels: tuple[int, ...]) -> frozenset[Dim]:
        """Return the loops that are still to run when the last load is made."""
        loaded = [o for o in ("weight", "input") if o not in self.around.on_chip]
        loaded += ["parameter"] if self.around.parameters else []
        scopes = [loops_inside(order, levels, o) for o in loaded]
        sums = loops_inside(order, levels, "output")
        return min([*scopes, *([] if "k" in sums else [sums])], key=len, default=frozenset(DIMS))

    def _differs(self, held: frozenset[str]) -> Mask:
        """Return which candidates, as (pattern, tile), differ from all before them."""
        looped = sum(np.where(self.grid.count[d] > 1, 1 << i, 0) for i, d in enumerate(DIMS))
        masks = [frozenset(d for i, d in enumerate(DIMS) if mask >> i & 1) for mask in range(8)]
        differs: Mask = np.array([distinct(self.choices, dims, held) for dims in masks]).T[:, looped]
        return differs

    def _used(self, picked: dict[str, Picked]) -> dict[str, Vector]:
        """Return the bytes that candidates need of each buffer."""
        found = {}
        for name, buffer in self.arch.buffers.items():
            holds = [*buffer.holds, *(["parameter"] if "output" in buffer.holds else [])]
            found[name] = sum((picked[o].used for o in holds if o in picked), start=np.zeros(1))
        return found

    def _on_chip_energy(self) -> Vector:
        """Return the energy of the array's accesses to buffers, a value a tile."""
        energy = np.zeros(len(self.grid.tiles))
        for operand in OPERANDS:
            price = self.prices.reads.get(operand, 0.0)
            price += self.prices.writes.get(operand, 0.0) if operand == "output" else 0.0
            energy = energy + self.times.accesses(operand, "write" if operand == "output" else "read") * price
        return energy

    def _slowest_port(self) -> Vector:
        """Return the cycles that the narrowest port needs for the array's accesses, a value a tile."""
        slowest, stationary = self._streaming_port(), self.times.flow.stationary
        for bandwidth, ways in ports_of(self.arch):
            if (stationary, "read") in ways and stationary != "output":
                loads = self.times.unloaded + self.times.accesses(stationary, "read") / bandwidth + self.times.ends
                slowest = np.maximum(slowest, loads - self.times.ahead(stationary, bandwidth))
        return slowest

    def _streaming_port(self) -> Vector:
        """Return the cycles that the narrowest port needs for what streams move: all but what is loaded before them."""
        slowest, stationary = np.zeros(len(self.grid.tiles)), self.times.flow.stationary
        for bandwidth, ways in ports_of(self.arch):
            streamed = [self.times.accesses(o, way) for o, way in ways if o != stationary or o == "output"]
            slowest = np.maximum(slowest, sum(streamed, start=np.zeros(1)) / bandwidth)
        return slowest

    def mapping(self, number: int) -> Mapping:
        """Return the candidate of a number: its tile counts faster than its pattern."""
        pattern, tile = divmod(number, self.whole)
        order, levels = self.choices[pattern]
        g, m, n, k = (int(size) for size in self.grid.tiles[tile])
        hold = tuple(zip(OPERANDS, levels, strict=True))
        return Mapping(m, n, k, g, order, hold, self.packed, self.lowering, self.times.split)


def ranked(tables: Sequence[Table]) -> Iterator[tuple[float, float, Mapping]]:
    """Yield all candidates as (bound, energy, mapping), the most promising first, ties in their order."""
    return merge(*map(_ranked, tables), key=itemgetter(0, 1))


def _ranked(table: Table) -> Iterator[tuple[float, float, Mapping]]:
    bound, energy, number = np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    for part, beyond in table.parts():
        found = zip((bound, energy, number), part.rank(), strict=True)
        bound, energy, number = (np.concatenate(pair) for pair in found)
        least = bound.min(initial=np.inf)
        while least < beyond:
            # Sorting all of them costs more than the search looks at: sort those near the front first.
            front = np.flatnonzero((bound >= least) & (bound <= least * 1.05) & (bound < beyond))
            for at in front[np.lexsort((number[front], energy[front], bound[front]))]:
                yield float(bound[at]), float(energy[at]), table.mapping(int(number[at]))
            least = bound.min(where=bound > bound[front].max(), initial=np.inf)
        left = bound >= beyond
        bound, energy, number = bound[left], energy[left], number[left]
