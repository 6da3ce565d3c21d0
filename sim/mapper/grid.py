"""The grid of tile sizes that a search tries: what of each tile follows from its size alone, as numpy vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.dataflow import Dim
from sim.kernel import Contraction
from sim.mapping import flat, row_loops, tile_loops, window

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Kinds = list[tuple[Any, Any]]
"""Equal tiles as (how many, extent), each a number or a vector over the candidates."""
Tiles = list[tuple[int, int, int]]
"""The tiles along a dimension as (count, size, window)."""


class Grid:
    """All (g, m, n, k) tile sizes from the sizes along each axis; vectors have one entry a candidate."""

    def __init__(self, kernel: Contraction, axes: Sequence[Sequence[int]]) -> None:
        self.kernel = kernel
        grid = np.meshgrid(*(np.array(axis, dtype=np.int64) for axis in axes), indexing="ij")
        self.tiles = np.stack([part.ravel() for part in grid], axis=1)
        self.index = [
            part.ravel() for part in np.meshgrid(*(np.arange(len(axis)) for axis in axes), indexing="ij")
        ]
        self.full: dict[str, int] = {"g": kernel.groups, "m": kernel.m, "n": kernel.n, "k": kernel.k}
        self.cuts = {d: [self._cut(d, size) for size in axis] for d, axis in zip("gmnk", axes, strict=True)}
        self._measure()

    def part(self, chosen: Indices) -> Grid:
        """Return the grid of some of the candidates."""
        part = copy(self)
        part.tiles, part.index = self.tiles[chosen], [places[chosen] for places in self.index]
        part._measure()
        return part

    def _measure(self) -> None:
        self.size = {d: self.tiles[:, i].astype(np.float64) for i, d in enumerate("gmnk")}
        self.count = {d: self.each(d, lambda tiles: sum(c for c, _, _ in tiles)) for d in "gmnk"}
        self.last_size = {d: self.each(d, lambda tiles: tiles[-1][1]) for d in "gmn"}
        self.kinds = {d: self._equal_tiles(d, 1) for d in "gmnk"} | {"window": self._equal_tiles("m", 2)}
        self.windows = tuple(self.each("m", value) for value in (_total_window, _first_window, _largest_window))

    def each(self, dim: str, value: Callable[[Tiles], float]) -> Vector:
        """Return a value of the tiles (count, size, window) along a dimension, for each candidate."""
        values: Vector = np.array([value(tiles) for tiles in self.cuts[dim]], dtype=np.float64)
        return values[self.index["gmnk".index(dim)]]

    def _cut(self, dim: str, size: int) -> Tiles:
        if dim == "m":
            return flat(row_loops(self.kernel.batch, self.kernel.axes, size))
        return flat(tile_loops(self.full[dim], size))

    def whole(self, operand: str, dim: Dim) -> float:
        """Return the extent of an operand along a whole dimension: inputs count windows and channels."""
        if operand != "input":
            return float(self.full[dim])
        kernel = self.kernel
        return float(kernel.batch * window(kernel.axes, 0, kernel.positions) if dim == "m" else kernel.channels)

    def kinds_of(self, operand: str, dim: Dim) -> Kinds:
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
