"""Joining tensors along an axis, and parting them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from sim.op import Array, Shape, op
from sim.ops._axes import axis_of
from sim.ops._spatial import Sizes
from sim.ops._vector import Movement


@op("concat")
class Concat(Movement):
    """The inputs one behind the other along `axis`, the channels by default."""

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    axis: int = Field(1, description="axis along which they join")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the joint shape; ValueError where the inputs differ on another axis."""
        axis = axis_of(inputs[0], self.axis)
        rest = {(*shape[:axis], 0, *shape[axis + 1 :]) for shape in inputs}
        if len(rest) > 1:
            shapes = " and ".join(map(str, inputs))
            raise ValueError(f"cannot join {shapes} along axis {self.axis}: the other axes differ")
        first = inputs[0]
        return ((*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :]),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the inputs joined."""
        return (np.concatenate(inputs, axis=self.axis),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return three feature maps along the channels, and two sequences along the last axis."""
        return [(cls(), ((2, 3, 4), (2, 1, 4), (2, 2, 4))), (cls(axis=-1), ((2, 3, 4), (2, 3, 1)))]


@op("split")
class Split(Movement):
    """The input in `parts` equal parts, or in parts of the given sizes, along `axis`."""

    parts: Sizes = Field(description="how many equal parts, or the size of each")
    axis: int = Field(1, description="axis that is cut")

    def _sizes(self, shape: Shape) -> tuple[int, ...]:
        length = shape[axis_of(shape, self.axis)]
        if isinstance(self.parts, int):
            if length % self.parts:
                raise ValueError(f"{self.parts} parts do not divide {length} on axis {self.axis} of {shape}")
            return (length // self.parts,) * self.parts
        if sum(self.parts) != length:
            text = " + ".join(map(str, self.parts))
            raise ValueError(f"parts {text} do not add up to {length} on axis {self.axis} of {shape}")
        return self.parts

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of each part; ValueError where they do not add up to the whole."""
        shape, axis = inputs[0], axis_of(inputs[0], self.axis)
        return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in self._sizes(shape))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the parts."""
        ends = list(accumulate(self._sizes(inputs[0].shape)))
        return tuple(np.split(inputs[0], ends[:-1], axis=self.axis))

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return equal parts of the channels, and uneven parts of the last axis."""
        return [(cls(parts=2), ((2, 4, 3, 3),)), (cls(parts=(1, 3, 1), axis=-1), ((2, 2, 5),))]
