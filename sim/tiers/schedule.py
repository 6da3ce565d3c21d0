"""What comes from a tier when, in a run: which blocks were in memory, which are fetched on demand and which ahead.

Layers ask in order. What a layer asks for is there (a hit), on its way since a guess (prefetched), or fetched when
the layer's inputs are known (a miss). Guesses for the layer `ahead` go out behind the fetches of a layer itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from sim.arch import Arch, Tier
from sim.errors import CapacityError
from sim.frontend import Stage
from sim.layers import Task
from sim.plan import Fetch, Fill
from sim.tiers.cache import Cache
from sim.tiers.uses import Block, Matrix, Use, uses


@dataclass(frozen=True)
class Order:
    """One matrix of a block that is fetched for stage `matrix.stage`; the places of `victims` must be free first."""

    tier: str
    block: Block
    matrix: Matrix
    fetch: Fetch
    fill: Fill
    victims: tuple[Block, ...]
    asked: bool
    """Whether its stage reads it, or it was guessed in vain."""


@dataclass
class Tally:
    """How often layers asked for a block, and how they found it."""

    asked: int = 0
    hits: int = 0
    prefetched: int = 0
    misses: int = 0
    guesses: int = 0
    """Blocks fetched ahead, those that nobody asked for included."""

    def figures(self) -> dict[str, Any]:
        """Return the counts with the share of blocks that were there or on their way."""
        there = self.hits + self.prefetched
        return {
            "accesses": self.asked, "hits": self.hits, "prefetched": self.prefetched, "misses": self.misses,
            "fetched_ahead": self.guesses, "hit_rate": self.hits / self.asked if self.asked else 0.0,
            "found_rate": there / self.asked if self.asked else 0.0,
        }  # fmt: skip


@dataclass
class Schedule:
    """The fetches of a run, by the stage with which they go out, and what each stage reads of the tiers."""

    orders: dict[int, list[Order]] = field(default_factory=dict)
    reads: dict[int, Matrix] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    caches: dict[str, int] = field(default_factory=dict)
    """Bytes of memory that the blocks of each tier take at once, at most."""
    tier_of: dict[int, str] = field(default_factory=dict)

    def by_layer(self) -> dict[int, dict[str, int]]:
        """Return the bytes that are fetched for each layer, by tier."""
        found: dict[int, dict[str, int]] = {}
        for order in (order for orders in self.orders.values() for order in orders):
            place = found.setdefault(order.matrix.layer, {})
            place[order.tier] = place.get(order.tier, 0) + order.fetch.bytes
        return found


def schedule(chip: Arch, tasks: Sequence[Task], stages: Sequence[Stage]) -> Schedule | None:
    """Return what comes from the tiers of `chip`; None where it has none, or no limits.

    The first tier that holds a layer's weights has them. CapacityError where a cache does not hold what one layer
    reads in a run.
    """
    if not chip.tiers or not chip.bounded:
        return None
    found = Schedule()
    for name, tier in chip.tiers.items():
        held = uses(chip, tier, tasks, stages, {matrix.layer for matrix in found.reads.values()})
        shares = len(held) if tier.shares == "layers" else 1
        for use in held:
            _check(name, tier, use, shares)
            found.reads |= {matrix.stage: matrix for matrix in use.matrices}
            found.tier_of |= {matrix.stage: name for matrix in use.matrices}
        if held:
            _Walk(name, tier, held, found).all()
    return found


def _check(name: str, tier: Tier, use: Use, shares: int) -> None:
    if use.most > (share := tier.cache // shares):
        what = f"what '{use.name}' reads of tier '{name}' in a run"
        where = "its part of the cache in memory" if tier.shares == "layers" else "the cache in memory"
        way_out = f"--set tiers.{name}.cache={use.most * shares}B would do, or fewer tokens at once"
        raise CapacityError(what, where, use.most, share, way_out)


class _Walk:
    """The runs that a tier's cache sees, one after the other; the last is the one that is simulated."""

    def __init__(self, name: str, tier: Tier, held: Sequence[Use], found: Schedule) -> None:
        self.name, self.tier, self.uses, self.found = name, tier, held, found
        self.turns: dict[Block, list[int]] = {}
        for run in range(tier.history + 1):
            for index, use in enumerate(held):
                for block in use.runs[run]:
                    self.turns.setdefault(block, []).append(run * len(held) + index)
        apart = tier.shares == "layers"
        parts = [[use] for use in held] if apart else [list(held)]
        caches = [self._cache(part, tier.cache // len(parts)) for part in parts]
        self.caches = caches if apart else caches * len(held)
        """The cache of each layer."""
        self.guess = np.random.default_rng(tier.prefetch.seed)
        self.before, self.now = Tally(), Tally()
        self.expected: dict[Block, int] = {}
        """Blocks that a layer to come was guessed to ask for, with its number."""
        self.ahead: set[Block] = set()
        """Those of them that were fetched for that, and not asked for yet."""
        self.turn = self.bytes = 0
        self.steps: dict[int, tuple[Fetch, Fill]] = {}

    def all(self) -> None:
        """Go through all runs, and note what is fetched in the last."""
        for run in range(self.tier.history + 1):
            self.expected, self.ahead = {}, set()
            for index in range(len(self.uses)):
                self.turn = run * len(self.uses) + index
                self._use(run, index)
        tier, peak = self.tier, sum(cache.peak for cache in dict.fromkeys(self.caches))
        history = {"runs": tier.history, **self.before.figures()} if tier.history else {}
        self.found.caches[self.name] = peak
        self.found.figures[self.name] = {
            "holds": tier.holds, "policy": tier.policy, "cache_bytes": tier.cache, "cache_peak_bytes": peak,
            **self.now.figures(), "read_bytes": self.bytes, "history": history,
        }  # fmt: skip

    def _use(self, run: int, index: int) -> None:
        """Let a layer ask for its blocks; fetch what is not there, and what later layers are guessed to ask for."""
        use, cache = self.uses[index], self.caches[index]
        blocks = use.runs[run]
        tally = self.now if run == self.tier.history else self.before
        asked, missing = frozenset(blocks), dict[Block, tuple[Block, ...]]()
        for block in blocks:
            tally.asked += 1
            if block not in cache:
                missing[block] = self._make_room(block, cache, use, asked)
                tally.misses += 1
            elif block in self.ahead:
                tally.prefetched += 1
            else:
                tally.hits += 1
            self.ahead.discard(block)
            cache.touch(block)
        self.expected = {block: target for block, target in self.expected.items() if target > index}
        self.ahead &= self.expected.keys()
        self._order(run, use, use, missing, asked)
        reach = self.tier.prefetch.ahead
        for target in range(index + 1 if not index else index + reach, index + reach + 1) if reach else ():
            if target < len(self.uses):
                self._fetch_ahead(run, use, target, asked, tally)

    def _make_room(self, block: Block, cache: Cache, use: Use, asked: frozenset[Block]) -> tuple[Block, ...]:
        """Hold a block that a layer asks for; return who made room: guesses too, where nobody else can."""
        victims = cache.add(block, use.sizes[block], asked | self.expected.keys())
        if victims is None:
            victims = cache.add(block, use.sizes[block], asked)
        assert victims is not None  # a cache holds all that a layer asks for
        return tuple(victims)

    def _fetch_ahead(self, run: int, use: Use, target: int, asked: frozenset[Block], tally: Tally) -> None:
        """Fetch what the layer `target` is guessed to ask for, as far as there is room."""
        later, cache = self.uses[target], self.caches[target]
        guessed = self._guessed(later, run)
        self.expected |= dict.fromkeys(guessed, target)
        fetched = dict[Block, tuple[Block, ...]]()
        for block in guessed:
            if block not in cache:
                victims = cache.add(block, later.sizes.get(block, later.size), asked | self.expected.keys())
                if victims is not None:
                    fetched[block] = tuple(victims)
                    self.ahead.add(block)
                    tally.guesses += 1
        self._order(run, use, later, fetched, frozenset(later.runs[run]))

    def _guessed(self, use: Use, run: int) -> list[Block]:
        """Return the blocks that a layer is guessed to ask for: each right by chance, or one that it will not."""
        right = list(dict.fromkeys(use.runs[run]))
        others = [(use.name, slice_) for slice_ in range(use.experts) if (use.name, slice_) not in right]
        wrong = [others[i] for i in self.guess.permutation(len(others))[: len(right)]]
        accuracy = self.tier.prefetch.accuracy
        luck = self.guess.random(len(right)) < accuracy
        return [
            block if lucky or not wrong else wrong[i % len(wrong)]
            for i, (block, lucky) in enumerate(zip(right, luck, strict=True))
        ]

    def _order(
        self, run: int, use: Use, later: Use, fetched: dict[Block, tuple[Block, ...]], asked: frozenset[Block]
    ) -> None:
        """Note the fetches that go out with `use` for `later`: all blocks of its first matrix, then of the next."""
        if run < self.tier.history:
            return
        orders = self.found.orders.setdefault(use.matrices[0].stage, [])
        for block, matrix in _needs(later, list(fetched), asked):
            size, victims = matrix.bytes, fetched[block]
            self.bytes += size
            fetch, fill = self.steps.setdefault(size, (Fetch(size), Fill(size)))
            orders.append(Order(self.name, block, matrix, fetch, fill, victims, block in asked))

    def _next_use(self, block: Block) -> float:
        """Return the turn in which a block is needed next."""
        turns = self.turns.get(block, [])
        place = bisect_right(turns, self.turn)
        return turns[place] if place < len(turns) else inf

    def _cache(self, held: Sequence[Use], room: int) -> Cache:
        return Cache(room, self.tier.policy, self._fixed(held, room), self._next_use)

    def _fixed(self, held: Sequence[Use], room: int) -> frozenset[Block]:
        """Return the blocks that stay for good, where the policy is that: the first, as far as others can pass by."""
        if self.tier.policy != "pinned":
            return frozenset()
        sizes = {block: use.sizes[block] for use in held for run in use.runs for block in run}
        if sum(sizes.values()) <= room:
            return frozenset(sizes)
        passing = 1 if self.tier.shares == "layers" else self.tier.prefetch.ahead + 1
        room -= passing * max(use.most for use in held)
        found = set[Block]()
        for block in sorted(sizes, key=lambda block: self.turns[block][0]):
            if sizes[block] <= room:
                found.add(block)
                room -= sizes[block]
        return frozenset(found)


def _needs(use: Use, fetched: Iterable[Block], asked: frozenset[Block]) -> Iterator[tuple[Block, Matrix]]:
    """Yield which matrices of which blocks are fetched; of a block in vain, one of each layer."""
    seen = set[tuple[Block, int]]()
    for matrix in use.matrices:
        for block in fetched:
            vain = block not in asked
            if (vain or block in matrix.blocks) and (block, matrix.layer) not in seen:
                seen.add((block, matrix.layer))
                yield block, matrix
