"""What operators of the vector unit share.

Operations are counted by kind, one a lane and element: `add` (and subtract), `mul`, `max` (and min and
compare: a clamp is two), `exp`, `div`, `sqrt`, `tanh`, `erf`. A change of sign is free; multiplying by a
constant is a `mul`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, Self

import numpy as np

from sim.kernel import Kernel, VectorWork
from sim.op import Array, Op, Shape


def work(
    name: str, inputs: Sequence[Shape], outputs: Sequence[Shape], weights: int = 0, **operations: int
) -> tuple[Kernel, ...]:
    """Return the VectorWork that reads and writes whole tensors of these shapes; kinds of 0 are left out."""
    counts = tuple((kind, count) for kind, count in operations.items() if count)
    return (VectorWork(name, tuple(map(prod, inputs)), sum(map(prod, outputs)), counts, weights),)


class Movement(Op):
    """An operator that moves data and computes nothing."""

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the reading and the writing of everything."""
        return work(type(self).__name__.lower(), inputs, self.infer(inputs))


class Unary(Op):
    """A function of each element on its own; `per_element` counts its operations by kind."""

    fusible: ClassVar[bool] = True
    per_element: ClassVar[dict[str, int]] = {}

    def apply(self, x: Array) -> Array:
        """Return the function of every element of `x`."""
        raise NotImplementedError

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input."""
        return (inputs[0],)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return `per_element` operations on each element."""
        size = prod(inputs[0])
        counts = {kind: count * size for kind, count in self.per_element.items()}
        return work(type(self).__name__.lower(), inputs, inputs, **counts)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the function of every element."""
        return (np.asarray(self.apply(inputs[0])),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on an image and on a vector."""
        return [(cls(), ((2, 3, 4, 5),)), (cls(), ((2, 7),))]
