"""What tiles cost the array and the buffers at its edges, whatever the loops around them are."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from sim.arch import Arch
from sim.dataflow import DATAFLOWS, Dim, FoldTiming
from sim.hardware.folds import tile_timing
from sim.mapper.candidates import array_of
from sim.mapper.grid import Grid, Tiles, Vector
from sim.mapping import DIMS, RELEVANT, spans, words
from sim.plan import TileWork
from sim.planner import fold_count


class ArrayTimes:
    """The array's cycles for all candidates of a grid, under one split and one packing of groups."""

    def __init__(self, grid: Grid, arch: Arch, split: Dim | None, packed: int, lowering: str) -> None:
        self.grid, self.arch, self.array = grid, arch, array_of(arch)
        self.flow = DATAFLOWS[self.array.dataflow]
        self.span = spans(arch)
        self.split, self.packed, self.lowering = split, packed, lowering
        self.timings: dict[int, FoldTiming] = {}
        self.pace = float(self.array.pace(arch.clock))
        """Cycles of the chip in one of the array. Here times are not rounded to whole ones: they bound."""
        self._array_cycles()

    def _array_cycles(self) -> None:
        """Work out the array's cycles: folds on its sides times intervals of the stream; and those of the last tile."""
        stream, sides, pace = self.flow.stream, (self.flow.row, self.flow.col), self.pace
        self.folds = {d: self.grid.each(d, partial(self._all_folds, d)) for d in sides}
        intervals = pace * self.grid.each(stream, lambda tiles: sum(c * self._timing(s).interval for c, s, _ in tiles))
        packs = self.grid.each("g", lambda tiles: sum(c * -(-s // self.packed) for c, s, _ in tiles))
        tails = pace * self.grid.each(stream, lambda tiles: self._timing(tiles[-1][1]).tail)
        final = pace * self.grid.each(stream, lambda tiles: self._timing(tiles[-1][1]).interval)
        self.ends = tails - final
        self.gap = self.grid.each(stream, lambda tiles: self._gap(tiles[-1][1]))
        self.shift = self._timing(1).load * self.pace
        """Cycles in which what stays in the PEs is shifted in."""
        folds = self.folds[sides[0]] * self.folds[sides[1]] * packs
        self.count = folds * self.grid.count[stream]
        """Folds in all."""
        self.busy = folds * intervals + self.ends
        waits = pace * self.grid.each(stream, lambda tiles: sum(c * self._timing(s).after_load for c, s, _ in tiles))
        self.unloaded = folds * waits
        """Cycles in which folds may not load: what loading takes comes on top."""
        self.all = {sides[0]: self.folds[sides[0]], sides[1]: self.folds[sides[1]], stream: intervals}
        self.final = {d: self.grid.each(d, partial(self._last_folds, d)) for d in sides}
        self.final[stream] = final
        self.final_packs = self.grid.each("g", lambda tiles: -(-tiles[-1][1] // self.packed))
        self.last = self.remaining(frozenset())

    def hold_up(self, cycles: Vector) -> None:
        """Let all streams together take so many cycles at least, which is what a port needs for what they move.

        The interval of folds is convex in the length of their streams: it is least in all where they are equal.
        """
        stream = np.floor(cycles / (self.count * self.pace) * (1 - 1e-12)).astype(np.int64)
        each, index = np.unique(stream, return_inverse=True)
        intervals = np.array([self.flow.timing(self.array, max(1, int(size))).interval for size in each])
        self.busy = np.maximum(self.busy, self.count * self.pace * intervals[index.reshape(-1)] + self.ends)

    def _gap(self, size: int) -> float:
        """Return the cycles from the end of a stream to the next one at most, with nothing else to wait for."""
        rounded = 0 if self.pace == 1 else 2  # the ends of both streams are rounded up
        return (self._timing(size).interval - self._streamed(size)) * self.pace + rounded

    def remaining(self, inside: frozenset[Dim]) -> Vector:
        """Return the array's cycles for the last tiles: all of them along `inside`, one along the others."""
        cycles = self.final_packs
        for dim in DIMS:
            cycles = cycles * (self.all[dim] if dim in inside else self.final[dim])
        return cycles + self.ends

    def _share(self, dim: Dim, size: int) -> int:
        return -(-size // self.array.count) if dim == self.split else size

    def _streamed(self, size: int) -> int:
        return words(self._share(self.flow.stream, size), self.span[self.flow.stream])

    def _folds(self, dim: Dim, size: int) -> int:
        return fold_count(self.grid.kernel, self.lowering, dim, self._share(dim, size), self.span[dim])

    def _all_folds(self, dim: Dim, tiles: Tiles) -> int:
        return sum(count * self._folds(dim, size) for count, size, _ in tiles)

    def _last_folds(self, dim: Dim, tiles: Tiles) -> int:
        return self._folds(dim, tiles[-1][1])

    def _timing(self, size: int) -> FoldTiming:
        if size not in self.timings:
            work = TileWork(1, self._streamed(size), 0, 0, 1, (), ())
            self.timings[size] = tile_timing(self.array, work)
        return self.timings[size]

    def rate(self) -> Vector | float:
        """Return the bytes of sums that the array writes (or reads) in a cycle of a stream at most; inf if unknown."""
        flow, array = self.flow, self.array
        if flow.stream not in RELEVANT["output"]:
            return float("inf")
        side, pes = (flow.row, array.rows) if flow.row in RELEVANT["output"] else (flow.col, array.cols)
        lines = np.minimum(pes, self.grid.size[side] * self.packed)
        return np.asarray(lines * (array.count if self.split else 1) * self.arch.bits("partial_sum") / 8 / self.pace)

    def ahead(self, stationary: str, bandwidth: int) -> float:
        """Return by how many cycles a port makes the first load longer at most: it may come before what streams."""
        bits = self.arch.bits("partial_sum" if stationary == "output" else stationary)
        whole = self.array.pes * self.arch.mac_rate * bits / 8
        return max(0.0, whole / bandwidth - self.shift)

    def accesses(self, operand: str, way: str) -> Vector:
        """Return the bytes of an operand that the array reads or writes on chip."""
        if way == "write" and operand != "output":
            return np.zeros(len(self.grid.tiles))
        whole = float(prod(self.grid.full[d] for d in ("g", *RELEVANT[operand])))
        again = prod((f for d, f in self.folds.items() if d not in RELEVANT[operand]), start=1.0)
        tiles = self.grid.count[self.flow.stream] if operand == self.flow.stationary else 1.0
        first = whole if (operand, way) == ("output", "read") else 0.0  # the first sums of an output are not read
        width = self.arch.bits("partial_sum" if operand == "output" else operand) / 8
        return np.asarray((whole * again * tiles - first) * width) * np.ones(len(self.grid.tiles))
