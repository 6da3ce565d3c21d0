"""What it means to hold an operand on chip along some of the tile loops: room, traffic, cycles of the channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from math import prod

import numpy as np

from sim.arch import OPERANDS, Arch, Channel
from sim.dataflow import Dim
from sim.mapper.candidates import Pattern
from sim.mapper.grid import Grid, Indices, Vector
from sim.mapping import DIMS, RELEVANT, window
from sim.planner import Surroundings


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


class Picked:
    """The rows of Scopes for the loop patterns, given the way of each: (pattern, tile) arrays."""

    def __init__(self, scopes: Scopes, way: Indices) -> None:
        self.used, self.moved, self.loads = scopes.used[way], scopes.moved[way], scopes.loads[way]
        self.stores, self.first, self.last = scopes.stores[way], scopes.first[way], scopes.last[way]
        self.count = scopes.count[way]


@lru_cache(maxsize=4096)
def loops_inside(order: tuple[Dim, ...], levels: tuple[int, ...], operand: str) -> frozenset[Dim]:
    """Return the loops inside the scope of an operand; parameters stay with weights or sums of all filters."""
    if operand == "parameter":
        whole = any("n" in loops_inside(order, levels, held) for held in ("weight", "output"))
        return frozenset(order if whole else order[order.index("n") + 1 :])
    return frozenset(order[levels[OPERANDS.index(operand)] :])


class Holding:
    """The ways to hold each operand, for all candidates of a grid."""

    def __init__(self, grid: Grid, arch: Arch, around: Surroundings, channel: Channel, copies: Vector | int) -> None:
        self.grid, self.arch, self.around, self.channel, self.copies = grid, arch, around, channel, copies

    def scopes(self, operand: str, choices: tuple[Pattern, ...]) -> Scopes:
        """Return what each way of holding an operand means, one row a set of loops inside its scope."""
        sets = dict.fromkeys(loops_inside(*choice, operand) for choice in choices)
        scope = self._parameters if operand == "parameter" else partial(self._scope, operand)
        rows = [scope(inside) for inside in sets]
        columns = [np.stack(column) for column in zip(*rows, strict=True)]
        return Scopes({inside: i for i, inside in enumerate(sets)}, *columns)

    def _scope(self, operand: str, inside: frozenset[Dim]) -> tuple[Vector, ...]:
        """Return one row of Scopes: what holding `operand` along the loops `inside` means."""
        kernel, size, ones = self.grid.kernel, self.grid.size, np.ones(len(self.grid.tiles))
        bits = self.arch.bits("partial_sum" if operand == "output" else operand)
        outside = [self.grid.count[d] for d in DIMS if d not in inside]
        loads = prod(outside, start=self.grid.count["g"])
        again = prod((self.grid.count[d] for d in DIMS if d not in inside and d not in RELEVANT[operand]), start=ones)
        if operand == "input":
            whole = float(kernel.batch * window(kernel.axes, 0, kernel.positions)) * ones
            total, least, most = (whole, whole, whole) if "m" in inside else self.grid.windows
            depth = np.maximum(1, (self.grid.full["k"] if "k" in inside else size["k"]) // kernel.taps)
            held, first = size["g"] * most * depth, size["g"] * least * depth
            moved = kernel.groups * kernel.channels * total * again
        else:
            held = size["g"]
            for dim in RELEVANT[operand]:
                held = held * (self.grid.full[dim] if dim in inside else size[dim])
            first = held
            moved = prod(self.grid.full[d] for d in ("g", *RELEVANT[operand])) * (again - (operand == "output"))
        slots = np.minimum(self.arch.buffers[self.arch.buffer_of(operand)].slots, loads)
        used = np.ceil(held * bits / 8) * slots
        sweep = self._sweep(operand, inside, bits)
        if operand != "output":
            opening = self.cycles(first * bits / 8, operand)
            return used, moved * bits / 8, sweep * again, 0 * ones, opening, ones, loads * ones
        used = used * self.copies
        last, final = self.grid.last_size["g"], self.arch.bits("output")
        for dim in RELEVANT[operand]:
            last = last * (self.grid.full[dim] if dim in inside else self.grid.last_size[dim])
        spilled, stores = sweep * (again - 1), 0 * ones
        if "output" not in self.around.on_chip:
            stores = self._sweep(operand, inside, final)
        opening = self.cycles(first * bits / 8, operand)
        return used, moved * bits / 8, spilled, spilled + stores, opening, last, loads * ones

    def _parameters(self, inside: frozenset[Dim]) -> tuple[Vector, ...]:
        """Return one row of Scopes: what holding the parameters of filters along the loops `inside` means."""
        grid, count, zero = self.grid, self.grid.count, np.zeros(len(self.grid.tiles))
        every = grid.full["g"] * grid.full["n"]

        def size(filters: Vector) -> Vector:
            elements: Vector = np.ceil(filters * self.around.parameters / every)
            return np.ceil(elements * self.arch.bits("partial_sum") / 8)

        whole = "n" in inside
        again = np.where(count["n"] > 1, 1.0 if "m" in inside else count["m"], 1.0)
        held = size(grid.size["g"] * (grid.full["n"] if whole else grid.size["n"]))
        loads, moved, cycles = (count["g"] * (1.0 if whole else count["n"] * again)), zero, zero
        kinds = [(1.0, float(grid.full["n"]))] if whole else grid.kinds["n"]
        for (groups, g), (tiles, n) in product(grid.kinds["g"], kinds):
            moved = moved + groups * tiles * size(g * n) * again
            cycles = cycles + groups * tiles * self.cycles(size(g * n), "output") * again
        late = "k" not in inside and self.arch.vector is not None and bool(self.around.epilogue)
        opening = zero if late else self.cycles(held, "output")
        slots = np.minimum(self.arch.buffers[self.arch.buffer_of("output")].slots, loads)
        return held * slots, moved, cycles, zero, opening, zero, loads

    def cycles(self, size: Vector, operand: str) -> Vector:
        """Return the cycles of the channel for transfers of `size` bytes: whole bursts, or the port's time."""
        channel, buffer = self.channel, self.arch.buffers[self.arch.buffer_of(operand)]
        granule = buffer.granule if operand != "output" else None
        brought = size if granule is None else np.ceil(size / granule) * granule
        cycles: Vector = np.ceil(np.ceil(brought / channel.burst) * float(channel.cycles_per_burst) - 1e-9)
        port = buffer.bandwidth
        return cycles if port is None else np.maximum(cycles, np.ceil(size / port))

    def _sweep(self, operand: str, inside: frozenset[Dim], bits: float) -> Vector:
        """Return the cycles of the channel to move every tile of an operand once."""
        total: Vector = np.zeros(len(self.grid.tiles))
        grid = self.grid
        ways = [grid.kinds["g"], *([(1.0, grid.whole(operand, d))] if d in inside else grid.kinds_of(operand, d)
                                   for d in RELEVANT[operand])]  # fmt: skip
        for combination in product(*ways):
            count = prod((c for c, _ in combination), start=1.0)
            elements = prod((size for _, size in combination), start=1.0)
            total = total + count * self.cycles(np.ceil(elements * bits / 8), operand)
        return total
