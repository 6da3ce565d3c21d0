"""Gated units of feed-forward networks: an activation of one half times the other (Shazeer, 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, Self

import numpy as np

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._vector import Unary, work
from sim.ops.activation import Gelu, Relu, Silu


class Gated(Op):
    """activation(gate) · up, from inputs gate and up of the same shape, or from one that holds both halves."""

    arity: ClassVar[tuple[int, int | None]] = (1, 2)
    tokenwise: ClassVar[bool] = True
    activation: ClassVar[type[Unary]]

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of a half; ValueError where the halves differ."""
        if len(inputs) == 2:
            if inputs[0] != inputs[1]:
                raise ValueError(f"gate {inputs[0]} and values {inputs[1]} differ")
            return (inputs[0],)
        if inputs[0][-1] % 2:
            raise ValueError(f"the last axis of {inputs[0]} has no two halves")
        return ((*inputs[0][:-1], inputs[0][-1] // 2),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the operations of the activation and one product for each element."""
        made = self.infer(inputs)
        size = prod(made[0])
        counts = {kind: count * size for kind, count in self.activation.per_element.items()}
        counts["mul"] = counts.get("mul", 0) + size
        return work(type(self).__name__.lower(), inputs, made, **counts)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return activation(gate) · up."""
        gate, up = inputs if len(inputs) == 2 else np.split(inputs[0], 2, axis=-1)
        return (self.activation().apply(gate) * up,)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on two inputs and on one with both halves."""
        return [(cls(), ((2, 3, 4), (2, 3, 4))), (cls(), ((2, 6),))]


@op("swiglu")
class SwiGlu(Gated):
    """silu(gate) · up."""

    activation = Silu


@op("geglu")
class GeGlu(Gated):
    """gelu(gate) · up."""

    activation = Gelu


@op("reglu")
class ReGlu(Gated):
    """relu(gate) · up."""

    activation = Relu
