"""Softmax over one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

from pydantic import Field

from sim import lanes
from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._axes import axis_of
from sim.ops._vector import work


@op("softmax")
class Softmax(Op):
    """exp(x - max) / sum of exp(x - max), over `axis`."""

    axis: int = Field(-1, description="axis whose values become shares of 1")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input; ValueError where it has no such axis."""
        axis_of(inputs[0], self.axis)
        return (inputs[0],)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return, for a row of n: n-1 max; n subtractions and n-1 additions; n exp; n divisions."""
        n = inputs[0][self.axis]
        rows = prod(inputs[0]) // n
        counts = {"max": n - 1, "add": 2 * n - 1, "exp": n, "div": n}
        return work("softmax", inputs, inputs, **{kind: rows * count for kind, count in counts.items()})

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the softmax, safe from overflow."""
        shifted = lanes.exp(inputs[0] - inputs[0].max(axis=self.axis, keepdims=True))
        return (lanes.divide(shifted, shifted.sum(axis=self.axis, keepdims=True)),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it over the last axis and over the channels."""
        return [(cls(), ((2, 3, 5),)), (cls(axis=1), ((1, 4, 3, 3),))]
