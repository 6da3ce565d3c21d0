"""Which keys each query of attention sees, and the blocks of queries that are scored against the keys they need.

A mask is a product of intervals along the axes of the grid on which queries and keys lie (one axis for text).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Sight:
    """What the queries along one axis see: query i the keys [starts[i], stops[i]); neither ever moves back."""

    kind: str
    queries: int
    keys: int
    window: int = 0

    def intervals(self) -> tuple[Index, Index]:
        """Return starts and stops. The last query stands at the last key, where there are fewer queries.

        `causal` sees no later key, `sliding` the `window` last keys up to its own, `local` half a window on
        each side beside its own, `blocked` the window of the grid it lies in, `neighbourhood` the window around
        it, moved inside at the borders so that each query sees as many keys (Hassani et al., CVPR 2023).
        """
        at = np.arange(self.queries) + self.keys - self.queries
        ones = np.ones_like(at)
        if self.kind == "full":
            return 0 * ones, self.keys * ones
        if self.kind in ("causal", "sliding"):
            reach = self.window if self.kind == "sliding" else self.keys
            return np.maximum(at + 1 - reach, 0), at + 1
        if self.kind == "local":
            half = self.window // 2
            return np.maximum(at - half, 0), np.minimum(at + half + 1, self.keys)
        start = at // self.window * self.window
        if self.kind == "neighbourhood":
            start = np.clip(at - self.window // 2, 0, max(0, self.keys - self.window))
        return start, np.minimum(start + self.window, self.keys)

    def blocks(self, size: int) -> Iterator[tuple[range, range, int]]:
        """Yield each block of `size` queries, the keys that any of them sees, and the pairs that are seen."""
        starts, stops = self.intervals()
        for at in range(0, self.queries, size):
            end = min(at + size, self.queries)
            seen = int((stops[at:end] - starts[at:end]).sum())
            yield range(at, end), range(int(starts[at]), int(stops[end - 1])), seen


@dataclass(frozen=True)
class Piece:
    """`count` blocks of `queries` scored against `keys`, of which `seen` pairs in all are not hidden."""

    count: int
    queries: int
    keys: int
    seen: int


@dataclass(frozen=True)
class Mask:
    """The intervals along each axis, and the block of queries that is scored together."""

    axes: tuple[Sight, ...]
    block: tuple[int, ...]

    @property
    def queries(self) -> int:
        """Number of queries."""
        return prod(axis.queries for axis in self.axes)

    @property
    def keys(self) -> int:
        """Number of keys."""
        return prod(axis.keys for axis in self.axes)

    @property
    def seen(self) -> int:
        """Pairs of a query and a key that are not hidden."""
        return sum(piece.seen for piece in pieces(self))

    @property
    def scored(self) -> int:
        """Pairs of a query and a key that are computed."""
        return sum(piece.count * piece.queries * piece.keys for piece in pieces(self))

    def indices(self) -> Iterator[tuple[Index, Index, NDArray[np.bool_]]]:
        """Yield for each piece its queries (count, q), keys (count, m) and which pairs are seen (count, q, m)."""
        found: dict[tuple[int, int], list[tuple[Any, Any, Any]]] = {}
        for blocks in product(*(axis.blocks(size) for axis, size in zip(self.axes, self.block, strict=True))):
            queries = self._flat([b[0] for b in blocks], [axis.queries for axis in self.axes])
            keys = self._flat([b[1] for b in blocks], [axis.keys for axis in self.axes])
            found.setdefault((queries.size, keys.size), []).append((queries, keys, self._seen(blocks)))
        for items in found.values():
            yield (np.stack([i[0] for i in items]), np.stack([i[1] for i in items]), np.stack([i[2] for i in items]))

    def _flat(self, ranges: list[range], sizes: list[int]) -> Index:
        grid = np.meshgrid(*ranges, indexing="ij")
        return np.asarray(np.ravel_multi_index(grid, sizes)).ravel()

    def _seen(self, blocks: Any) -> NDArray[np.bool_]:
        seen = np.ones((1, 1), bool)
        for axis, (queries, keys, _) in zip(self.axes, blocks, strict=True):
            starts, stops = (ends[queries.start : queries.stop, None] for ends in axis.intervals())
            mine = (np.array(keys) >= starts) & (np.array(keys) < stops)
            seen = (seen[:, None, :, None] & mine[None, :, None, :]).reshape(seen.shape[0] * len(queries), -1)
        return seen


@lru_cache(maxsize=512)
def pieces(mask: Mask) -> tuple[Piece, ...]:
    """Return the blocks of a mask, those of equal size together, in the order in which each size first comes."""
    classes = [_classes(axis, size) for axis, size in zip(mask.axes, mask.block, strict=True)]
    found: dict[tuple[int, int], list[int]] = {}
    for combination in product(*(table.items() for table in classes)):
        queries, keys = (prod(sizes[side] for sizes, _ in combination) for side in (0, 1))
        total = found.setdefault((queries, keys), [0, 0])
        total[0] += prod(count for _, (count, _) in combination)
        total[1] += prod(seen for _, (_, seen) in combination)
    return tuple(Piece(count, queries, keys, seen) for (queries, keys), (count, seen) in found.items())


def _classes(axis: Sight, size: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the blocks along one axis by (queries, keys): how many, and the pairs seen in all of them."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for queries, keys, seen in axis.blocks(size):
        count, total = found.get((len(queries), len(keys)), (0, 0))
        found[len(queries), len(keys)] = (count + 1, total + seen)
    return found
