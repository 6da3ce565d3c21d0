"""One pass over the keys: running max and sum, so that what is on chip does not depend on how many keys there are.

The cascade of FuseMax (Nayak et al., MICRO 2024). A tile of scores is made, its max joins the running one, its
exponentials and their weighted values are made, and what was summed before is rescaled and added to. Where PEs keep
scores in place, they do all that has one result a score (max, exponential, sum, weighted values), the lanes what has
one a row; else the lanes do all of the softmax.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sim.attention.fit import tile_sizes
from sim.attention.layout import LEAD, Layout, turn
from sim.attention.mapping import MAPPINGS, Wish
from sim.attention.tiles import Row, Tile
from sim.errors import MappingError
from sim.plan import Claim, Free, Node, Order, Plan, Process

INTERLEAVE = {True: 2, False: 1}
"""Tiles on which the array works while another waits for the lanes: two where scores stay in place, as deep as the
drain of the max through 256 rows asks for on FuseMax; else one."""


@MAPPINGS.register("one_pass")
def plans(wish: Wish) -> Iterator[Plan]:
    """Yield the plan with most query tiles on chip at once, for each size of tiles; where none fits, of fewer keys.

    MappingError where a tile is fixed that PEs cannot keep in place.
    """
    found = False
    for m, n in tile_sizes(wish):
        _check_kept(wish, m, n)
        plan = _most(wish, m, n)
        if plan:
            found = True
            yield plan
    least = min((size for _, size in tile_sizes(wish)), default=1)
    while not found and wish.choice.tile.n is None and least > 1:
        least = -(-least // 2)
        plans = [plan for m in {m for m, _ in tile_sizes(wish)} if (plan := _most(wish, m, least))]
        found = bool(plans)
        yield from plans


def _most(wish: Wish, m: int, n: int) -> Plan | None:
    """Return the plan with most tiles of `m` queries by `n` keys at once, the array as far ahead as fits."""
    chosen, array = wish.choice.interleave, wish.arch.array
    most = INTERLEAVE[bool(array and array.in_place)]
    for ahead in range(most, -1, -1) if chosen is None else (chosen,):
        layout = next(_OnePass(wish, m, n, ahead).grouped_most(), None)
        if layout:
            return layout.planned()
    return None


def _check_kept(wish: Wish, m: int, n: int) -> None:
    array = wish.arch.array
    assert array is not None  # the caller has made sure
    if array.in_place and (m > array.rows or n > array.cols * array.count):
        raise MappingError(
            f"{wish.kernel.name}: PEs keep scores in place, so a tile has at most {array.rows} queries "
            f"(mapping.tile.m) and {array.cols * array.count} keys (mapping.tile.n), not {m} and {n}"
        )


class _OnePass(Layout):
    """The steps of a tile, all of its softmax before the next tile of the same queries."""

    @property
    def in_place(self) -> bool:
        """Whether scores stay in the PEs."""
        return bool(self.steps.array.in_place)

    @property
    def groups(self) -> int:
        """Groups that there are at once: two where they fit, so that one begins while the other ends."""
        return 2 if self.fits(2) else 1

    def slots(self, groups: int) -> dict[str, int]:
        """Return how many slots each operand has, with `groups` groups at once."""
        pairs = 2 + -(-self.late // self.fewest)
        found = {"input": groups, "weight": pairs if self.kernel.shared else 2 * pairs, "output": groups}
        return found if self.in_place else found | {"intermediate": self.late + 1}

    def planned(self) -> Plan:
        """Return the plan."""
        body = self.cut.heads(lambda rows: self.room(self.of_group(rows)))
        there = self.kernel.heads * self.cut.tiles * -(-self.kernel.keys // self.n)
        held = min(self.ahead + 1, there) * self.m * self.n
        return self.plan(body, self.fusion("one_pass", 1, held))

    def of_group(self, rows: list[Row]) -> list[Node]:
        """Return the steps of a group of query tiles."""
        return self.cut.keys(rows, self.tile, lambda keys: self.right(keys, *dict.fromkeys(("keys", self.values_are))))

    def tile(self, tile: Tile) -> list[Node]:
        """Return the steps of one tile of scores."""
        after = [("queries", 0), ("shared", 0), ("keys", 0), *([] if self.ahead else [("added", 0)])]
        does = ("scores", "local_max") if self.in_place else ("scores",)
        scores = self.steps.scores(tile, Order("scores", tuple(after), LEAD, does=does), self.in_place)
        rest = self.kept(tile) if self.in_place else self.passed(tile)
        claim: list[Node] = []
        if self.arch.bounded and not self.in_place:
            claim = [Claim("intermediate", self.sizes()["intermediate"])]
        return turn([*self.opened(tile), *claim, scores, *rest, *self.divided(tile), *self.store(tile)])

    def kept(self, tile: Tile) -> list[Node]:
        """Return the steps of a tile whose scores stay in the PEs."""
        steps, rows, count = self.steps, tile.rows, self.steps.array.count
        waits = (("max", 0), (self.values_are, 0), ("added", self.ahead))
        does = ("exponentials", "local_sum", "product")
        return [
            steps.lanes(Order("max", (("scores", 0),), LEAD, does=("running_max",)), ("max", rows * count),
                        reads=(1 + count) * rows, writes=rows),
            self.rescaled(tile, (("add", rows), ("exp", rows))),
            steps.values(tile, Order("weighted", waits, self.late, does=does), True),
            *steps.joined(tile, Order("joined", (("weighted", 0),), self.late)),
            *self.added(tile, count),
        ]  # fmt: skip

    def added(self, tile: Tile, count: int) -> list[Node]:
        """Return the additions to the sums; without interleaving the next tile need not wait for that of weights."""
        rows, width = tile.rows, self.kernel.value
        order = Order("added", (("weighted", 0), ("joined", 0)), self.late, does=("add_values",))
        values, weights = ("add", rows * width), ("add", rows * count)
        moved = {"reads": 2 * rows * width, "writes": rows * width}, {"reads": (1 + count) * rows, "writes": rows}
        if self.ahead:
            order = replace(order, does=("add_values", "add_sum"))
            both = {way: sum(part[way] for part in moved) for way in ("reads", "writes")}
            return [self.steps.lanes(order, values, weights, **both)]
        last = Order("sum", (), self.late, does=("add_sum",))
        return [self.steps.lanes(order, values, **moved[0]), self.steps.lanes(last, weights, **moved[1])]

    def rescaled(self, tile: Tile, factor: tuple[tuple[str, int], ...]) -> Process:
        """Return the rescaling of what was summed before, by the exponential of how far the max has moved."""
        rows, width = tile.rows, self.kernel.value
        order = Order("rescaled", (("max", 0), ("room", 0)), self.late, does=("rescale",))
        return self.steps.lanes(order, *factor, ("mul", rows), ("mul", rows * width), reads=rows * (width + 3),
                                writes=rows * (width + 1))  # fmt: skip

    def passed(self, tile: Tile) -> list[Node]:
        """Return the steps of a tile whose scores pass through the buffer, the whole softmax on the lanes."""
        steps, rows, width, pairs = self.steps, tile.rows, self.kernel.value, tile.rows * tile.keys
        softmax = (("max", pairs), ("max", rows), ("add", pairs), ("exp", pairs), ("add", pairs), ("add", rows),
                   ("exp", rows), ("add", rows))  # fmt: skip
        does = ("local_max", "running_max", "exponentials", "local_sum")
        waits = (("max", 0), (self.values_are, 0), ("added", self.ahead))
        return [
            steps.lanes(Order("max", (("scores", 0),), LEAD, does=does), *softmax, reads=3 * pairs, writes=pairs),
            self.rescaled(tile, ()),
            steps.values(tile, Order("weighted", waits, self.late, does=("product",)), False),
            *([Free("intermediate")] if self.arch.bounded else []),
            *steps.joined(tile, Order("joined", (("weighted", 0),), self.late)),
            steps.lanes(Order("added", (("weighted", 0), ("joined", 0)), self.late, does=("add_values", "add_sum")),
                        ("add", rows * width), reads=2 * rows * width, writes=rows * width),
        ]  # fmt: skip

    def divided(self, tile: Tile) -> list[Node]:
        """Return the division by the sums, where they are complete."""
        if not tile.last:
            return []
        rows, width = tile.rows, self.kernel.value
        order = Order("output", (), self.late, does=("divide_sums",))
        return [self.steps.lanes(order, ("div", rows * width), reads=rows * (width + 1), writes=rows * width)]
