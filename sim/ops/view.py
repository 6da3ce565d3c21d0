"""The same elements under another shape or order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, PlainValidator

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._axes import axis_of
from sim.ops._vector import Movement


def _integers(value: Any) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and value and all(type(item) is int for item in value):
        return tuple(value)
    raise ValueError(f"expected a list of integers, not {value}")


Integers = Annotated[tuple[int, ...], PlainValidator(_integers)]


class View(Op):
    """An operator that leaves every element where it is: no work at all."""

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return nothing."""
        return ()

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the input under its new shape."""
        return (inputs[0].reshape(self.infer([inputs[0].shape])[0]),)


@op("identity", "dropout")
class Identity(View):
    """The input itself; dropout at inference is this."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input."""
        return (inputs[0],)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on a matrix."""
        return [(cls(), ((2, 3),))]


@op("flatten")
class Flatten(View):
    """All axes from `axis` on as one."""

    axis: int = Field(1, description="first axis that is flattened")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape with its last axes multiplied; ValueError where there is no such axis."""
        axis = axis_of(inputs[0], self.axis)
        return ((*inputs[0][:axis], prod(inputs[0][axis:])),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it from the channels on and from the positions on."""
        return [(cls(), ((2, 3, 4, 5),)), (cls(axis=2), ((2, 3, 4, 5),))]


@op("reshape")
class Reshape(View):
    """The elements in the same order under `shape`, in which one -1 stands for what is left."""

    shape: Integers = Field(description="new sizes; one may be -1")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the new shape; ValueError where it does not hold as many elements."""
        size, known = prod(inputs[0]), prod(n for n in self.shape if n != -1)
        guesses = self.shape.count(-1)
        fits = known == size if guesses == 0 else guesses == 1 and known > 0 and size % known == 0
        if not fits or any(n < 1 for n in self.shape if n != -1):
            raise ValueError(f"cannot reshape {inputs[0]} to {self.shape}")
        return (tuple(size // known if n == -1 else n for n in self.shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it with and without a -1."""
        return [(cls(shape=(2, -1, 3)), ((2, 3, 4),)), (cls(shape=(6, 4)), ((2, 3, 4),))]


@op("transpose")
class Transpose(Movement):
    """The axes in the order `axes`: output axis i is input axis axes[i]."""

    axes: Integers = Field(description="which input axis each output axis is")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape in its new order; ValueError where `axes` does not name each axis once."""
        if sorted(self.axes) != list(range(len(inputs[0]))):
            raise ValueError(f"axes {self.axes} do not name each axis of {inputs[0]} once")
        return (tuple(inputs[0][axis] for axis in self.axes),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the input with its axes exchanged."""
        return (np.transpose(inputs[0], self.axes),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return channels first to channels last, and back."""
        return [(cls(axes=(0, 2, 3, 1)), ((2, 3, 4, 5),)), (cls(axes=(0, 2, 1)), ((2, 3, 4),))]
