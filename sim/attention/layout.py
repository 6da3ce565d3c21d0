"""What mappings of attention share: sizes of tiles and groups, and the steps that bring and store operands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt
from typing import Self

from sim.arch import Arch
from sim.attention.fit import capacities
from sim.attention.mapping import Wish
from sim.attention.steps import Steps
from sim.attention.tiles import Cut, Tile
from sim.kernel import Attention
from sim.plan import Claim, Compute, Free, Fusion, Load, Node, Order, Plan, Process, Reduce, Store

LEAD = 1
"""Tiles by which loads come ahead of the work that waits for them."""
AHEAD = 2
"""Turns that the engine looks ahead of what is delayed anyway."""


@dataclass(frozen=True)
class Layout:
    """Tiles of `m` queries by `n` keys, `group` tiles of queries at once; the array is `ahead` tiles ahead of lanes."""

    wish: Wish
    m: int
    n: int
    ahead: int
    group: int = 1

    @property
    def kernel(self) -> Attention:
        """The attention."""
        return self.wish.kernel

    @property
    def arch(self) -> Arch:
        """The chip."""
        return self.wish.arch

    @cached_property
    def steps(self) -> Steps:
        """The maker of work steps."""
        return Steps(self.kernel, self.arch)

    @cached_property
    def cut(self) -> Cut:
        """The tiles."""
        return Cut(self.kernel, self.m, self.n, self.group)

    @property
    def late(self) -> int:
        """Turns by which the last steps of a tile come behind."""
        return LEAD + self.ahead

    @property
    def late_store(self) -> int:
        """Turns by which stores come behind, so that loads that the next tiles wait for go first.

        Never so far that such a load waits for tiles whose sums wait for the place that the store leaves.
        """
        return min(self.late + max(1, self.ahead), self.late + self.groups * self.fewest)

    @property
    def groups(self) -> int:
        """Groups that there are at once."""
        raise NotImplementedError

    @property
    def fewest(self) -> int:
        """Tiles of queries that share a tile of keys, at least."""
        cut = self.cut
        return 1 if self.kernel.bands else cut.tiles % cut.group or cut.group

    @property
    def grouped(self) -> int:
        """Query rows of a group."""
        return min(self.group * self.m, self.kernel.rows)

    def loads(self, operand: str) -> bool:
        """Tell whether an operand comes from memory."""
        return self.arch.bounded and operand not in self.wish.on_chip

    def stored(self) -> bool:
        """Tell whether the output goes to memory."""
        return self.arch.bounded and "output" not in self.wish.on_chip

    def slots(self, groups: int) -> dict[str, int]:
        """Return how many slots each operand has, with `groups` groups at once."""
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the largest slot of each operand."""
        kernel, arch = self.kernel, self.arch
        return {
            "input": arch.bytes_of("input", self.grouped * kernel.size),
            "weight": arch.bytes_of("weight", self.n * max(kernel.size, kernel.value)),
            "output": self.steps.sums(self.grouped * (kernel.value + 2)),
            "intermediate": self.steps.sums(self.m * self.n),
        }  # fmt: skip

    def fits(self, groups: int = 1) -> bool:
        """Tell whether so many groups and the tiles on their way have room."""
        return not self.arch.bounded or capacities(self.arch, self.slots(groups), self.sizes())

    @property
    def least(self) -> int:
        """Groups that must fit beside each other."""
        return 1

    def grouped_most(self) -> Iterator[Self]:
        """Yield it with as many query tiles in a group as fit, if any do: a divisor of all, so groups are equal."""
        tiles = self.cut.tiles
        low = [size for size in range(1, isqrt(tiles) + 1) if tiles % size == 0]
        for size in sorted({*low, *(tiles // size for size in low)}, reverse=True):
            found = replace(self, group=size)
            if found.fits(self.least):
                yield found
                return

    def plan(self, body: Sequence[Node], fusion: Fusion) -> Plan:
        """Return the plan of these steps."""
        slots = tuple(self.slots(self.groups).items()) if self.arch.bounded else ()
        ahead = max(0, self.late_store - AHEAD)
        return Plan(self.kernel.name, self.kernel, "array", tuple(body), slots, fusion, ahead)

    def fusion(self, name: str, passes: int, scores: int, spilled: bool = False) -> Fusion:
        """Return the description of the mapping: `scores` are those that there are at once."""
        cut = self.cut
        return Fusion(name, self.m, self.n, self.group, cut.blocks, self.ahead, passes, self.steps.sums(scores),
                      cut.computed, spilled)  # fmt: skip

    @property
    def values_are(self) -> str:
        """What a tile knows its values by: "keys" where these are one tensor, and are brought once."""
        return "keys" if self.kernel.shared else "values"

    def right(self, keys: int, *names: str) -> tuple[list[Node], list[Node]]:
        """Return the loads of a tile of "keys" or "values" or of both, and what gives them back."""
        if not self.loads("weight"):
            return [], []
        width = {"keys": self.kernel.size, "values": self.kernel.value}
        loads: list[Node] = [
            Load("weight", self.arch.bytes_of("weight", keys * width[name]), (1, 1, keys, width[name]), makes=name,
                 room=self.sizes()["weight"])
            for name in names
        ]
        return loads, [Free("weight") for _ in names]

    def queries(self, tile: Tile) -> list[Node]:
        """Return the load of the queries of a tile, where it is the first that needs them."""
        if not (tile.first and self.loads("input")):
            return []
        size = self.arch.bytes_of("input", tile.rows * self.kernel.size)
        return [Load("input", size, (1, tile.rows, 1, self.kernel.size), makes="queries", claimed=True)]

    def opened(self, tile: Tile) -> list[Node]:
        """Return what the queries of a tile need before they meet their first keys: a load, a broadcast to arrays."""
        shared = self.steps.shared(tile, Order("shared", (("queries", 0),), LEAD)) if tile.first else []
        return [*self.queries(tile), *shared]

    def store(self, tile: Tile) -> list[Node]:
        """Return the store of the output of a tile's queries, where it is the last that adds to it."""
        if not (tile.last and self.stored()):
            return []
        size = self.arch.bytes_of("output", tile.rows * self.kernel.value)
        return [Store(size, (1, tile.rows, self.kernel.value, 1), order=Order("stored", (), self.late_store))]

    def room(self, body: Sequence[Node], *more: tuple[str, int, str]) -> list[Node]:
        """Return the steps of a group with the room that they need, of whole groups: its queries, sums and `more`.

        Each of `more` is (operand, bytes, the last ordered step that needs it); ordered steps know the room of sums as
        "room", that of others by the name of the operand.
        """
        if not self.arch.bounded:
            return list(body)
        sizes = self.sizes()
        claims: list[Node] = [Claim("input", sizes["input"], "place")] if self.loads("input") else []
        claims.append(Claim("output", sizes["output"], "room"))
        claims += [Claim(operand, size, operand) for operand, size, _ in more]
        frees: list[Node] = [Free("input", "scores")] if self.loads("input") else []
        frees += [Free(operand, last) for operand, _, last in more]
        return [*claims, *body, *frees, Free("output")]


def turn(nodes: Sequence[Node]) -> list[Node]:
    """Return the steps of a tile, the last ordered one of which ends a turn."""
    found = list(nodes)
    at = max(i for i, node in enumerate(found) if isinstance(node, Compute | Process | Store | Reduce))
    last = found[at]
    assert isinstance(last, Compute | Process | Store | Reduce) and last.order is not None  # all are ordered
    found[at] = replace(last, order=replace(last.order, turn=True))
    return found
