"""Attention cut into tiles: which of them there are under a mask, in which order, and which operands come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from sim.kernel import Attention
from sim.plan import Loop, Node


@dataclass(frozen=True)
class Tile:
    """A tile of scores, `rows` queries by `keys`; the `first` of its queries opens their sums, the `last` ends them."""

    rows: int
    keys: int
    first: bool
    last: bool


@dataclass(frozen=True)
class Row:
    """A tile of queries: the position of its first one, how many, and the key tiles [low, high) that any sees."""

    start: int
    size: int
    low: int
    high: int


Body = Callable[[Tile], Sequence[Node]]
Around = Callable[[int], tuple[Sequence[Node], Sequence[Node]]]
"""From the keys of a tile to the steps before and behind the tiles of queries that share it."""


@dataclass(frozen=True)
class Cut:
    """An Attention in tiles of `m` query rows by `n` keys, `group` tiles of queries on chip at once."""

    kernel: Attention
    m: int
    n: int
    group: int

    @property
    def tiles(self) -> int:
        """Tiles of queries of a head."""
        return -(-self.kernel.rows // self.m)

    @property
    def uniform(self) -> bool:
        """Whether all groups are equal, so that they can be one loop with the heads."""
        return not self.kernel.bands and self.kernel.rows % (self.m * self.group) == 0

    @property
    def blocks(self) -> int:
        """Groups of a head that are one loop with the heads."""
        return self.kernel.rows // (self.m * self.group) if self.uniform else 1

    def row(self, start: int) -> Row:
        """Return the tile of queries from `start` on."""
        size = min(self.m, self.kernel.rows - start)
        low, high = self.kernel.sees(start, start + size)
        return Row(start, size, low // self.n, -(-high // self.n))

    def groups(self) -> list[list[Row]]:
        """Return the groups of query tiles; of equal ones that are one loop with the heads only the first."""
        starts = range(0, self.kernel.rows // self.blocks, self.m)
        rows = [self.row(start) for start in starts]
        return [rows[at : at + self.group] for at in range(0, len(rows), self.group)]

    @property
    def computed(self) -> int:
        """Pairs of a query and a key in all tiles, hidden ones included."""
        blocks, keys = self.blocks, self.kernel.keys
        pairs = sum(r.size * (min(r.high * self.n, keys) - r.low * self.n) for group in self.groups() for r in group)
        return pairs * blocks * self.kernel.heads

    def heads(self, body: Callable[[list[Row]], Sequence[Node]]) -> tuple[Node, ...]:
        """Return the loop over heads and groups."""
        inner = [node for same, count in _runs(self.groups(), self) for node in _repeated(body(same), count, self)]
        return (Loop("g", self.kernel.heads * self.blocks, 0, 1, tuple(inner)),)

    def keys(self, group: list[Row], body: Body, around: Around | None = None) -> list[Node]:
        """Return the loops over the key tiles that a group sees, and in each over the query tiles that see it."""
        nodes: list[Node] = []
        for start, stop in pairwise(self._events(group)):
            size = min(self.n, self.kernel.keys - start * self.n)
            before, behind = around(size) if around else ((), ())
            inner = [
                Loop("m", len(rows), rows[0].start, self.m, tuple(body(tile)))
                for tile, rows in _alike(group, start, size)
            ]
            if inner:
                body_nodes = (*before, *inner, *behind)
                nodes.append(Loop("n", stop - start, start * self.n, self.n, body_nodes))
        return nodes

    def _events(self, group: list[Row]) -> list[int]:
        """Return the key tiles from which on other query tiles begin, end or are seen, or tiles are smaller."""
        ends = {end for row in group for end in (row.low, row.low + 1, row.high - 1, row.high)}
        whole = self.kernel.keys // self.n
        low, high = min(row.low for row in group), max(row.high for row in group)
        return sorted(end for end in ends | {whole} if low <= end <= high)


def _alike(group: list[Row], at: int, keys: int) -> list[tuple[Tile, list[Row]]]:
    """Return the query tiles that see key tile `at`, neighbours together that are alike."""
    seen = [(Tile(r.size, keys, at == r.low, at == r.high - 1), r) for r in group if r.low <= at < r.high]
    found = []
    for tile, run in groupby(seen, key=lambda entry: entry[0]):
        rows = [row for _, row in run]
        gaps = [i for i in range(1, len(rows)) if rows[i].start != rows[i - 1].start + rows[i - 1].size]
        for first, stop in pairwise([0, *gaps, len(rows)]):
            found.append((tile, rows[first:stop]))
    return found


def _runs(groups: list[list[Row]], cut: Cut) -> list[tuple[list[Row], int]]:
    """Return the groups, equal neighbours together: without a mask all groups of one shape are."""

    def shape(group: list[Row]) -> object:
        return [row.size for row in group] if not cut.kernel.bands else group

    found = []
    for _, run in groupby(groups, key=shape):
        same = list(run)
        found.append((same[0], len(same)))
    return found


def _repeated(body: Sequence[Node], count: int, cut: Cut) -> Sequence[Node]:
    return body if count == 1 else (Loop("m", count, 0, cut.group * cut.m, tuple(body)),)

