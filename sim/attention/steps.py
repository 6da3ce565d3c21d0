"""The work steps of fused attention: what a tile takes on the array and on the lanes, and what it moves on chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sim.arch import Arch, Systolic, Vector
from sim.attention.tiles import Tile
from sim.dataflow import Dim
from sim.kernel import Attention, Contraction
from sim.mapping import Mapping, Tiling
from sim.plan import Broadcast, Compute, Extent, LocalWork, Moves, Node, Order, Process, Reduce, TileWork
from sim.planner import process, tile_work


@dataclass(frozen=True)
class Steps:
    """Makes the steps of tiles of `kernel` on the array and the lanes of a chip."""

    kernel: Attention
    arch: Arch

    @property
    def array(self) -> Systolic:
        """The array; the caller has made sure that there is one."""
        assert self.arch.array is not None
        return self.arch.array

    @property
    def vector(self) -> Vector:
        """The lanes; the caller has made sure that there are some."""
        assert self.arch.vector is not None
        return self.arch.vector

    def sums(self, elements: int) -> int:
        """Return the bytes of partial sums: scores, their row sums, weighted values."""
        return self.arch.bytes_of("partial_sum", elements)

    def extent(self, tile: Tile) -> Extent:
        """Return the sizes of a tile along (g, m, n, k)."""
        return (1, tile.rows, tile.keys, self.kernel.size)

    def scores(self, tile: Tile, order: Order, in_place: bool) -> Compute:
        """Return the product of queries and keys; PEs that keep it take the max of its rows, which then drains."""
        work = self._product(tile, self.kernel.size, ("input", tile.rows), not in_place)
        if in_place:
            assert isinstance(work, LocalWork)  # such arrays are flexible
            pairs = tile.rows * tile.keys
            work = replace(work, stream=work.stream + self.array.in_place["max"], drain=self.array.rows,
                           operations=(("max", pairs),))  # fmt: skip
        return Compute(work, self.extent(tile), True, order)

    def values(self, tile: Tile, order: Order, in_place: bool) -> Compute:
        """Return the product of scores and values; PEs that hold the scores first exponentiate and sum them."""
        work = self._product(tile, self.kernel.value, ("output", tile.rows) if not in_place else ("", 0), True)
        if in_place:
            assert isinstance(work, LocalWork)  # such arrays are flexible
            pairs, cost = tile.rows * tile.keys, self.array.in_place
            work = replace(work, stream=work.stream + 2 * cost["add"] + cost["exp"],
                           operations=(("add", 2 * pairs), ("exp", pairs)))  # fmt: skip
        return Compute(work, self.extent(tile), True, order)

    def _product(self, tile: Tile, features: int, left: tuple[str, int], written: bool) -> TileWork:
        if not self.array.flexible:
            return self._folds(tile, features, left[0] == "output")
        kernel, operand, count = self.kernel, left[0], self.array.count
        held = tile.rows * (tile.keys if operand == "output" else kernel.size) if operand else 0
        out = tile.rows * (tile.keys if operand == "input" else kernel.value)
        folds = -(-tile.rows // self.array.rows) * -(-tile.keys // (self.array.cols * count))
        reads = ((operand, held), ("weight", tile.keys * features)) if operand else (("weight", tile.keys * features),)
        writes = (("output", out),) if written else ()
        pes = self.array.rows * self.array.cols
        pairs, moves = tile.rows * tile.keys, self._moves(reads, writes)
        return LocalWork(1, features * folds, pairs * features, pairs, folds * pes * count, reads, writes, moves)

    def _folds(self, tile: Tile, features: int, weighs: bool) -> TileWork:
        """Return a product in the folds of the array's own dataflow."""
        n, k = (features, tile.keys) if weighs else (tile.keys, features)
        split: Dim | None = ("k" if weighs else "n") if self.array.count > 1 else None
        product = Contraction(self.kernel.name, n, k, tile.rows, right_is="kv")
        tiling = Tiling(product, Mapping(tile.rows, n, k, split=split))
        return tile_work(tiling, self.arch, (1, tile.rows, n, k), True)

    def _moves(self, reads: Sequence[tuple[str, int]], writes: Sequence[tuple[str, int]]) -> Moves:
        ways = [(o, "read", count) for o, count in reads] + [(o, "write", count) for o, count in writes]
        moves = ((o, way, self.sums(n) if o == "output" else self.arch.bytes_of(o, n)) for o, way, n in ways)
        return tuple(move for move in moves if move[2])

    def shared(self, tile: Tile, order: Order) -> list[Node]:
        """Return the broadcast of queries to all arrays, which divide the keys of a tile among them."""
        if self.array.count == 1:
            return []
        size = self.arch.bytes_of("input", tile.rows * self.kernel.size)
        return [Broadcast("input", size * (self.array.count - 1), order)]

    def joined(self, tile: Tile, order: Order) -> list[Node]:
        """Return the reduction of what the values that each array weighed add up to."""
        if self.array.count == 1:
            return []
        return [Reduce(self.sums(tile.rows * self.kernel.value) * (self.array.count - 1), order)]

    def lanes(self, order: Order, *operations: tuple[str, int], reads: int = 0, writes: int = 0) -> Process:
        """Return lane operations (kind, count) behind each other, and the sums that they read and write on chip."""
        moves = self._moves((("output", reads),), (("output", writes),))
        done = process(self.arch, tuple(operations), 0, moves)
        return replace(done, elements=max(count for _, count in operations), order=order)
