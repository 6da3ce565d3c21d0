"""Whole rows of scores on chip: the softmax goes through a row three times before the values are weighted.

The fusion of FLAT (Kao et al., ASPLOS 2023): the product of queries and keys, the softmax and that of its weights and
the values overlap, and no score leaves the chip while the rows of a group fit. Where they do not, scores pass through
memory between the passes (each score is written and read twice; the artifact of FuseMax has a table instead of a rule).
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.attention.fit import row_sizes, tile_sizes
from sim.attention.layout import LEAD, Layout, turn
from sim.attention.mapping import MAPPINGS, Wish
from sim.attention.tiles import Row, Tile
from sim.plan import Claim, Free, Load, Node, Order, Plan, Store

FEWEST = 4
"""Tiles of a group whose scores pass through memory: a store is under way before its load asks for it."""


@MAPPINGS.register("row_fused")
def plans(wish: Wish) -> Iterator[Plan]:
    """Yield a plan for each number of rows that fits, the most first, and the one whose scores pass through memory."""
    for m, n in tile_sizes(wish):
        for rows in row_sizes(wish, m):
            fitting = [layout for ahead in (1, 0) for layout in _Rows(wish, rows, n, ahead).grouped_most()]
            yield from (layout.planned() for layout in fitting[:1])
            if fitting and rows == m:
                return
        spilled = next(_Spilled(wish, m, n, 1).grouped_most(), None)
        if spilled is not None and spilled.group * -(-wish.kernel.keys // n) >= FEWEST:
            yield spilled.planned()


class _Rows(Layout):
    """The steps of a group of rows, pass by pass."""

    @property
    def least(self) -> int:
        """Groups that must fit beside each other: the array scores one while the values of another are weighed."""
        return 1 + self.ahead

    @property
    def groups(self) -> int:
        """Groups that there are at once."""
        return self.least

    def slots(self, groups: int) -> dict[str, int]:
        """Return how many slots each operand has; the rows of `groups` groups are there at once."""
        return {"input": 2, "weight": 2 + self.late, "output": 2, "intermediate": groups}

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the largest slot of each operand: scores in whole rows."""
        return super().sizes() | {"intermediate": self.steps.sums(self.grouped * self.kernel.keys)}

    def planned(self) -> Plan:
        """Return the plan."""
        body = self.cut.heads(lambda rows: self.room(self.of_group(rows), self.held()))
        held = min(1 + self.ahead, self.kernel.heads * -(-self.kernel.rows // self.grouped))
        return self.plan(body, self.fusion("row_fused", 3, held * self.grouped * self.kernel.keys))

    def held(self) -> tuple[str, int, str]:
        """Return the room that the scores of a group need, until the last of them has weighed its values."""
        return "intermediate", self.sizes()["intermediate"], "weighted"

    def of_group(self, rows: list[Row]) -> list[Node]:
        """Return the steps of a group of query tiles: its passes, one behind the other."""
        cut = self.cut
        return [
            *cut.keys(rows, self.scored, lambda keys: self.right(keys, "keys")),
            *cut.keys(rows, self.exponentiated),
            *cut.keys(rows, self.weighted, lambda keys: self.right(keys, "values")),
        ]

    def scored(self, tile: Tile) -> list[Node]:
        """Return the first pass over a tile: its scores, and the max of its rows."""
        pairs = tile.rows * tile.keys
        after = (("queries", 0), ("shared", 0), ("keys", 0), ("intermediate", 0))
        return turn([
            *self.opened(tile),
            *self.bring(tile, False),
            self.steps.scores(tile, Order("scores", after, LEAD, does=("scores",)), False),
            self.steps.lanes(Order("max", (("scores", 0), ("room", 0)), LEAD, does=("local_max", "running_max")),
                             ("max", pairs), reads=pairs, writes=tile.rows),
            *self.take_away(tile),
        ])  # fmt: skip

    def exponentiated(self, tile: Tile) -> list[Node]:
        """Return the second pass over a tile: its exponentials, and their sums."""
        pairs = tile.rows * tile.keys
        operations = [("exp", pairs), ("add", pairs)]
        if not self.steps.vector.fused_subtract:
            operations.insert(0, ("add", pairs))
        does = ("exponentials", "local_sum", "add_sum")
        return turn([
            *self.bring(tile, True),
            self.steps.lanes(Order("sum", (("spill", 0),), LEAD, does=does), *operations, reads=2 * pairs,
                             writes=pairs),
            *self.take_away(tile),
        ])  # fmt: skip

    def weighted(self, tile: Tile) -> list[Node]:
        """Return the third pass over a tile: its weights, and the values that they weigh."""
        pairs = tile.rows * tile.keys
        does = ("product", "add_values", *(("leave",) if tile.last else ()))
        waits = (("weights", 0), ("values", 0))
        return turn([
            *self.bring(tile, True),
            self.steps.lanes(Order("weights", (("spill", 0),), LEAD, does=("divide",)), ("div", pairs), reads=pairs,
                             writes=pairs),
            self.steps.values(tile, Order("weighted", waits, self.late, does=does), False),
            *self.give_up(),
            *(self.steps.joined(tile, Order("joined", (("weighted", 0),), self.late)) if tile.last else []),
            *self.store(tile),
        ])  # fmt: skip

    def bring(self, tile: Tile, again: bool) -> list[Node]:
        """Return what brings the scores of a tile on chip, where they are not: `again`, or for the first time."""
        return []

    def take_away(self, tile: Tile) -> list[Node]:
        """Return what takes the scores of a tile to memory, where they do not stay."""
        return []

    def give_up(self) -> list[Node]:
        """Return what gives the room of a tile of scores back, where it is not that of whole rows."""
        return []


class _Spilled(_Rows):
    """The same with scores in memory between the passes."""

    @property
    def late_store(self) -> int:
        """Turns by which stores come behind: few, as loads of the next pass follow them."""
        return self.late

    def slots(self, groups: int) -> dict[str, int]:
        """Return how many slots each operand has; of scores single tiles are there."""
        return {"input": 2, "weight": 2 + self.late, "output": 2, "intermediate": 3 * self.late + 2}

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the largest slot of each operand."""
        return Layout.sizes(self)

    def planned(self) -> Plan:
        """Return the plan."""
        body = self.cut.heads(lambda rows: self.room(self.of_group(rows)))
        fusion = self.fusion("row_fused", 3, (3 * self.late + 2) * self.m * self.n, spilled=True)
        return self.plan(body, fusion)

    def bring(self, tile: Tile, again: bool) -> list[Node]:
        """Return the room for a tile of scores, or its load."""
        size, room = self.steps.sums(tile.rows * tile.keys), self.sizes()["intermediate"]
        if not again:
            return [Claim("intermediate", room, "intermediate")]
        return [Load("intermediate", size, (1, tile.rows, tile.keys, 1), makes="spill", room=room)]

    def take_away(self, tile: Tile) -> list[Node]:
        """Return the store of a tile of scores."""
        size = self.steps.sums(tile.rows * tile.keys)
        order = Order("spilled", (), self.late_store)
        return [Store(size, (1, tile.rows, tile.keys, 1), partial=True, order=order), Free("intermediate", "spilled")]

    def give_up(self) -> list[Node]:
        """Return what gives the room of a tile of scores back."""
        return [Free("intermediate", "weighted")]
