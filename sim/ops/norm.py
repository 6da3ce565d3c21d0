"""Normalisation, and the scale of one factor a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, Literal, Self

from pydantic import Field

from sim import lanes
from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count, per_channel, spatial
from sim.ops._vector import work


@op("batchnorm")
class BatchNorm(Op):
    """x · weight + bias per channel: at inference the statistics are constants folded into the two.

    Its two trained parameters a channel are counted; the running mean and variance are not trained.
    """

    fusible: ClassVar[bool] = True

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input (batch, channels, ...)."""
        _channels(inputs[0])
        return (inputs[0],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight and bias, each (channels,)."""
        channels = _channels(inputs[0])
        return {"weight": (channels,), "bias": (channels,)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one product and one sum an element."""
        size = prod(inputs[0])
        return work("batchnorm", inputs, inputs, 2 * _channels(inputs[0]), mul=size, add=size)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return x · weight + bias."""
        x = inputs[0]
        return (x * per_channel(weights["weight"], x.ndim) + per_channel(weights["bias"], x.ndim),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on an image and on a vector."""
        return [(cls(), ((2, 3, 4, 5),)), (cls(), ((2, 7),))]


@op("scale")
class Scale(Op):
    """x · weight per channel, as the layer scale of ConvNeXt (Liu et al., CVPR 2022)."""

    fusible: ClassVar[bool] = True

    axis: Literal["channels", "last"] = Field("channels", description="where the channels are")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input."""
        _channels(inputs[0])
        return (inputs[0],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight, one a channel."""
        return {"weight": (inputs[0][_axis(self.axis)],)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one product an element."""
        return work("scale", inputs, inputs, inputs[0][_axis(self.axis)], mul=prod(inputs[0]))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return x · weight."""
        return (inputs[0] * _along(weights["weight"], inputs[0].ndim, _axis(self.axis)),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on the channels and on the last axis."""
        return [(cls(), ((2, 3, 4, 5),)), (cls(axis="last"), ((2, 4, 7),))]


class Statistics(Op):
    """(x - mean) / sqrt(variance + eps) over groups of n elements, then · weight + bias where affine.

    A group of n takes, at run time: n-1 additions and a product with 1/n for the mean; n subtractions; n
    squares, n-1 additions and a product with 1/n for the variance; one addition of eps, one square root
    and one division for the factor; n products with it. So 3n-1 add, 2n+2 mul, 1 sqrt, 1 div; an affine
    transform adds n mul and n add.
    """

    affine: bool = Field(True, description="whether a trained scale and shift follow")
    eps: float = Field(1e-5, description="what is added to the variance")

    def group(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        """Return the shape to take the input in, and the axes of it that one group spans."""
        raise NotImplementedError

    def channel_axis(self) -> int:
        """Return the axis that has a weight and a bias for each of its indices."""
        return 1

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input; ValueError where it cannot be grouped."""
        self.group(inputs[0])
        return (inputs[0],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight and bias, one a channel, where affine."""
        channels = (inputs[0][self.channel_axis()],)
        return {"weight": channels, "bias": channels} if self.affine else {}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the operations derived above, for all groups."""
        shape, axes = self.group(inputs[0])
        n, size = prod(shape[axis] for axis in axes), prod(shape)
        groups, affine = size // n, size if self.affine else 0
        add, mul = groups * (3 * n - 1) + affine, groups * (2 * n + 2) + affine
        weights = self.parameters(inputs)
        return work(type(self).__name__.lower(), inputs, inputs, weights, add=add, mul=mul, sqrt=groups, div=groups)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the normalised input."""
        x = inputs[0]
        shape, axes = self.group(x.shape)
        grouped = x.reshape(shape)
        centred = grouped - grouped.mean(axis=axes, keepdims=True)
        variance = (centred**2).mean(axis=axes, keepdims=True)
        result = (centred * lanes.divide(1, lanes.sqrt(variance + self.eps))).reshape(x.shape)
        if not self.affine:
            return (result,)
        weight, bias = (_along(weights[name], x.ndim, self.channel_axis()) for name in ("weight", "bias"))
        return (result * weight + bias,)


@op("layernorm")
class LayerNorm(Statistics):
    """Normalises each position over its features: the last axis, or the channels."""

    tokenwise: ClassVar[bool] = True

    axis: Literal["channels", "last"] = Field("last", description="what is normalised")

    def group(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        """Return one group per position."""
        _channels(shape)
        return shape, (self.channel_axis() % len(shape),)

    def channel_axis(self) -> int:
        """Return the axis that is normalised."""
        return _axis(self.axis)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it over the last axis and over the channels."""
        return [(cls(), ((2, 3, 8),)), (cls(axis="channels", affine=False), ((2, 6, 3, 3),))]


@op("groupnorm")
class GroupNorm(Statistics):
    """Normalises each image over groups of channels and all positions (Wu and He, ECCV 2018)."""

    groups: Count = Field(description="groups of channels that share statistics")

    def group(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        """Return (batch, groups, channels of a group, *spatial), normalised over all but the first two."""
        channels = _channels(shape)
        if channels % self.groups:
            raise ValueError(f"{self.groups} groups do not divide {channels} input channels")
        split = (shape[0], self.groups, channels // self.groups, *shape[2:])
        return split, tuple(range(2, len(split)))

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it with one group and with several."""
        return [(cls(groups=1), ((2, 4, 3, 3),)), (cls(groups=2, affine=False), ((1, 4, 5),))]


@op("instancenorm")
class InstanceNorm(Statistics):
    """Normalises each channel of each image over its positions; not affine unless said (as in PyTorch)."""

    affine: bool = Field(False, description="whether a trained scale and shift follow")

    def group(self, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        """Return one group per image and channel."""
        spatial(shape)
        return shape, tuple(range(2, len(shape)))

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it plain and affine."""
        return [(cls(), ((2, 4, 3, 3),)), (cls(affine=True), ((1, 3, 2, 2, 2),))]


def _channels(shape: Shape) -> int:
    if len(shape) < 2:
        raise ValueError(f"needs an input of (batch, channels, ...), not {shape}")
    return shape[1]


def _axis(name: str) -> int:
    return 1 if name == "channels" else -1


def _along(values: Array, rank: int, axis: int) -> Array:
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)
