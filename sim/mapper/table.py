"""All candidates of a contraction at once: lower bounds of their cycles and their energy, as numpy vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache, partial
from heapq import merge
from itertools import pairwise, product
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import arch as arch_module
from sim.arch import OPERANDS, Arch
from sim.dataflow import DATAFLOWS, Dim, FoldTiming
from sim.frontend import LOOKAHEAD
from sim.hardware.folds import tile_timing
from sim.kernel import Contraction
from sim.mapper.candidates import DIMS, Pattern, array_of, distinct
from sim.mapping import RELEVANT, Mapping, flat, row_runs, runs, window
from sim.plan import TileWork
from sim.planner import Surroundings, fold_count

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Kinds = list[tuple[Any, Any]]
"""Equal tiles as (how many, extent), each a number or a vector over the candidates."""
Tiles = list[tuple[int, int, int]]
"""The tiles along a dimension as (count, size, window)."""
BLOCK = 8192
"""Candidates bounded at once: few enough for their numbers to stay in the processor's cache."""


@dataclass(frozen=True)
class Prices:
    """Picojoules a byte: off chip, and on chip by operand (read, write). Ties in cycles go to the cheapest."""

    off_chip: float = 1.0
    reads: dict[str, float] = field(default_factory=dict)
    writes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scopes:
    """The ways to hold an operand: their numbers by the loops inside, and (way, tile) arrays of what they mean."""

    number: dict[frozenset[Dim], int]
    used: Vector
    """Bytes on chip."""
    moved: Vector
    """Bytes read from memory (partial sums: read, and written as often)."""
    loads: Vector
    """Cycles of the channel for these reads, in whole bursts."""
    stores: Vector
    """Cycles of the channel for all writes."""
    first: Vector
    """Cycles of the channel for the first tile (of outputs: for the largest store)."""
    last: Vector
    """Elements of the last tile."""
    count: Vector
    """How many tiles take a slot, one after the other."""


class _Picked:
    """The rows of Scopes for the loop patterns, given the way of each: (pattern, tile) arrays."""

    def __init__(self, scopes: Scopes, way: Indices) -> None:
        self.used, self.moved, self.loads = scopes.used[way], scopes.moved[way], scopes.loads[way]
        self.stores, self.first, self.last = scopes.stores[way], scopes.first[way], scopes.last[way]
        self.count = scopes.count[way]


class _Ends:
    """What is left when the last load of each loop pattern is made: array cycles, and whether it is one output."""

    def __init__(
        self, scopes: Sequence[frozenset[Dim]], remaining: dict[frozenset[Dim], Vector], single: Sequence[bool]
    ) -> None:
        self.remaining = np.stack([remaining[inside] for inside in scopes])
        self.single = np.array(single)[:, None]


@lru_cache(maxsize=4096)
def _inside(order: tuple[Dim, ...], levels: tuple[int, ...], operand: str) -> frozenset[Dim]:
    """Return the loops inside the scope of an operand."""
    return frozenset(order[levels[OPERANDS.index(operand)] :])


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
        self.numbers, self.whole = np.arange(len(self.tiles)), len(self.tiles)
        self.full: dict[str, int] = {"g": kernel.groups, "m": kernel.m, "n": kernel.n, "k": kernel.k}
        self.cuts = {d: [self._cut(d, size) for size in axis] for d, axis in zip("gmnk", axes, strict=True)}
        channel = arch_module.channel(arch)
        assert channel is not None  # only bounded memory is searched
        self.channel = channel
        self.timings: dict[int, FoldTiming] = {}
        self._measure()

    def _measure(self) -> None:
        """Work out what follows from the sizes of each tile alone."""
        self.size = {d: self.tiles[:, i].astype(np.float64) for i, d in enumerate("gmnk")}
        self.count = {d: self._each(d, lambda tiles: sum(c for c, _, _ in tiles)) for d in "gmnk"}
        self.last_size = {d: self._each(d, lambda tiles: tiles[-1][1]) for d in "gmn"}
        self.kinds = {d: self._equal_tiles(d, 1) for d in "gmnk"} | {"window": self._equal_tiles("m", 2)}
        self.windows = tuple(self._each("m", value) for value in (_total_window, _first_window, _largest_window))
        self._array_cycles()

    def _each(self, dim: str, value: Callable[[Tiles], float]) -> Vector:
        """Return a value of the tiles (count, size, window) along a dimension, for each candidate."""
        values: Vector = np.array([value(tiles) for tiles in self.cuts[dim]], dtype=np.float64)
        return values[self.index["gmnk".index(dim)]]

    def _cut(self, dim: str, size: int) -> Tiles:
        if dim == "m":
            return flat(row_runs(self.kernel.batch, self.kernel.axes, size))
        return flat(runs(self.full[dim], size))

    def _array_cycles(self) -> None:
        """Work out the array's cycles: folds on its sides times intervals of the stream; and those of the last tile."""
        stream, sides = self.flow.stream, (self.flow.row, self.flow.col)
        self.folds = {d: self._each(d, partial(self._all_folds, d)) for d in sides}
        intervals = self._each(stream, lambda tiles: sum(c * self._timing(s).interval for c, s, _ in tiles))
        packs = self._each("g", lambda tiles: sum(c * -(-s // self.packed) for c, s, _ in tiles))
        tails = self._each(stream, lambda tiles: self._timing(tiles[-1][1]).tail)
        self.ends = tails - self._each(stream, lambda tiles: self._timing(tiles[-1][1]).interval)
        self.gap = self._each(stream, lambda tiles: self._gap(tiles[-1][1]))
        folds = self.folds[sides[0]] * self.folds[sides[1]] * packs
        self.busy = folds * intervals + self.ends
        waits = self._each(stream, lambda tiles: sum(c * self._timing(s).after_load for c, s, _ in tiles))
        self.unloaded = folds * waits
        """Cycles in which folds may not load: what loading takes comes on top."""
        self.all = {sides[0]: self.folds[sides[0]], sides[1]: self.folds[sides[1]], stream: intervals}
        self.final = {d: self._each(d, partial(self._last_folds, d)) for d in sides}
        self.final[stream] = self._each(stream, lambda tiles: self._timing(tiles[-1][1]).interval)
        self.final_packs = self._each("g", lambda tiles: -(-tiles[-1][1] // self.packed))
        self.last = self._remaining(frozenset())

    def _gap(self, size: int) -> int:
        """Return the cycles from the end of a stream to the next one, in the array's own time."""
        return self._timing(size).interval - self._share(self.flow.stream, size)

    def _remaining(self, inside: frozenset[Dim]) -> Vector:
        """Return the array's cycles for the last tiles: all of them along `inside`, one along the others."""
        cycles = self.final_packs
        for dim in DIMS:
            cycles = cycles * (self.all[dim] if dim in inside else self.final[dim])
        return cycles + self.ends

    def _last_scope(self, order: tuple[Dim, ...], levels: tuple[int, ...]) -> frozenset[Dim]:
        """Return the loops that are still to run when the last load is made."""
        loaded = [o for o in ("weight", "input") if o not in self.around.on_chip]
        scopes = [_inside(order, levels, o) for o in loaded]
        sums = _inside(order, levels, "output")
        return min([*scopes, *([] if "k" in sums else [sums])], key=len, default=frozenset(DIMS))

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
        if size not in self.timings:
            work = TileWork(1, self._share(self.flow.stream, size), 0, 0, 1, (), ())
            self.timings[size] = tile_timing(self.array, work)
        return self.timings[size]

    def parts(self) -> Iterator[tuple[Table, float]]:
        """Yield the table in parts, each with the cycles that no candidate of the parts behind it can beat.

        Tiles that keep the array busy for the shortest time come first: most searches need no others.
        """
        least = np.floor(np.maximum(self.busy, self._on_chip()[1]))
        order, total = np.argsort(least, kind="stable"), len(least)
        for start, stop in pairwise(sorted({0, total // 16, total // 4, total})):
            part, chosen = copy(self), np.sort(order[start:stop])
            part.tiles, part.numbers = self.tiles[chosen], chosen
            part.index = [places[chosen] for places in self.index]
            part._measure()
            yield part, float(least[order[stop]]) if stop < total else np.inf

    def rank(self) -> tuple[Vector, Vector, Indices]:
        """Return (bound, energy, number in the whole table) of all candidates that fit and differ from each other."""
        held = [o for o in OPERANDS if o == "output" or o not in self.around.on_chip]
        scopes = {o: self._scopes(o) for o in held}
        which = {o: np.array([scopes[o].number[_inside(*choice, o)] for choice in self.choices]) for o in held}
        on_chip, ports = self._on_chip()
        busy, differs = np.maximum(self.busy, ports), self._differs(frozenset(held))
        bound = np.empty((len(self.choices), len(self.tiles)))
        energy, fits = np.empty(bound.shape), np.empty(bound.shape, dtype=bool)
        ends = [self._last_scope(*choice) for choice in self.choices]
        remaining = {inside: self._remaining(inside) for inside in set(ends)}
        single = [inside <= _inside(*choice, "output") for inside, choice in zip(ends, self.choices, strict=True)]
        step = -(-BLOCK // len(self.tiles))
        for rows in (slice(start, start + step) for start in range(0, len(self.choices), step)):
            picked = {o: _Picked(scopes[o], which[o][rows]) for o in held}
            bound[rows], moved = self._bound(picked, busy, _Ends(ends[rows], remaining, single[rows]))
            fits[rows] = self._fits(picked, differs[rows])
            energy[rows] = on_chip + moved * self.prices.off_chip
        pattern, tile = np.nonzero(fits)
        return bound[fits], energy[fits], pattern * self.whole + self.numbers[tile]

    def _differs(self, held: frozenset[str]) -> Mask:
        """Return which candidates, as (pattern, tile), differ from all before them."""
        looped = sum(np.where(self.count[d] > 1, 1 << i, 0) for i, d in enumerate(DIMS))
        masks = [frozenset(d for i, d in enumerate(DIMS) if mask >> i & 1) for mask in range(8)]
        differs: Mask = np.array([distinct(self.choices, dims, held) for dims in masks]).T[:, looped]
        return differs

    def _fits(self, picked: dict[str, _Picked], fits: Mask) -> Mask:
        """Return which of the candidates in `fits` leave no buffer overfull."""
        for buffer in self.arch.buffers.values():
            used = [picked[o].used for o in buffer.holds if o in picked]
            parameters = self.around.parameters if "output" in buffer.holds else 0
            room = buffer.tile_capacity - self.arch.bytes_of("partial_sum", parameters)
            fits = fits & (sum(used, start=np.zeros(1)) <= room)
        return fits

    def _scopes(self, operand: str) -> Scopes:
        """Return what each way of holding an operand means, one row a set of loops inside its scope."""
        sets = dict.fromkeys(_inside(*choice, operand) for choice in self.choices)
        rows = [self._scope(operand, inside) for inside in sets]
        columns = [np.stack(column) for column in zip(*rows, strict=True)]
        return Scopes({inside: i for i, inside in enumerate(sets)}, *columns)

    def _scope(self, operand: str, inside: frozenset[Dim]) -> tuple[Vector, ...]:
        """Return one row of Scopes: what holding `operand` along the loops `inside` means."""
        kernel, size, ones = self.kernel, self.size, np.ones(len(self.tiles))
        bits = self.arch.bits("partial_sum" if operand == "output" else operand)
        outside = [self.count[d] for d in DIMS if d not in inside]
        loads = prod(outside, start=self.count["g"])
        again = prod((self.count[d] for d in DIMS if d not in inside and d not in RELEVANT[operand]), start=ones)
        if operand == "input":
            whole = float(kernel.batch * window(kernel.axes, 0, kernel.positions)) * ones
            total, least, most = (whole, whole, whole) if "m" in inside else self.windows
            depth = np.maximum(1, (self.full["k"] if "k" in inside else size["k"]) // kernel.taps)
            held, first = size["g"] * most * depth, size["g"] * least * depth
            moved = kernel.groups * kernel.channels * total * again
        else:
            held = size["g"]
            for dim in RELEVANT[operand]:
                held = held * (self.full[dim] if dim in inside else size[dim])
            first = held
            moved = prod(self.full[d] for d in ("g", *RELEVANT[operand])) * (again - (operand == "output"))
        slots = np.minimum(self.arch.buffers[self.arch.buffer_of(operand)].slots, loads)
        used = np.ceil(held * bits / 8) * slots
        sweep = self._sweep(operand, inside, bits)
        if operand != "output":
            opening = self._cycles(first * bits / 8, operand)
            return used, moved * bits / 8, sweep * again, 0 * ones, opening, ones, loads * ones
        used = used * (self.array.count if self.split == "k" else 1)
        last, final = self.last_size["g"], self.arch.bits("output")
        for dim in RELEVANT[operand]:
            last = last * (self.full[dim] if dim in inside else self.last_size[dim])
        spilled, stores = sweep * (again - 1), 0 * ones
        if "output" not in self.around.on_chip:
            stores = self._sweep(operand, inside, final)
        opening = self._cycles(first * bits / 8, operand)
        return used, moved * bits / 8, spilled, spilled + stores, opening, last, loads * ones

    def _cycles(self, size: Vector, operand: str) -> Vector:
        """Return the cycles of the channel for transfers of `size` bytes: whole bursts, or the port's time."""
        channel, buffer = self.channel, self.arch.buffers[self.arch.buffer_of(operand)]
        granule = buffer.granule if operand != "output" else None
        brought = size if granule is None else np.ceil(size / granule) * granule
        cycles: Vector = np.ceil(np.ceil(brought / channel.burst) * float(channel.cycles_per_burst) - 1e-9)
        port = buffer.bandwidth
        return cycles if port is None else np.maximum(cycles, np.ceil(size / port))

    def _sweep(self, operand: str, inside: frozenset[Dim], bits: float) -> Vector:
        """Return the cycles of the channel to move every tile of an operand once."""
        total: Vector = np.zeros(len(self.tiles))
        ways = [self.kinds["g"], *([(1.0, self._whole(operand, d))] if d in inside else self._kinds(operand, d)
                                   for d in RELEVANT[operand])]  # fmt: skip
        for combination in product(*ways):
            count = prod((c for c, _ in combination), start=1.0)
            elements = prod((size for _, size in combination), start=1.0)
            total = total + count * self._cycles(np.ceil(elements * bits / 8), operand)
        return total

    def _whole(self, operand: str, dim: Dim) -> float:
        """Return the extent of an operand along a whole dimension: inputs count windows and channels."""
        if operand != "input":
            return float(self.full[dim])
        kernel = self.kernel
        return float(kernel.batch * window(kernel.axes, 0, kernel.positions) if dim == "m" else kernel.channels)

    def _kinds(self, operand: str, dim: Dim) -> Kinds:
        """Return how many tiles of which extent an operand has along a dimension."""
        if operand != "input":
            return self.kinds[dim]
        return self.kinds["window"] if dim == "m" else [(c, np.ceil(s / self.kernel.taps)) for c, s in self.kinds["k"]]

    def _equal_tiles(self, dim: str, extent: int) -> Kinds:
        """Return the tiles along a dimension as (count, extent) vectors, equal ones together, padded with 0."""
        axis = "gmnk".index(dim)
        found = [list(_together(tiles, extent).items()) for tiles in self.cuts[dim]]
        kinds: Kinds = []
        for i in range(max(len(entry) for entry in found)):
            pairs = np.array([(e[i][1], e[i][0]) if i < len(e) else (0, 0) for e in found], dtype=np.float64)
            kinds.append((pairs[:, 0][self.index[axis]], pairs[:, 1][self.index[axis]]))
        return kinds

    def _bound(self, picked: dict[str, _Picked], busy: Vector, ends: _Ends) -> tuple[Vector, Vector]:
        """Return (lower bound of the cycles, bytes moved off chip).

        The array cannot stream before the parameters, first weights and inputs are there, then has all its
        folds to do, and the last output must be processed and stored. After the last load the tiles in its
        scope and the last store are to do; where that is one output, all but the LOOKAHEAD + 1 stores before came
        first. The channel has all transfers to do, the lanes all outputs.
        """
        bits, outputs = self.arch.bits, float(prod(self.full[d] for d in "gmn"))
        parameters = self.arch.bytes_of("partial_sum", self.around.parameters)
        operands = [o for o in picked if o != "output"]
        constant = float(self.channel.cycles(parameters))
        start, loads = (np.full(picked["output"].moved.shape, constant) for _ in range(2))
        for operand in operands:
            start += picked[operand].first
            loads += picked[operand].loads
        loads += picked["output"].loads
        lane_cycles, latency = self._lanes()
        rest = picked["output"].last * lane_cycles + latency
        moved = parameters + sum(picked[o].moved for o in operands) + 2 * picked["output"].moved
        if "output" not in self.around.on_chip:
            moved = moved + outputs * bits("output") / 8
            rest = rest + self._cycles(picked["output"].last * bits("output") / 8, "output")
        lead = self.channel.latency if operands or parameters else 0
        stores = picked["output"].stores
        early = np.maximum(0, stores - (LOOKAHEAD + 1) * picked["output"].first) * ends.single
        start += lead
        array, fetch = start + busy + rest, lead + loads + early + ends.remaining + rest
        lanes = start + self.last + outputs * lane_cycles + latency
        moving = np.maximum(np.maximum(loads + stores, self._link(picked)), self._passing(picked))
        least = np.maximum(np.maximum(array, fetch), np.maximum(lanes, moving))
        return np.floor(np.maximum(least, self._turns(picked, start, rest, stores))), moved

    def _turns(self, picked: dict[str, _Picked], start: Vector, rest: Vector, stores: Vector) -> Vector:
        """Return the cycles in which tiles take turns in their slots: no more than these are held at any time.

        A tile of an operand holds its slot from its load to the end of its last stream, one of outputs from its
        first stream until it is processed and stored. The tiles of the last size leave the shortest tail.
        """
        least: Vector = np.zeros(1)
        lane_cycles, latency = self._lanes()
        outputs, streams = float(prod(self.full[d] for d in "gmn")), self.busy - self.ends
        for operand, held in picked.items():
            slots = self.arch.buffers[self.arch.buffer_of(operand)].slots
            if operand == "output":
                lag = self.ends + np.where(held.moved == 0, latency, 0)
                turns = start + (streams + outputs * lane_cycles + held.count * lag + stores) / slots
            else:
                holding = held.loads + held.count * (self.channel.latency - self.gap)
                turns = (streams + holding) / slots + rest
            least = np.maximum(least, turns)
        return least

    def _link(self, picked: dict[str, _Picked]) -> Vector | float:
        """Return the cycles that the link needs: what all arrays share is sent to the others, partial sums added."""
        link, others = self.arch.link, self.array.count - 1
        shared = {"m": "weight", "n": "input"}.get(self.split or "")
        if link is None or not others:
            return 0.0
        if self.split == "k":
            sums = float(prod(self.full[d] for d in "gmn")) * self.arch.bits("partial_sum") / 8
            return sums * self.count["k"] * others / link.bandwidth
        return picked[shared].moved * others / link.bandwidth if shared in picked else 0.0

    def _lanes(self) -> tuple[float, int]:
        """Return (lane cycles an output of the fused work at least, latency behind them)."""
        vector, epilogue = self.arch.vector, self.around.epilogue
        if vector is None or not epilogue:
            return 0.0, 0
        operations = sum(count * vector.cycles_per.get(kind, 1) for work in epilogue for kind, count in work.operations)
        lanes = max(1.0, operations / epilogue[0].outputs) / vector.lanes
        size = self.arch.bits("partial_sum") / 8
        return max([lanes, *(sum(size for o, _ in ways if o == "output") / width for width, ways in self._ports())]), (
            vector.latency
        )

    def _on_chip(self) -> tuple[Vector, Vector]:
        """Return (energy of the array's accesses, cycles that the narrowest port needs for them)."""
        energy, slowest = np.zeros(len(self.tiles)), np.zeros(len(self.tiles))
        for operand in OPERANDS:
            price = self.prices.reads.get(operand, 0.0)
            price += self.prices.writes.get(operand, 0.0) if operand == "output" else 0.0
            energy = energy + self._accesses(operand, "write" if operand == "output" else "read") * price
        stationary = self.flow.stationary if self.flow.stationary != "output" else ""
        for bandwidth, ways in self._ports():
            streamed = [self._accesses(o, way) for o, way in ways if o != stationary]
            slowest = np.maximum(slowest, sum(streamed, start=np.zeros(1)) / bandwidth)
            if (stationary, "read") in ways:
                loads = self.unloaded + self._accesses(stationary, "read") / bandwidth + self.ends
                slowest = np.maximum(slowest, loads)
        return energy, slowest

    def _ports(self) -> Iterator[tuple[int, list[tuple[str, str]]]]:
        """Yield each port that has a limit: bytes a cycle, and the (operand, way) that pass it."""
        for buffer in self.arch.buffers.values():
            if buffer.bandwidth is not None:
                ways = [[(str(operand), way) for operand in buffer.holds] for way in ("read", "write")]
                for port in ways if buffer.ports > 1 else [[*ways[0], *ways[1]]]:
                    yield buffer.bandwidth, port

    def _accesses(self, operand: str, way: str) -> Vector:
        """Return the bytes of an operand that the array reads or writes on chip."""
        if way == "write" and operand != "output":
            return np.zeros(len(self.tiles))
        whole = float(prod(self.full[d] for d in ("g", *RELEVANT[operand])))
        again = prod((f for d, f in self.folds.items() if d not in RELEVANT[operand]), start=1.0)
        tiles = self.count[self.flow.stream] if operand == self.flow.stationary else 1.0
        first = whole if (operand, way) == ("output", "read") else 0.0  # the first sums of an output are not read
        width = self.arch.bits("partial_sum" if operand == "output" else operand) / 8
        return np.asarray((whole * again * tiles - first) * width) * np.ones(len(self.tiles))

    def _passing(self, picked: dict[str, _Picked]) -> Vector:
        """Return the cycles that the busiest port needs for all that passes it: of array, transfers and lanes."""
        slowest: Vector = np.zeros(1)
        for bandwidth, ways in self._ports():
            moved = sum((self._transfers(picked, *way) + self._accesses(*way) for way in ways), start=np.zeros(1))
            slowest = np.maximum(slowest, moved / bandwidth)
        return slowest

    def _transfers(self, picked: dict[str, _Picked], operand: str, way: str) -> Vector | float:
        """Return the bytes of an operand that transfers and lanes read or write on chip."""
        if operand not in picked or (operand != "output" and way == "read"):
            return 0.0
        moved: Vector | float = picked[operand].moved
        if operand == "output":
            outputs, bits = float(prod(self.full[d] for d in "gmn")), self.arch.bits
            moved = moved + (outputs * bits("partial_sum") / 8 if self._lanes()[0] else 0.0)
            if way == "read" and "output" not in self.around.on_chip:
                moved = moved + outputs * bits("output") / 8
        return moved

    def mapping(self, number: int) -> Mapping:
        """Return the candidate of a number: its tile counts faster than its pattern."""
        pattern, tile = divmod(number, self.whole)
        order, levels = self.choices[pattern]
        g, m, n, k = (int(size) for size in self.tiles[tile])
        hold = tuple(zip(OPERANDS, levels, strict=True))
        return Mapping(m, n, k, g, order, hold, self.packed, self.lowering, self.split)


def _together(tiles: Tiles, extent: int) -> dict[int, int]:
    """Return how many tiles there are of each size (1) or window (2)."""
    counts: dict[int, int] = {}
    for entry in tiles:
        counts[entry[extent]] = counts.get(entry[extent], 0) + entry[0]
    return counts


def _total_window(tiles: Tiles) -> int:
    return sum(count * read for count, _, read in tiles)


def _first_window(tiles: Tiles) -> int:
    return tiles[0][2]


def _largest_window(tiles: Tiles) -> int:
    return max(read for _, _, read in tiles)


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
