"""What memory keeps of a tier's blocks, and who makes room. No time in it: order alone decides."""

from __future__ import annotations

from collections.abc import Callable, Container
from heapq import heappop, heappush

from sim.tiers.uses import Block

Rank = tuple[float, int]
"""Who goes first: the least worth, and of equals the one used longest ago."""


class Cache:
    """Blocks in `capacity` bytes. `fixed` ones are never evicted.

    `next_use` tells how soon a block is needed again, counted in uses, where the policy may know it.
    """

    def __init__(
        self, capacity: int, policy: str, fixed: frozenset[Block] = frozenset(),
        next_use: Callable[[Block], float] = lambda block: 0.0,
    ) -> None:  # fmt: skip
        self.capacity, self.policy, self.fixed, self.next_use = capacity, policy, fixed, next_use
        self.held: dict[Block, int] = {}
        self.used = self.peak = self._turn = 0
        self._asked: dict[Block, int] = {}
        self._ranks: dict[Block, Rank] = {}
        self._heap: list[tuple[Rank, Block]] = []

    def __contains__(self, block: Block) -> bool:
        return block in self.held

    def touch(self, block: Block) -> None:
        """Note that a block which is held is used."""
        self._asked[block] = self._asked.get(block, 0) + 1
        self._rank(block)

    def add(self, block: Block, size: int, needed: Container[Block]) -> list[Block] | None:
        """Hold a block of `size` bytes; return those that made room, none of them `needed`; None where none can."""
        victims, spared, free = list[Block](), list[tuple[Rank, Block]](), self.capacity - self.used
        while free < size and self._heap:
            rank, oldest = heappop(self._heap)
            if self._ranks.get(oldest) != rank:
                continue  # it was used since
            if oldest in needed:
                spared.append((rank, oldest))
            else:
                victims.append(oldest)
                free += self.held[oldest]
        fits = free >= size
        for entry in spared if fits else [*spared, *((self._ranks[victim], victim) for victim in victims)]:
            heappush(self._heap, entry)
        if not fits:
            return None
        for victim in victims:
            self.used -= self.held.pop(victim)
            del self._ranks[victim]
        self.held[block] = size
        self.used += size
        self.peak = max(self.peak, self.used)
        self._rank(block)
        return victims

    def _rank(self, block: Block) -> None:
        """Place a block among the others as one used just now."""
        if block in self.fixed:
            return
        self._turn += 1
        worth = {"lfu": self._asked.get(block, 0), "belady": -self.next_use(block)}.get(self.policy, 0)
        self._ranks[block] = worth, self._turn
        heappush(self._heap, (self._ranks[block], block))
