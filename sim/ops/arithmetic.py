"""Sums, differences and products of tensors, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._vector import work


class Elementwise(Op):
    """Combines inputs of the same shape, or of sizes 1 against it.

    A (batch, channels) input meets (batch, channels, *spatial) at every position, as squeeze-and-excite
    needs; an input of fewer axes otherwise lines up with the last ones.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    tokenwise: ClassVar[bool] = True
    kind: ClassVar[str]
    combine: ClassVar[Any]

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the common shape; ValueError where there is none."""
        try:
            return (np.broadcast_shapes(*_lined_up(inputs)),)
        except ValueError:
            raise ValueError(f"cannot combine {' and '.join(map(str, inputs))}") from None

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one operation an output element and input beyond the first."""
        outputs = self.infer(inputs)
        count = (len(inputs) - 1) * prod(outputs[0])
        return work(type(self).__name__.lower(), inputs, outputs, **{self.kind: count})

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the inputs combined from the first to the last."""
        shapes = _lined_up([x.shape for x in inputs])
        lined_up = [x.reshape(shape) for x, shape in zip(inputs, shapes, strict=True)]
        return (reduce(type(self).combine, lined_up),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on equal shapes, on a factor a channel in both forms, and on a shared last axis."""
        image = (2, 3, 4, 5)
        return [
            (cls(), (image, image)), (cls(), (image, (2, 3))), (cls(), ((2, 3, 1, 1), image)),
            (cls(), ((2, 3, 4), (1, 3, 4))), (cls(), ((2, 3, 4), (4,))),
        ]  # fmt: skip


def _lined_up(shapes: Sequence[Shape]) -> list[Shape]:
    rank = max(map(len, shapes))
    outer = next(shape for shape in shapes if len(shape) == rank)
    return [(*s, *(1,) * (rank - 2)) if len(s) == 2 < rank and s == outer[:2] else s for s in shapes]


@op("add")
class Add(Elementwise):
    """The sum of two or more inputs."""

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    kind = "add"
    combine = np.add


@op("sub")
class Sub(Elementwise):
    """The first input less the second."""

    kind = "add"
    combine = np.subtract


@op("mul")
class Mul(Elementwise):
    """The product of two inputs, element by element."""

    kind = "mul"
    combine = np.multiply
