"""Softmax attention: multi-head, multi-query, grouped-query; self or cross; causal and windowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from sim.op import Array, Compound, Part, Shape, op
from sim.ops._attention import MaskedSoftmax, Scores, Values, default_scale
from sim.ops._masks import Mask, Sight
from sim.ops._spatial import Count, Sizes


@op("attention")
class Attention(Compound):
    """softmax(q · kᵀ · scale) · v for each head, from q (batch, n, heads · e), k (batch, m, kv_heads · e),
    v (batch, m, kv_heads · f), to (batch, n, heads · f).

    Multi-query has one key and value head, grouped-query fewer than heads, cross attention its own m.
    `past` tokens are in the cache already; `cache` says that the new keys and values join it.
    """

    arity: ClassVar[tuple[int, int | None]] = (3, 3)

    heads: Count = Field(description="heads of the queries")
    kv_heads: Count | None = Field(None, description="heads of keys and values; as many as of queries by default")
    causal: bool = Field(False, description="whether a query sees no keys behind its own")
    window: Sizes | None = Field(None, description="keys along each axis that a query sees: see `kind`")
    kind: Literal["sliding", "local", "blocked", "neighbourhood"] = Field(
        "sliding", description="sliding: the last keys up to its own; local: half on each side; blocked, "
        "neighbourhood: windows on the grid"
    )  # fmt: skip
    grid: Sizes | None = Field(None, description="positions along each axis, where tokens lie on an image or a volume")
    block: Sizes | None = Field(
        None, description="queries along each axis that are scored together, against the keys that any of them sees; "
        "all of them, or a window's worth, by default"
    )  # fmt: skip
    scale: Annotated[float, Field(gt=0)] | None = Field(None, description="factor of the scores; 1/sqrt(e) by default")
    past: int = Field(0, ge=0, description="tokens that are in the cache already")
    cache: bool = Field(False, description="whether the new keys and values join the cache")
    bias_entries: int = Field(0, ge=0, description="entries a head of a learned table of relative position biases")
    bias_tied: bool = Field(False, description="whether that table is another layer's, and counts there")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, n, heads · f); ValueError where heads do not divide, or lengths do not fit."""
        queries, keys, values = inputs
        if any(len(shape) != 3 for shape in inputs):
            raise ValueError(f"needs queries, keys and values of (batch, tokens, features), not {inputs}")
        shared = self.kv_heads or self.heads
        if self.heads % shared:
            raise ValueError(f"{shared} key and value heads do not divide {self.heads} heads")
        for what, features, heads in (("query", queries[2], self.heads), ("key", keys[2], shared),
                                      ("value", values[2], shared)):  # fmt: skip
            if features % heads:
                raise ValueError(f"{heads} heads do not divide {features} {what} features")
        if queries[2] // self.heads != keys[2] // shared:
            raise ValueError(
                f"queries have heads of {queries[2] // self.heads} features, keys of {keys[2] // shared}"
            )
        if keys[:2] != values[:2] or queries[0] != keys[0]:
            raise ValueError(f"queries {queries}, keys {keys} and values {values} do not belong together")
        self.mask(queries[1], keys[1])
        return ((*queries[:2], self.heads * (values[2] // shared)),)

    def mask(self, queries: int, new_keys: int) -> Mask:
        """Return which keys each query sees; ValueError where window, grid or causality do not fit the lengths."""
        keys = self.past + new_keys
        if self.window is None:
            if self.grid is not None:
                raise ValueError("grid needs a window")
            if self.causal and queries > keys:
                raise ValueError(f"causal attention of {queries} queries needs as many keys, not {keys}")
            axis = Sight("causal" if self.causal else "full", queries, keys)
            return Mask((axis,), _per_axis(self.block, 1, "block") or (queries,))
        return self._windowed(queries, keys)

    def _windowed(self, queries: int, keys: int) -> Mask:
        if self.causal != (self.kind == "sliding"):
            needs = "causal: true" if self.kind == "sliding" else "causal: false"
            raise ValueError(f"a {self.kind} window needs {needs}")
        if self.grid is None:
            sizes = [(queries, keys)]
        else:
            grid = _per_axis(self.grid, 1, "grid") or ()
            if prod(grid) != queries or queries != keys:
                raise ValueError(f"grid {grid} does not hold {queries} queries and {keys} keys")
            sizes = [(size, size) for size in grid]
        if queries > keys or (queries != keys and self.kind != "sliding"):
            raise ValueError(f"a {self.kind} window needs as many queries as keys, not {queries} and {keys}")
        window = _per_axis(self.window, len(sizes), "window") or ()
        axes = tuple(Sight(self.kind, q, k, w) for (q, k), w in zip(sizes, window, strict=True))
        chosen = _per_axis(self.block, len(sizes), "block") or window
        if self.kind == "blocked" and any(w % b for w, b in zip(window, chosen, strict=True)):
            raise ValueError(f"block {chosen} does not divide the window {window}")
        return Mask(axes, tuple(min(b, axis.queries) for b, axis in zip(chosen, axes, strict=True)))

    def parts(self, inputs: Sequence[Shape]) -> tuple[Part, ...]:
        """Return scores, softmax and values, unfused."""
        queries, keys, _ = inputs
        shared = dict[str, Any](
            mask=self.mask(queries[1], keys[1]), heads=self.heads, kv_heads=self.kv_heads or self.heads
        )
        scale = self.scale or default_scale(queries[2] // self.heads)
        softmax = MaskedSoftmax(**shared, scale=scale, bias_entries=self.bias_entries, bias_tied=self.bias_tied)
        return (
            Part("scores", "scores", Scores(**shared, past=self.past, cache=self.cache), (0, 1)),
            Part("softmax", "softmax", softmax, ("scores",)),
            Part("values", "values", Values(**shared, past=self.past, cache=self.cache), ("softmax", 2)),
        )

    def cache_elements(self, inputs: Sequence[Shape]) -> int:
        """Return the elements of a key and a value of all key and value heads."""
        return inputs[1][2] + inputs[2][2] if self.cache else 0

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return attention by the textbook: the whole matrix of scores, -infinity where hidden."""
        queries = _heads(inputs[0], self.heads)
        shared = self.kv_heads or self.heads
        keys, values = (
            np.repeat(_heads(_grown(x, weights.get(f"{part}.cache")), shared), self.heads // shared, axis=1)
            for x, part in zip(inputs[1:], ("scores", "values"), strict=True)
        )
        scores = queries @ keys.swapaxes(-1, -2) * (self.scale or default_scale(queries.shape[-1]))
        mask = self.mask(inputs[0].shape[1], inputs[1].shape[1])
        if self.bias_entries:
            apart = np.subtract.outer(np.arange(mask.queries), np.arange(mask.keys)) % self.bias_entries
            scores = scores + weights["softmax.bias"][apart].transpose(2, 0, 1)
        scores = np.where(visible(mask), scores, -np.inf)
        exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
        result = exponentials / exponentials.sum(axis=-1, keepdims=True) @ values
        return (result.swapaxes(1, 2).reshape(*inputs[0].shape[:2], -1),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return multi-head, grouped causal with a cache, cross multi-query, and every kind of window."""
        return [
            (cls(heads=2), ((2, 3, 4), (2, 3, 4), (2, 3, 6))),
            (cls(heads=4, kv_heads=2, causal=True, past=3, cache=True), ((1, 2, 8), (1, 2, 4), (1, 2, 4))),
            (cls(heads=2, kv_heads=1), ((1, 3, 4), (1, 5, 2), (1, 5, 2))),
            (cls(heads=1, causal=True, block=2), ((1, 5, 2), (1, 5, 2), (1, 5, 2))),
            (cls(heads=1, causal=True, window=3, past=2), ((1, 5, 2), (1, 5, 2), (1, 5, 2))),
            (cls(heads=1, window=3, kind="local"), ((1, 7, 2), (1, 7, 2), (1, 7, 2))),
            (cls(heads=1, window=2, kind="blocked", grid=(4, 3), bias_entries=9), ((1, 12, 2),) * 3),
            (cls(heads=2, window=(3, 3), kind="neighbourhood", grid=(4, 5), block=2), ((1, 20, 4),) * 3),
        ]


def visible(mask: Mask) -> Any:
    """Return which keys each query sees, as a matrix, from the intervals alone."""
    seen = np.ones((1, 1), bool)
    for axis in mask.axes:
        starts, stops = axis.intervals()
        at = np.arange(axis.keys)
        seen = np.kron(seen, (at >= starts[:, None]) & (at < stops[:, None]))
    return seen


def _heads(x: Array, heads: int) -> Array:
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def _grown(new: Array, cache: Array | None) -> Array:
    return new if cache is None else np.concatenate([cache, new], axis=1)


def _per_axis(value: Any, axes: int, what: str) -> tuple[int, ...] | None:
    """Return one value an axis; a single one stands for all of them."""
    if value is None:
        return None
    if isinstance(value, int):
        return (value,) * axes
    if axes > 1 and len(value) != axes:
        raise ValueError(f"{what} {value} needs one size for each of {axes} axes")
    return tuple(value)
