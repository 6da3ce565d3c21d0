"""What a plan of attention means: its steps carried out on numbers, in program order and without time.

Steps may use only what earlier ones brought or made, and what was not given back. A plan that forgets a load, uses
another tile's values, adds a tile twice or stores what is not complete is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import lanes
from sim.arch import Arch
from sim.errors import MappingError
from sim.kernel import Attention, Band
from sim.plan import START, Claim, Compute, Free, Fusion, Load, Loop, Node, Plan, Position, Process, Store

Array = NDArray[Any]
Key = tuple[int, int, int]
"""Head, first query row, first key of a tile."""


@dataclass
class Tile:
    """A tile of scores, and what was made of it."""

    scores: Array
    on_chip: bool = True
    max: Array = field(default_factory=lambda: np.zeros(0))
    factor: Array = field(default_factory=lambda: np.zeros(0))
    sum: Array = field(default_factory=lambda: np.zeros(0))
    values: Array | None = None


def execute_attention(
    plan: Plan, queries: Array, keys: Array, values: Array, arch: Arch, on_chip: frozenset[str] = frozenset()
) -> Array:
    """Return what the plan computes: softmax(Q · Kᵀ) · V, shape (heads, rows, value), in float64.

    Shapes: queries (heads, rows, size), keys (heads, keys, size), values (heads, keys, value); where keys and values
    are one tensor, values are read from the keys. Operands in `on_chip` need no transfer. MappingError where the plan
    uses what is not there, or ends before all outputs are.
    """
    machine = Machine(plan, (queries, keys, values), arch, on_chip)
    functions = arch.vector.functions if arch.vector else {}
    with np.errstate(invalid="ignore"), lanes.using(functions):  # -infinity less -infinity, see _exp
        machine.run(plan.body, START)
    return machine.end()


def hidden(kernel: Attention) -> Array:
    """Return which keys each row does not see, (rows, keys)."""
    seen = np.zeros((kernel.rows, kernel.keys), bool)
    at = 0
    for band in kernel.bands or (Band(kernel.rows, 0, kernel.keys),):
        for row in range(band.rows):
            seen[at + row, band.start + row * band.start_step : band.stop + row * band.stop_step] = True
        at += band.rows
    return ~seen


class Machine:
    """What is on chip, what is in memory, and the sums of every query row."""

    def __init__(
        self, plan: Plan, operands: tuple[Array, Array, Array], arch: Arch, on_chip: frozenset[str]
    ) -> None:
        assert isinstance(plan.kernel, Attention) and isinstance(plan.mapping, Fusion)  # its caller says so
        self.plan, self.kernel, self.fusion, self.arch = plan, plan.kernel, plan.mapping, arch
        self.far = {"input", "weight", "output"} - on_chip if arch.bounded else set[str]()
        self.memory = dict(zip(("queries", "keys", "values"), operands, strict=True))
        if self.kernel.shared:
            self.memory["values"] = self.memory["keys"][..., : self.kernel.value]
        shape = (self.kernel.heads, self.kernel.rows)
        self.loaded = {name: np.zeros(operand.shape[:2], bool) for name, operand in self.memory.items()}
        self.brought: dict[str, list[Callable[[], None]]] = {}
        self.hidden = hidden(self.kernel)
        self.most, self.sums = np.full(shape, -np.inf), np.zeros(shape)
        self.total = np.zeros((*shape, self.kernel.value))
        self.added = np.zeros((*shape, self.kernel.keys), bool)
        self.done = np.full(self.total.shape, np.nan)
        self.results = np.full(self.total.shape, np.nan)
        self.tiles: dict[Key, Tile] = {}
        self.spilled = np.full((self.kernel.heads * self.kernel.rows, self.kernel.keys), np.nan)

    def run(self, nodes: tuple[Node, ...], at: Position) -> None:
        """Carry out the steps of a body, loops unrolled."""
        for node in nodes:
            if isinstance(node, Loop):
                for index in range(node.count):
                    self.run(node.body, node.at(index, at))
            elif isinstance(node, Compute | Process):
                for name in node.order.does if node.order else ():
                    getattr(self, f"_{name}")(self.key(at), node.extent if isinstance(node, Compute) else None)
            elif isinstance(node, Load):
                self.load(node, at)
            elif isinstance(node, Store):
                self.store(node, at)
            elif isinstance(node, Free):
                self.free(node)
            elif isinstance(node, Claim):
                self.brought.setdefault(node.operand, []).append(_nothing)

    def key(self, at: Position) -> Key:
        """Return head, first row and first key of where the loops stand."""
        head, block = divmod(at["g"], self.fusion.blocks)
        return head, block * self.fusion.group * self.fusion.m + at["m"], at["n"]

    def load(self, step: Load, at: Position) -> None:
        """Bring queries, keys, values or scores on chip."""
        head, row, key = self.key(at)
        _, rows, keys, _ = step.extent
        if step.operand == "intermediate":
            scores = self.spilled[self.flat(head, row, rows), key : key + keys].copy()
            if np.isnan(scores).any():
                raise self.wrong("loads scores that were not stored", (head, row, key))
            tile = self.tiles.setdefault((head, row, key), Tile(scores))
            tile.scores, tile.on_chip = scores, True
            return
        there = self.loaded[step.makes]
        place = (head, slice(row, row + rows)) if step.makes == "queries" else (head, slice(key, key + keys))
        there[place] = True
        if not step.claimed:
            self.brought.setdefault(step.operand, []).append(lambda: there.__setitem__(place, False))

    def flat(self, head: int, row: int, rows: int) -> slice:
        """Return the rows of the matrix of all scores that some queries have."""
        first = head * self.kernel.rows + row
        return slice(first, first + rows)

    def store(self, step: Store, at: Position) -> None:
        """Write finished outputs to memory, or scores that are read again."""
        head, row, key = self.key(at)
        _, rows, keys, _ = step.extent
        if step.partial:
            tile = self.tile((head, row, key))
            self.spilled[self.flat(head, row, rows), key : key + keys] = tile.scores
            tile.on_chip = False
            return
        place = head, slice(row, row + rows)
        if np.isnan(self.done[place]).any():
            raise self.wrong("stores outputs before they are complete", (head, row, key))
        self.results[place] = self.done[place]

    def free(self, step: Free) -> None:
        """Give the oldest tile of an operand back."""
        if self.brought.get(step.operand):
            self.brought[step.operand].pop(0)()

    def end(self) -> Array:
        """Return the outputs, all of which must be there."""
        found = self.results if "output" in self.far else self.done
        if np.isnan(found).any():
            raise MappingError(f"{self.plan.name}: ends with {int(np.isnan(found).sum())} outputs missing")
        return found

    def tile(self, key: Key) -> Tile:
        """Return a tile of scores that is on chip."""
        tile = self.tiles.get(key)
        if tile is None or not tile.on_chip:
            raise self.wrong("needs scores that are not on chip", key)
        return tile

    def rows(self, key: Key) -> tuple[int, slice]:
        """Return the place of a tile's queries."""
        return key[0], slice(key[1], key[1] + self.tiles[key].scores.shape[0])

    def wrong(self, message: str, key: Key) -> MappingError:
        """Return an error that says where it happened."""
        return MappingError(f"{self.plan.name} at head {key[0]}, query {key[1]}, key {key[2]}: {message}")

    def there(self, name: str, place: tuple[int, slice], key: Key) -> Array:
        """Return an operand, which must be on chip where memory has limits."""
        far = {"queries": "input"}.get(name, "weight") in self.far
        both = name == "values" and self.kernel.shared and self.loaded["keys"][place].all()
        if far and not both and not self.loaded[name][place].all():
            raise self.wrong(f"reads {name} that are not on chip", key)
        return np.asarray(self.memory[name][place])

    def _scores(self, key: Key, extent: Any) -> None:
        head, row, first = key
        _, rows, keys, _ = extent
        place = slice(row, row + rows), slice(first, first + keys)
        left, right = self.there("queries", (head, place[0]), key), self.there("keys", (head, place[1]), key)
        if key in self.tiles:
            raise self.wrong("makes scores twice", key)
        self.tiles[key] = Tile(np.where(self.hidden[place], -np.inf, left @ right.T))

    def _local_max(self, key: Key, _: Any) -> None:
        self.tile(key).max = self.tile(key).scores.max(axis=1)

    def _running_max(self, key: Key, _: Any) -> None:
        tile, place = self.tile(key), self.rows(key)
        most = np.maximum(self.most[place], tile.max)
        tile.factor = _exp(self.most[place] - most)
        self.most[place] = most

    def _rescale(self, key: Key, _: Any) -> None:
        tile, place = self.tiles[key], self.rows(key)
        self.sums[place] *= tile.factor
        self.total[place] *= tile.factor[:, None]

    def _exponentials(self, key: Key, _: Any) -> None:
        tile = self.tile(key)
        in_place = self.arch.array is not None and bool(self.arch.array.in_place)
        with lanes.using({}) if in_place else nullcontext():  # PEs have no methods of lanes
            tile.scores = _exp(tile.scores - self.most[self.rows(key)][:, None])

    def _local_sum(self, key: Key, _: Any) -> None:
        self.tile(key).sum = self.tile(key).scores.sum(axis=1)

    def _add_sum(self, key: Key, _: Any) -> None:
        self.sums[self.rows(key)] += self.tiles[key].sum

    def _divide(self, key: Key, _: Any) -> None:
        tile = self.tile(key)
        tile.scores = lanes.divide(tile.scores, self.sums[self.rows(key)][:, None])

    def _softmax(self, key: Key, _: Any) -> None:
        """Normalize the whole rows that were loaded last."""
        tile = self.tile(key)
        tile.scores = _exp(tile.scores - tile.scores.max(axis=1, keepdims=True))
        tile.scores = lanes.divide(tile.scores, tile.scores.sum(axis=1, keepdims=True))

    def _product(self, key: Key, _: Any) -> None:
        tile = self.tile(key)
        right = self.there("values", (key[0], slice(key[2], key[2] + tile.scores.shape[1])), key)
        tile.values = tile.scores @ right

    def _add_values(self, key: Key, _: Any) -> None:
        tile, (head, rows) = self.tiles[key], self.rows(key)
        seen = head, rows, slice(key[2], key[2] + tile.scores.shape[1])
        if tile.values is None or self.added[seen].any():
            raise self.wrong("adds values twice, or that are not there", key)
        self.added[seen] = True
        self.total[head, rows] += tile.values

    def _complete(self, key: Key) -> tuple[int, slice]:
        head, rows = self.rows(key)
        if (~self.added[head, rows] & ~self.hidden[rows]).any():
            raise self.wrong("ends sums before all tiles are in them", key)
        return head, rows

    def _divide_sums(self, key: Key, _: Any) -> None:
        place = self._complete(key)
        self.done[place] = lanes.divide(self.total[place], self.sums[place][:, None])

    def _leave(self, key: Key, _: Any) -> None:
        place = self._complete(key)
        self.done[place] = self.total[place]


def _nothing() -> None:
    """Places of sums and scores are given back without a trace: what is in them has been used or is refused."""


def _exp(x: Array) -> Array:
    """Return the exponential, 0 where nothing has been seen yet (-infinity less -infinity is no number)."""
    unknown = np.isnan(x)
    return np.asarray(np.where(unknown, 0.0, lanes.exp(np.where(unknown, 0.0, x))))
