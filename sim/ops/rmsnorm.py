"""Normalisation by the root mean square, of all features or of each head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, Self

from pydantic import Field

from sim import lanes
from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count
from sim.ops._vector import work


@op("rmsnorm")
class RmsNorm(Op):
    """x / sqrt(mean(x²) + eps) · weight over the last axis (Zhang and Sennrich, NeurIPS 2019).

    With `heads`, over each of so many equal parts of it, which share the weight, as on queries and keys.
    """

    tokenwise: ClassVar[bool] = True

    heads: Count = Field(1, description="equal parts of the features, each normalised on its own")
    eps: float = Field(1e-5, description="added to the mean square")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input; ValueError where the heads do not divide the last axis."""
        if len(inputs[0]) < 2 or inputs[0][-1] % self.heads:
            raise ValueError(f"{self.heads} heads do not divide the last axis of {inputs[0]}")
        return (inputs[0],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (features of a head,)."""
        return {"weight": (inputs[0][-1] // self.heads,)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return, for a row of n: n squares, n-1 additions, 1 product for the mean; eps, root, division for the
        factor; n products with it and n with the weight."""
        size = prod(inputs[0])
        n = inputs[0][-1] // self.heads
        rows = size // n
        return work("rmsnorm", inputs, inputs, n, mul=3 * size + rows, add=size, sqrt=rows, div=rows)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the normalised input."""
        x = inputs[0].reshape(*inputs[0].shape[:-1], self.heads, -1)
        factor = lanes.divide(1, lanes.sqrt((x**2).mean(axis=-1, keepdims=True) + self.eps))
        return ((x * factor * weights["weight"]).reshape(inputs[0].shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it over all features, and over each of two heads."""
        return [(cls(), ((2, 3, 8),)), (cls(heads=2), ((2, 3, 8),))]
