"""Functions of one tensor that exported networks are written in: parts of activations and of normalisations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from sim import lanes
from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._vector import Movement, Unary, work
from sim.ops.view import Integers, View


@op("erf")
class Erf(Unary):
    """The error function."""

    per_element = {"erf": 1}

    def apply(self, x: Array) -> Array:
        """Return erf(x)."""
        return lanes.erf(x)


@op("exp")
class Exp(Unary):
    """The exponential."""

    per_element = {"exp": 1}

    def apply(self, x: Array) -> Array:
        """Return exp(x)."""
        return lanes.exp(x)


@op("sqrt")
class Sqrt(Unary):
    """The square root; of nothing below zero."""

    per_element = {"sqrt": 1}

    def apply(self, x: Array) -> Array:
        """Return the root of x, and zero for x below zero."""
        return lanes.sqrt(np.maximum(x, 0))


@op("reciprocal")
class Reciprocal(Unary):
    """1 / x."""

    per_element = {"div": 1}

    def apply(self, x: Array) -> Array:
        """Return 1 / x, which is infinite at zero."""
        with np.errstate(divide="ignore"):
            return lanes.divide(1, np.asarray(x, float))


@op("constant")
class Constant(Op):
    """A stored tensor added to the input, or multiplied with it, or the larger of the two, broadcast as in numpy."""

    fusible: ClassVar[bool] = False

    kind: Literal["add", "mul", "div", "max"] = Field(description="what is done with it; div divides it by the input")
    shape: Integers = Field(description="its shape, a list of sizes")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the common shape; ValueError where there is none."""
        try:
            return (np.broadcast_shapes(inputs[0], self.shape),)
        except ValueError:
            raise ValueError(f"cannot combine {inputs[0]} and a constant of {self.shape}") from None

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the tensor."""
        return {"weight": self.shape}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one operation an element."""
        made = self.infer(inputs)
        return work("constant", inputs, made, self.parameters(inputs), **{self.kind: prod(made[0])})

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the combination."""
        x, constant = inputs[0], weights["weight"]
        if self.kind == "div":
            with np.errstate(divide="ignore", invalid="ignore"):
                return (lanes.divide(constant, np.asarray(x, float)),)
        combine: Any = {"add": np.add, "mul": np.multiply, "max": np.maximum}[self.kind]
        return (combine(x, constant),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return a vector added to rows, and a factor of everything."""
        return [(cls(kind="add", shape=(4,)), ((2, 3, 4),)), (cls(kind="mul", shape=(1,)), ((2, 5),))]


@op("reduce")
class Reduce(Op):
    """The mean, the sum or the maximum over some axes."""

    kind: Literal["mean", "sum", "max"] = Field(description="what is taken")
    axes: Integers = Field(description="over which axes")
    keep: bool = Field(True, description="whether these axes stay, with size 1")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape that is left; ValueError where there is no such axis."""
        rank = len(inputs[0])
        if any(not -rank <= axis < rank for axis in self.axes):
            raise ValueError(f"axes {self.axes} are not all axes of {inputs[0]}")
        gone = {axis % rank for axis in self.axes}
        kept = [1 if i in gone else size for i, size in enumerate(inputs[0]) if self.keep or i not in gone]
        return (tuple(kept) or (1,),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return n-1 operations for each n elements, and for a mean one product with 1/n."""
        made = self.infer(inputs)
        count, size = prod(made[0]), prod(inputs[0])
        kind = "max" if self.kind == "max" else "add"
        return work("reduce", inputs, made, **{kind: size - count, "mul": count if self.kind == "mean" else 0})

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the reduction."""
        function: Any = {"mean": np.mean, "sum": np.sum, "max": np.max}[self.kind]
        made = function(inputs[0], axis=tuple(self.axes), keepdims=self.keep)
        return (np.asarray(made).reshape(self.infer([inputs[0].shape])[0]),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return the mean of rows, and the maximum of images."""
        rows, image = cls(kind="mean", axes=(-1,)), cls(kind="max", axes=(2, 3), keep=False)
        return [(rows, ((2, 3, 4),)), (image, ((2, 3, 4, 5),))]


@op("slice")
class Slice(Movement):
    """The first elements along each axis, as many as `shape` says: what a cut costs, wherever it lies."""

    shape: Integers = Field(description="sizes that are left")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape that is left; ValueError where there are more elements than before."""
        if prod(self.shape) > prod(inputs[0]):
            raise ValueError(f"cannot cut {self.shape} out of {inputs[0]}")
        return (tuple(self.shape),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the first elements along each axis, or of all where axes are gone."""
        if len(self.shape) == inputs[0].ndim:
            return (np.asarray(inputs[0][tuple(slice(size) for size in self.shape)]),)
        return (inputs[0].ravel()[: prod(self.shape)].reshape(self.shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return a part of an image, and a row."""
        return [(cls(shape=(1, 2, 3)), ((1, 4, 3),)), (cls(shape=(1, 3)), ((1, 4, 3),))]


@op("opaque")
class Opaque(View):
    """An operator of another program that is not modelled: a shape, and no work. Its network says so."""

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    shape: Integers = Field(description="what it makes")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape."""
        return (tuple(self.shape),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return zeros: what it computes is not known."""
        return (np.zeros(self.shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on two inputs."""
        return [(cls(shape=(2, 5)), ((2, 3), (2, 4)))]
