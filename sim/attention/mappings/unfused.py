"""No fusion: scores, softmax and weighted values one after the other, every score through memory between them.

Each phase overlaps its transfers with its work. The rival of FLAT and FuseMax in their papers; `layers` does the same
with each phase mapped as a layer of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.attention.fit import row_sizes, tile_sizes
from sim.attention.layout import LEAD, Layout, turn
from sim.attention.mapping import MAPPINGS, Wish
from sim.attention.tiles import Tile
from sim.plan import Claim, Free, Load, Loop, Node, Order, Plan, Store

TILES = 8
"""Tiles of scores that are on chip at once in the phases that work tile by tile."""
CHUNKS = 3
"""Chunks of rows that are on chip at once in the softmax: one comes, one is worked on, one leaves."""


@MAPPINGS.register("unfused")
def plans(wish: Wish) -> Iterator[Plan]:
    """Yield the plan of three phases; none where a row of scores does not fit, or a mask hides part of it."""
    if not wish.arch.bounded or wish.kernel.bands:
        return
    for m, n in tile_sizes(wish):
        layout = _Phases(wish, m, n, 0)
        fitting = next(layout.grouped_most(), None)
        chunk = next((rows for rows in row_sizes(wish, m) if layout.softmax_fits(rows)), None)
        if fitting and chunk:
            yield fitting.planned(chunk)


class _Phases(Layout):
    """The phases, each a loop over heads."""

    @property
    def groups(self) -> int:
        """Groups that there are at once."""
        return 1

    def slots(self, groups: int) -> dict[str, int]:
        """Return how many slots each operand has."""
        return {"input": 2, "weight": 2 + self.late, "output": 2, "intermediate": TILES}

    def softmax_fits(self, rows: int) -> bool:
        """Tell whether chunks of so many rows have room beside each other."""
        size = self.steps.sums(rows * self.kernel.keys)
        return CHUNKS * size <= self.arch.buffers[self.arch.buffer_of("output")].tile_capacity

    def planned(self, chunk: int) -> Plan:
        """Return the plan, the softmax `chunk` rows at a time."""
        kernel, cut = self.kernel, self.cut
        whole, rest = divmod(kernel.heads * kernel.rows, chunk)
        softmax = [
            Loop("m", count, start, rows, tuple(self.normalized(rows)))
            for count, start, rows in ((whole, 0, chunk), (1, whole * chunk, rest))
            if count and rows
        ]
        body = [
            *cut.heads(lambda rows: self.queries_room(cut.keys(rows, self.scored, self.keys))),
            *softmax,
            *cut.heads(lambda rows: self.sums_room(cut.keys(rows, self.weighted, self.values))),
        ]
        scores = kernel.heads * kernel.rows * kernel.keys
        return self.plan(body, self.fusion("unfused", 3, scores, spilled=True))

    def keys(self, count: int) -> tuple[list[Node], list[Node]]:
        """Return the load of a tile of keys, and what gives it back."""
        return self.right(count, "keys")

    def values(self, count: int) -> tuple[list[Node], list[Node]]:
        """Return the load of a tile of values, and what gives it back."""
        return self.right(count, "values")

    def queries_room(self, body: list[Node]) -> list[Node]:
        """Return the first phase of a group with the room for its queries."""
        if not self.loads("input"):
            return body
        return [Claim("input", self.sizes()["input"], "place"), *body, Free("input", "scores")]

    def sums_room(self, body: list[Node]) -> list[Node]:
        """Return the last phase of a group with the room for its sums."""
        return [Claim("output", self.sizes()["output"], "room"), *body, Free("output")]

    def scored(self, tile: Tile) -> list[Node]:
        """Return a tile of scores on its way to memory."""
        after = (("queries", 0), ("shared", 0), ("keys", 0), ("intermediate", 0))
        return turn([
            *self.opened(tile),
            Claim("intermediate", self.steps.sums(tile.rows * tile.keys), "intermediate"),
            self.steps.scores(tile, Order("scores", after, LEAD, does=("scores",)), False),
            *self.away(tile.rows, tile.keys),
        ])  # fmt: skip

    def away(self, rows: int, keys: int) -> list[Node]:
        """Return the store of some scores."""
        store = Store(self.steps.sums(rows * keys), (1, rows, keys, 1), partial=True, order=Order("spilled", (), LEAD))
        return [store, Free("intermediate", "spilled")]

    def normalized(self, rows: int) -> list[Node]:
        """Return the softmax of some rows, from memory and back."""
        keys, pairs = self.kernel.keys, rows * self.kernel.keys
        subtract = [] if self.steps.vector.fused_subtract else [("add", pairs)]
        operations = [("max", pairs), *subtract, ("exp", pairs), ("add", pairs), ("div", pairs)]
        return turn([
            Load("intermediate", self.steps.sums(pairs), (1, rows, keys, 1), makes="spill"),
            self.steps.lanes(Order("weights", (("spill", 0),), LEAD, does=("softmax",)), *operations,
                             reads=4 * pairs, writes=2 * pairs),
            *self.away(rows, keys),
        ])  # fmt: skip

    def weighted(self, tile: Tile) -> list[Node]:
        """Return the values that a tile of weights from memory weighs."""
        does = ("product", "add_values", *(("leave",) if tile.last else ()))
        waits = (("spill", 0), ("values", 0), ("room", 0))
        size = self.steps.sums(tile.rows * tile.keys)
        return turn([
            Load("intermediate", size, (1, tile.rows, tile.keys, 1), makes="spill"),
            self.steps.values(tile, Order("weighted", waits, LEAD, does=does), False),
            Free("intermediate", "weighted"),
            *(self.steps.joined(tile, Order("joined", (("weighted", 0),), LEAD)) if tile.last else []),
            *self.store(tile),
        ])  # fmt: skip
