"""The parts that every softmax attention is made of: scores, masked softmax, weighted values.

Scores are kept as (batch, heads, scored): the scored pairs of each piece of the mask behind each other. Query
heads that share keys and values lie behind each other in the rows of one product, so that these are read once
for all of them. Keys and values are the right operands, and are booked as `kv`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from sim import lanes
from sim.kernel import Contraction, Kernel
from sim.op import Array, Op, Shape
from sim.ops._masks import Mask, pieces
from sim.ops._vector import work


class AttentionPart(Op):
    """What the parts share: how many heads, which keys each query sees, and keys that are there already."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    mask: Mask
    heads: int
    kv_heads: int
    past: int = 0
    """Tokens in the cache before these ones."""
    cache: bool = False
    """Whether the new keys and values join a cache."""

    @property
    def sharing(self) -> int:
        """Query heads a key and value head."""
        return self.heads // self.kv_heads

    def _pieces(self, batch: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (groups, rows, keys, hidden products for each element of a head) of each piece."""
        for piece in pieces(self.mask):
            groups = batch * self.kv_heads * piece.count
            hidden = piece.count * piece.queries * piece.keys - piece.seen
            yield groups, self.sharing * piece.queries, piece.keys, batch * self.heads * hidden

    def _cache(self, new: Shape) -> Shape:
        return (new[0], self.past, new[2])

    def _with_cache(self, new: Array, weights: Mapping[str, Array]) -> Array:
        """Return old and new keys (or values) as (batch, kv_heads, keys, size)."""
        whole = np.concatenate([weights["cache"], new], axis=1) if self.past else new
        return whole.reshape(*whole.shape[:2], self.kv_heads, -1).swapaxes(1, 2)

    def cached(self) -> tuple[int, ...]:
        """Return the keys or values, where they join a cache."""
        return (1,) if self.cache else ()

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the cache of keys or values, (batch, past, kv_heads · size)."""
        return {"cache": self._cache(inputs[1])} if self.past else {}


class Scores(AttentionPart):
    """query · keyᵀ for each head, from (batch, n, heads · e) and (batch, m, kv_heads · e)."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, heads, scored pairs)."""
        return ((inputs[0][0], self.heads, self.mask.scored),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction a piece: a group for each block of each key head, its queries as rows."""
        size = inputs[0][2] // self.heads
        return tuple(
            Contraction("scores", keys, size, rows, groups, right_is="kv", hidden=hidden * size)
            for groups, rows, keys, hidden in self._pieces(inputs[0][0])
        )

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the scores."""
        pairs = self.operands(inputs, weights)
        return (self.assemble([left @ right for left, right in pairs], [array.shape for array in inputs]),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the queries of each block, those of heads that share keys behind each other, and its keys."""
        queries, keys = inputs[0], self._with_cache(inputs[1], weights)
        batch, count = queries.shape[:2]
        queries = queries.reshape(batch, count, self.kv_heads, self.sharing, -1)
        found = []
        for mine, theirs, _ in self.mask.indices():
            left = queries[:, mine].transpose(0, 3, 1, 4, 2, 5)
            left = left.reshape(-1, self.sharing * mine.shape[1], left.shape[-1])
            right = keys[:, :, theirs].swapaxes(-1, -2)
            found.append((left, right.reshape(-1, *right.shape[-2:])))
        return found

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return the scores of all pieces behind each other."""
        batch, parts = inputs[0][0], []
        for product, piece in zip(products, pieces(self.mask), strict=True):
            shape = (batch, self.kv_heads, piece.count, self.sharing, piece.queries, piece.keys)
            parts.append(product.reshape(shape).swapaxes(2, 3).reshape(batch, self.heads, -1))
        return np.concatenate(parts, axis=-1)


class MaskedSoftmax(AttentionPart):
    """softmax(scores · scale + bias) over the keys that each query sees; hidden pairs become 0."""

    scale: float
    bias_entries: int = 0
    """Entries a head of a table of position biases, one of which is added to each score."""
    bias_tied: bool = False
    """Whether the table is another layer's."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the scores."""
        return (inputs[0],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the table of biases, (entries, heads)."""
        return {"bias": (self.bias_entries, self.heads)} if self.bias_entries else {}

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """Return the entries of the table, whoever's it is."""
        return self.bias_entries * self.heads

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return the entries of the table where it is this layer's."""
        return 0 if self.bias_tied else self.gathered(inputs)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return, for a row of n seen keys: n products with the scale, n-1 max, 2n-1 add, n exp, n divisions.

        A bias adds n more additions. Hidden pairs are read and written (as 0), and cost nothing else.
        """
        rows = inputs[0][0] * self.heads
        seen = rows * self.mask.seen
        singles = rows * self.mask.queries
        add = 2 * seen - singles + (seen if self.bias_entries else 0)
        weights = self.gathered(inputs)
        return work("softmax", inputs, inputs, weights, mul=seen, max=seen - singles, add=add, exp=seen, div=seen)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the weights of the values."""
        at, parts = 0, []
        for mine, theirs, seen in self.mask.indices():
            shape = (*inputs[0].shape[:2], *mine.shape, theirs.shape[1])
            scores = inputs[0][..., at : at + seen.size].reshape(shape) * self.scale
            if self.bias_entries:
                entry = (mine[:, :, None] - theirs[:, None, :]) % self.bias_entries
                scores = scores + np.moveaxis(weights["bias"][entry], -1, 0)
            scores = np.where(seen, scores, -np.inf)
            shifted = lanes.exp(scores - scores.max(axis=-1, keepdims=True))
            parts.append(lanes.divide(shifted, shifted.sum(axis=-1, keepdims=True)).reshape(*shape[:2], -1))
            at += seen.size
        return (np.concatenate(parts, axis=-1),)


class Values(AttentionPart):
    """weights · values for each head, as (batch, n, heads · f)."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    size: int | None = None
    """How many of the leading elements of each key are its value; none: all of what is given."""

    def _size(self, values: Shape) -> int:
        return self.size or values[2] // self.kv_heads

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, n, heads · f)."""
        return ((inputs[0][0], self.mask.queries, self.heads * self._size(inputs[1])),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction a piece, as the scores have."""
        size = self._size(inputs[1])
        return tuple(
            Contraction("values", size, keys, rows, groups, right_is="kv", hidden=hidden * size)
            for groups, rows, keys, hidden in self._pieces(inputs[0][0])
        )

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the weighted sums of the values."""
        pairs = self.operands(inputs, weights)
        return (self.assemble([left @ right for left, right in pairs], [array.shape for array in inputs]),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the weights of each block, rows as in the scores, and its values."""
        values = self._with_cache(inputs[1], weights)[..., : self._size(inputs[1].shape)]
        batch, at, found = inputs[0].shape[0], 0, []
        for mine, theirs, seen in self.mask.indices():
            shape = (batch, self.kv_heads, self.sharing, *mine.shape, theirs.shape[1])
            left = inputs[0][..., at : at + seen.size].reshape(shape).swapaxes(2, 3)
            right = values[:, :, theirs]
            left = left.reshape(-1, self.sharing * mine.shape[1], theirs.shape[1])
            found.append((left, right.reshape(-1, *right.shape[-2:])))
            at += seen.size
        return found

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return the sums in the order of the queries."""
        batch, size = inputs[0][0], self._size(inputs[1])
        result = np.zeros((batch, self.mask.queries, self.kv_heads, self.sharing, size), products[0].dtype)
        for product, (mine, _, _) in zip(products, self.mask.indices(), strict=True):
            shape = (batch, self.kv_heads, mine.shape[0], self.sharing, mine.shape[1], size)
            result[:, mine] = product.reshape(shape).transpose(0, 2, 4, 1, 3, 5)
        return result.reshape(batch, self.mask.queries, -1)


def default_scale(size: int) -> float:
    """Return 1 / sqrt(size) (Vaswani et al., NeurIPS 2017)."""
    return 1 / sqrt(size)
