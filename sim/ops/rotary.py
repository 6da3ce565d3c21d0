"""Rotary position embedding of queries and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from pydantic import Field

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count
from sim.ops._vector import work


@op("rotary")
class Rotary(Op):
    """Turns each pair of features of each head by an angle that grows with the position (Su et al., 2021).

    Pairs are a feature of the first half of the turned ones and its neighbour in the second. Of each head the
    last `size` features are turned, else all of them; positions count from `past`.
    """

    heads: Count = Field(description="heads of the input")
    size: Count | None = Field(None, description="features of a head that are turned, the last ones; all by default")
    past: int = Field(0, ge=0, description="tokens before these ones")
    base: float = Field(10000.0, gt=0, description="of the speeds: a pair turns with base^(-2i/size)")

    def _turned(self, shape: Shape) -> int:
        return self.size or shape[-1] // self.heads

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input (batch, tokens, heads · size); ValueError where heads do not fit."""
        shape = inputs[0]
        if len(shape) != 3 or shape[-1] % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the last axis of {shape} (batch, tokens, features)")
        if self._turned(shape) > shape[-1] // self.heads or self._turned(shape) % 2:
            raise ValueError(f"cannot turn {self._turned(shape)} of {shape[-1] // self.heads} features in pairs")
        return (shape,)

    def constants(self, inputs: Sequence[Shape]) -> int:
        """Return the sines and cosines: one of each for a position and pair."""
        return inputs[0][1] * self._turned(inputs[0])

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return 2 products and 1 addition for each turned feature; sines and cosines are read from a table."""
        turned = prod(inputs[0][:2]) * self.heads * self._turned(inputs[0])
        return work("rotary", inputs, inputs, self.constants(inputs), mul=2 * turned, add=turned)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the turned input."""
        x = inputs[0].reshape(*inputs[0].shape[:2], self.heads, -1)
        size = self._turned(inputs[0].shape)
        kept, first, second = np.split(x, [x.shape[-1] - size, x.shape[-1] - size // 2], axis=-1)
        speed = self.base ** (-2 * np.arange(size // 2) / size)
        angle = ((np.arange(x.shape[1]) + self.past)[:, None] * speed)[:, None, :]
        turned = (first * np.cos(angle) - second * np.sin(angle), second * np.cos(angle) + first * np.sin(angle))
        return (np.concatenate([kept, *turned], axis=-1).reshape(inputs[0].shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on whole heads, and on a part of each behind a cache."""
        return [(cls(heads=2), ((2, 3, 8),)), (cls(heads=2, size=2, past=5), ((1, 2, 8),))]
