"""The tree of a channel: its nodes by level, which banks are below a node, which nodes are beside it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul


class Hierarchy:
    """Levels from the channel to the bank; a node is a level and its number among all nodes of that level."""

    def __init__(self, levels: Sequence[str], counts: Sequence[int]) -> None:
        """Take the levels and how many of each are in one of the level above (1 for the channel)."""
        self.levels = tuple(levels)
        self.depth = {name: i for i, name in enumerate(levels)}
        self.fanout = tuple(counts)
        self.nodes: tuple[int, ...] = tuple(accumulate(counts, mul))
        self.banks = self.nodes[-1]

    def deepest(self, depth: int) -> int:
        """Return the deepest level that has as many nodes as the one at `depth`, so that its nodes are the same."""
        return max(each for each, count in enumerate(self.nodes) if count == self.nodes[depth])

    def inside(self, depth: int, node: int, deeper: int) -> range:
        """Return the nodes at depth `deeper` that are below (or are) `node` at `depth`."""
        each = self.nodes[deeper] // self.nodes[depth]
        return range(node * each, (node + 1) * each)

    def above(self, depth: int, node: int, higher: int) -> int:
        """Return the node at depth `higher` that `node` at `depth` is part of (or is)."""
        return node // (self.nodes[depth] // self.nodes[higher])

    def beside(self, depth: int, node: int) -> list[int]:
        """Return the other nodes at `depth` with the same parent."""
        fanout = self.fanout[depth]
        first = node - node % fanout
        return [other for other in range(first, first + fanout) if other != node]

    def numbers(self, depth: int, node: int) -> dict[str, int]:
        """Return the number of `node` within its parent and of each ancestor within its own, by level."""
        found = {}
        for each in range(depth, -1, -1):
            found[self.levels[each]] = node % self.fanout[each]
            node //= self.fanout[each]
        return found
