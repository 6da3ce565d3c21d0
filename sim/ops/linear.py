"""The fully connected layer, on the last axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

from pydantic import Field

from sim.kernel import Contraction, Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count


@op("linear")
class Linear(Op):
    """out[..., f] = bias[f] + sum over i of in[..., i] · weight[f, i]; weight (features, in)."""

    features: Count = Field(description="output features")
    bias: bool = Field(True, description="whether a trained constant is added to each feature")
    tied: bool = Field(False, description="whether the weight is another layer's, as an embedding's, and counts there")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (..., features); ValueError where there is no axis but the features."""
        if len(inputs[0]) < 2:
            raise ValueError(f"needs an input of (batch, ..., features), not {inputs[0]}")
        return ((*inputs[0][:-1], self.features),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (features, in) and bias (features,)."""
        weight = (self.features, inputs[0][-1])
        return {"weight": weight, "bias": (self.features,)} if self.bias else {"weight": weight}

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return the trained parameters that are no other layer's."""
        return (0 if self.tied else self.features * inputs[0][-1]) + (self.features if self.bias else 0)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the one contraction; every leading axis counts as batch."""
        *leading, length = inputs[0]
        return (Contraction("linear", self.features, length, prod(leading), biased=self.bias),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return in · weightᵀ + bias."""
        product = inputs[0] @ weights["weight"].T
        return (product + weights["bias"] if self.bias else product,)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the input as (1, rows, in) and the weight as (1, in, features)."""
        return [(inputs[0].reshape(1, -1, inputs[0].shape[-1]), weights["weight"].T[None])]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (..., features)."""
        return products[0].reshape(*inputs[0][:-1], self.features)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return one with bias on a batch of vectors, one without on a batch of matrices."""
        return [(cls(features=5), ((3, 7),)), (cls(features=4, bias=False), ((2, 3, 6),))]
