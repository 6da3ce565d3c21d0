"""All candidates of a contraction at once: lower bounds of their cycles and their energy, as numpy vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import arch as arch_module
from sim.arch import OPERANDS, Arch
from sim.dataflow import DATAFLOWS, Dim, FoldTiming
from sim.hardware.array import tile_timing
from sim.kernel import Contraction
from sim.mapper.candidates import DIMS, Pattern, array_of, distinct
from sim.mapping import RELEVANT, Mapping, flat, row_runs, runs, window
from sim.plan import TileWork
from sim.planner import Surroundings, fold_count, port_bytes

Vector = NDArray[np.float64]
Tiles = list[tuple[int, int, int]]
"""The tiles along a dimension as (count, size, window)."""


@dataclass(frozen=True)
class Prices:
    """Picojoules a byte: off chip, and on chip by operand (read, write). Ties in cycles go to the cheapest."""

    off_chip: float = 1.0
    reads: dict[str, float] = field(default_factory=dict)
    writes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What holding an operand along some loops means for each tile: bytes on chip, moved, and in the first load."""

    held: Vector
    moved: Vector
    first: Vector


class Table:
    """The (g, m, n, k) grid of tile sizes under all loop patterns, for one split and one packing of groups."""

    def __init__(
        self, kernel: Contraction, arch: Arch, around: Surroundings, split: Dim | None, packed: int, lowering: str,
        axes: Sequence[Sequence[int]], choices: tuple[Pattern, ...], prices: Prices,
    ) -> None:  # fmt: skip
        self.kernel, self.arch, self.around, self.prices = kernel, arch, around, prices
        self.array = array_of(arch)
        self.flow = DATAFLOWS[self.array.dataflow]
        self.split, self.packed, self.lowering, self.choices = split, packed, lowering, choices
        grid = np.meshgrid(*(np.array(axis, dtype=np.int64) for axis in axes), indexing="ij")
        self.tiles = np.stack([part.ravel() for part in grid], axis=1)
        self.index = [
            part.ravel() for part in np.meshgrid(*(np.arange(len(axis)) for axis in axes), indexing="ij")
        ]
        self.axes = axes
        self.full: dict[str, int] = {"g": kernel.groups, "m": kernel.m, "n": kernel.n, "k": kernel.k}
        self.size = {d: self.tiles[:, i].astype(np.float64) for i, d in enumerate("gmnk")}
        self.count = {d: self._each(d, lambda tiles: sum(c for c, _, _ in tiles)) for d in "gmnk"}
        self.scopes: dict[tuple[str, frozenset[Dim]], Scope] = {}
        self._array_cycles()

    def _each(self, dim: str, value: Callable[[Tiles], float]) -> Vector:
        """Return a value of the tiles (count, size, window) along a dimension, for each candidate."""
        axis = "gmnk".index(dim)
        if dim == "m":
            cuts = [flat(row_runs(self.kernel.batch, self.kernel.axes, size)) for size in self.axes[axis]]
        else:
            cuts = [flat(runs(self.full[dim], size)) for size in self.axes[axis]]
        values: Vector = np.array([value(tiles) for tiles in cuts], dtype=np.float64)
        return values[self.index[axis]]

    def _array_cycles(self) -> None:
        """Work out the array's cycles: folds on its sides times intervals of the stream; and those of the last tile."""
        stream, sides = self.flow.stream, (self.flow.row, self.flow.col)
        self.folds = {d: self._each(d, partial(self._all_folds, d)) for d in sides}
        intervals = self._each(stream, lambda tiles: sum(c * self._timing(s).interval for c, s, _ in tiles))
        packs = self._each("g", lambda tiles: sum(c * -(-s // self.packed) for c, s, _ in tiles))
        final = [self._each(d, partial(self._last_folds, d)) for d in sides]
        final += [self._each("g", lambda tiles: -(-tiles[-1][1] // self.packed))]
        interval = self._each(stream, lambda tiles: self._timing(tiles[-1][1]).interval)
        ends = self._each(stream, lambda tiles: self._timing(tiles[-1][1]).tail) - interval
        self.busy = self.folds[sides[0]] * self.folds[sides[1]] * intervals * packs + ends
        self.last = final[0] * final[1] * final[2] * interval + ends

    def _share(self, dim: Dim, size: int) -> int:
        return -(-size // self.array.count) if dim == self.split else size

    def _folds(self, dim: Dim, size: int) -> int:
        pes = self.array.rows if dim == self.flow.row else self.array.cols
        return fold_count(self.kernel, self.lowering, dim, self._share(dim, size), pes)

    def _all_folds(self, dim: Dim, tiles: Tiles) -> int:
        return sum(count * self._folds(dim, size) for count, size, _ in tiles)

    def _last_folds(self, dim: Dim, tiles: Tiles) -> int:
        return self._folds(dim, tiles[-1][1])

    def _timing(self, size: int) -> FoldTiming:
        return tile_timing(self.array, TileWork(1, self._share(self.flow.stream, size), 0, 0, 1, (), ()))

    def scope(self, operand: str, inside: frozenset[Dim]) -> Scope:
        """Return what holding `operand` along the loops `inside` means, worked out once."""
        key = (operand, inside)
        if key not in self.scopes:
            self.scopes[key] = self._scope(operand, inside)
        return self.scopes[key]

    def _scope(self, operand: str, inside: frozenset[Dim]) -> Scope:
        kernel, bits = self.kernel, self.arch.bits("partial_sum" if operand == "output" else operand)
        again = prod((self.count[d] for d in DIMS if d not in inside and d not in RELEVANT[operand]), start=1.0)
        if operand == "input":
            whole = float(kernel.batch * window(kernel.axes, 0, kernel.positions))
            total, least, most = (
                (whole, whole, whole) if "m" in inside else
                (self._each("m", f) for f in (
                    lambda tiles: sum(c * w for c, _, w in tiles),
                    lambda tiles: tiles[0][2],
                    lambda tiles: max(w for _, _, w in tiles),
                ))
            )  # fmt: skip
            depth = np.maximum(1, (self.full["k"] if "k" in inside else self.size["k"]) // kernel.taps)
            held, first = self.size["g"] * most * depth, self.size["g"] * least * depth
            moved = kernel.groups * kernel.channels * total * again
        else:
            held = self.size["g"]
            for dim in RELEVANT[operand]:
                held = held * (self.full[dim] if dim in inside else self.size[dim])
            first = held
            moved = prod(self.full[d] for d in ("g", *RELEVANT[operand])) * again
        ones = np.ones(len(self.tiles))
        return Scope(np.ceil(held * bits / 8), ones * moved * bits / 8, first * bits / 8)

    def rank(self) -> tuple[Vector, Vector, NDArray[np.int64], NDArray[np.int64]]:
        """Return (bound, energy, pattern, tile) of every candidate that fits and differs from all others."""
        columns: list[tuple[Any, ...]] = []
        looped = sum(np.where(self.count[d] > 1, 1 << i, 0) for i, d in enumerate(DIMS))
        differs = np.array([distinct(self.choices, frozenset(d for i, d in enumerate(DIMS) if mask >> i & 1))
                            for mask in range(8)])  # fmt: skip
        base, ports = self._on_chip()
        self.busy = np.maximum(self.busy, ports)
        for number, (order, levels) in enumerate(self.choices):
            scopes = {o: self.scope(o, frozenset(order[level:])) for o, level in zip(OPERANDS, levels, strict=True)}
            index = np.flatnonzero(self._fits(order, levels, scopes) & differs[looped, number])
            if index.size:
                bound, moved = self._bound(order, levels, scopes, index)
                energy = base[index] + moved * self.prices.off_chip
                columns.append((bound, energy, np.full(index.size, number), index))
        if not columns:
            empty = np.zeros(0)
            return empty, empty, empty.astype(np.int64), empty.astype(np.int64)
        bounds, energies, numbers, indices = (np.concatenate(part) for part in zip(*columns, strict=True))
        return bounds, energies, numbers, indices

    def _fits(self, order: Sequence[Dim], levels: Sequence[int], scopes: dict[str, Scope]) -> NDArray[np.bool_]:
        used: dict[str, Any] = dict.fromkeys(self.arch.buffers, 0.0)
        for operand, level in zip(OPERANDS, levels, strict=True):
            if operand in self.around.on_chip and operand != "output":
                continue
            name = self.arch.buffer_of(operand)
            loads = self.count["g"] * prod((self.count[d] for d in order[:level]), start=1.0)
            used[name] = used[name] + scopes[operand].held * np.minimum(self.arch.buffers[name].slots, loads)
        fits = np.ones(len(self.tiles), dtype=bool)
        for name, buffer in self.arch.buffers.items():
            fits &= used[name] <= buffer.tile_capacity
        return fits

    def _bound(
        self, order: Sequence[Dim], levels: Sequence[int], scopes: dict[str, Scope], index: NDArray[np.int64]
    ) -> tuple[Vector, Vector]:
        """Return (lower bound of the cycles, bytes moved off chip).

        The array cannot stream before the first weights and inputs are there, then has all its folds to do,
        and the last output must be stored. After all loads the last tile and its store remain. The channel
        has all transfers to do.
        """
        channel = arch_module.channel(self.arch)
        assert channel is not None  # only bounded memory is searched
        on_chip, bits = self.around.on_chip, self.arch.bits
        per_byte = float(channel.cycles_per_burst) / channel.burst
        outputs = float(prod(self.full[d] for d in "gmn"))
        spills = 0.0 if "k" in order[levels[2] :] else self.count["k"][index] - 1
        loads = np.zeros(index.size) + spills * outputs * bits("partial_sum") / 8
        moved, first = loads, np.zeros(index.size)
        for operand in ("weight", "input"):
            if operand not in on_chip:
                loads = loads + scopes[operand].moved[index]
                first = first + scopes[operand].first[index]
        elements = self._last_outputs(frozenset(order[levels[2] :]))[index]
        lane_cycles, latency = self._lanes()
        rest = elements * lane_cycles + latency
        moved = moved + loads
        if "output" not in on_chip:
            moved = moved + outputs * bits("output") / 8
            rest = rest + elements * bits("output") / 8 * per_byte
        lead = channel.latency if {"weight", "input"} - on_chip else 0
        start = lead + first * per_byte
        array = start + self.busy[index] + rest
        fetch = lead + loads * per_byte + self.last[index] + rest
        lanes = start + outputs * lane_cycles + latency
        return np.floor(np.maximum(np.maximum(array, fetch), np.maximum(lanes, moved * per_byte))), moved

    def _lanes(self) -> tuple[float, int]:
        """Return (lane cycles an output of the fused work at least, latency behind them)."""
        vector, epilogue = self.arch.vector, self.around.epilogue
        if vector is None or not epilogue:
            return 0.0, 0
        operations = sum(count * vector.cycles_per.get(kind, 1) for work in epilogue for kind, count in work.operations)
        return max(1.0, operations / epilogue[0].outputs) / vector.lanes, vector.latency

    def _last_outputs(self, inside: frozenset[Dim]) -> Vector:
        """Return the elements of the last output tile."""
        elements = self._each("g", lambda tiles: tiles[-1][1])
        for dim in RELEVANT["output"]:
            last = self._each(dim, lambda tiles: tiles[-1][1])
            elements = elements * (self.full[dim] if dim in inside else last)
        return elements

    def _on_chip(self) -> tuple[Vector, Vector]:
        """Return (energy of the array's accesses, cycles that the narrowest port needs for them)."""
        energy, slowest = np.zeros(len(self.tiles)), np.zeros(len(self.tiles))
        elements: dict[str, Any] = {}
        for operand in OPERANDS:
            width = self.arch.bits("partial_sum" if operand == "output" else operand) / 8
            again = prod((f for d, f in self.folds.items() if d not in RELEVANT[operand]), start=1.0)
            elements[operand] = prod(self.full[d] for d in ("g", *RELEVANT[operand])) * again
            price = self.prices.reads.get(operand, 0.0)
            price += self.prices.writes.get(operand, 0.0) if operand == "output" else 0.0
            energy = energy + elements[operand] * width * price
        for buffer in self.arch.buffers.values():
            if buffer.bandwidth is not None:
                reads = {**elements, "output": 0.0}  # the first sums of an output are not read
                moved = port_bytes(self.arch, buffer, reads, elements, self.flow.stationary)
                slowest = np.maximum(slowest, moved / buffer.bandwidth)
        return energy, slowest

    def mapping(self, pattern: int, tile: int) -> Mapping:
        """Return the candidate of a pattern and a tile, by their numbers."""
        order, levels = self.choices[pattern]
        g, m, n, k = (int(size) for size in self.tiles[tile])
        hold = tuple(zip(OPERANDS, levels, strict=True))
        return Mapping(m, n, k, g, order, hold, self.packed, self.lowering, self.split)


def ranked(tables: Sequence[Table]) -> Iterator[tuple[float, float, Mapping]]:
    """Yield all candidates as (bound, energy, mapping), the most promising first, ties in their order."""
    ranks = [table.rank() for table in tables]
    bound, energy, pattern, tile = (np.concatenate(part) for part in zip(*ranks, strict=True))
    owner = np.repeat(np.arange(len(tables)), [len(rank[0]) for rank in ranks])
    left = np.arange(len(bound))
    while left.size:
        # Sorting all of them costs more than the search looks at: sort those near the front first.
        near = bound[left] <= bound[left].min() * 1.05
        front, left = left[near], left[~near]
        for at in front[np.lexsort((energy[front], bound[front]))]:
            yield float(bound[at]), float(energy[at]), tables[owner[at]].mapping(int(pattern[at]), int(tile[at]))
