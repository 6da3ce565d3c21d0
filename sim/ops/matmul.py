"""The product of two activations, batched over all leading axes, as attention needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from sim.kernel import Contraction, Kernel
from sim.op import Array, Op, Shape, op


@op("matmul")
class Matmul(Op):
    """out[..., m, n] = sum over k of a[..., m, k] · b[..., k, n]; with `transpose_b`, b is (..., n, k)."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    transpose_b: bool = Field(False, description="whether the second input is (..., n, k)")

    def _right(self, shape: Shape) -> Shape:
        return (*shape[:-2], shape[-1], shape[-2]) if self.transpose_b else shape

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (..., m, n); ValueError where the leading axes or the reduced ones differ."""
        left, right = inputs
        if len(left) < 2 or len(left) != len(right):
            raise ValueError(f"needs two inputs of the same rank, at least 2, not {left} and {right}")
        right = self._right(right)
        if left[:-2] != right[:-2] or left[-1] != right[-2]:
            transposed = " transposed" if self.transpose_b else ""
            raise ValueError(f"cannot multiply {left} by {inputs[1]}{transposed}")
        return ((*left[:-1], right[-1]),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the one contraction; a group for each pair of matrices, the right operand an input."""
        *leading, rows, length = inputs[0]
        columns = self._right(inputs[1])[-1]
        return (Contraction("matmul", columns, length, rows, prod(leading), right_is="input"),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return a · b, or a · bᵀ."""
        left, right = inputs
        return (np.einsum("...mk,...nk->...mn" if self.transpose_b else "...mk,...kn->...mn", left, right),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return both inputs with the leading axes folded into groups."""
        left, right = inputs
        right = right.swapaxes(-1, -2) if self.transpose_b else right
        return [(left.reshape(-1, *left.shape[-2:]), right.reshape(-1, *right.shape[-2:]))]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (..., m, n)."""
        return products[0].reshape(self.infer(inputs)[0])

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return the two products of attention with 2 heads, and a plain one."""
        return [
            (cls(transpose_b=True), ((1, 2, 4, 3), (1, 2, 5, 3))),
            (cls(), ((1, 2, 4, 5), (1, 2, 5, 3))),
            (cls(), ((4, 5), (5, 2))),
        ]
