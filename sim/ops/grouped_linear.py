"""Independent linear layers on equal parts of the features, as the per-head projections of attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from pydantic import Field

from sim.kernel import Contraction, Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count


@op("grouped_linear")
class GroupedLinear(Op):
    """out[..., g, f] = sum over i of in[..., g, i] · weight[g, i, f]; the groups lie behind each other."""

    groups: Count = Field(description="equal parts of the features")
    features: Count = Field(description="output features of each group")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (..., groups · features); ValueError where the groups do not divide the last axis."""
        if len(inputs[0]) < 2 or inputs[0][-1] % self.groups:
            raise ValueError(f"{self.groups} groups do not divide the last axis of {inputs[0]}")
        return ((*inputs[0][:-1], self.groups * self.features),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (groups, in, features)."""
        return {"weight": (self.groups, inputs[0][-1] // self.groups, self.features)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group for each part."""
        rows, length = prod(inputs[0][:-1]), inputs[0][-1] // self.groups
        return (Contraction("grouped_linear", self.features, length, rows, self.groups),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the products of all groups."""
        x = inputs[0].reshape(*inputs[0].shape[:-1], self.groups, -1)
        return (np.einsum("...gi,gif->...gf", x, weights["weight"]).reshape(self.infer([inputs[0].shape])[0]),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the parts as (groups, rows, in), and the weights."""
        parts = inputs[0].reshape(-1, self.groups, inputs[0].shape[-1] // self.groups)
        return [(parts.swapaxes(0, 1), weights["weight"])]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (..., groups · features)."""
        return products[0].swapaxes(0, 1).reshape(self.infer(inputs)[0])

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return two heads, projected up and down."""
        return [(cls(groups=2, features=5), ((1, 3, 6),)), (cls(groups=3, features=1), ((2, 6),))]
