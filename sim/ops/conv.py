"""Convolution in one, two and three dimensions, with groups; depthwise is a group per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PlainValidator, model_validator

from sim.kernel import Axis, Contraction, Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count, Padding, Sizes, at, per_channel, spatial, spread, taps, windows


def _groups(value: Any) -> int | Literal["depthwise"]:
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value != "depthwise" and not whole:
        raise ValueError(f"expected a positive integer or 'depthwise', not {value}")
    return value  # type: ignore[no-any-return]


Groups = Annotated[int | Literal["depthwise"], PlainValidator(_groups)]


class Conv(Op):
    """out[b, f, o] = bias[f] + sum over c, t of in[b, c, o·stride + t·dilation - pad] · weight[f, c, t].

    Input (batch, channels, *spatial), weight (filters, channels / groups, *kernel). With
    `groups: depthwise` every channel is a group of its own and `filters` defaults to the channels.
    """

    rank: ClassVar[int]

    kernel: Sizes = Field(description="taps of the window: one number, or one an axis")
    filters: Count | None = Field(None, description="output channels; may be left out where depthwise")
    stride: Sizes = Field(1, description="positions from one window to the next: one number, or one an axis")
    pad: Padding = Field(0, description="zeros around the input: one number, one an axis, or [before, behind] an axis")
    dilation: Sizes = Field(1, description="positions from one tap to the next: one number, or one an axis")
    groups: Groups = Field(1, description="groups of channels that do not mix, or `depthwise`")
    bias: bool = Field(True, description="whether a trained constant is added to each filter")

    @model_validator(mode="after")
    def _needs_filters(self) -> Self:
        if self.filters is None and self.groups != "depthwise":
            raise ValueError("missing key 'filters'")
        return self

    def _axes(self, shape: Shape) -> tuple[Axis, ...]:
        sizes = spatial(shape, self.rank)
        return windows(sizes, self.kernel, self.stride, self.pad, self.dilation)

    def _counts(self, shape: Shape) -> tuple[int, int]:
        """Return (groups, filters); ValueError where the groups divide not both filters and channels."""
        channels = shape[1]
        groups = channels if self.groups == "depthwise" else self.groups
        filters = channels if self.filters is None else self.filters
        for count, what in ((channels, "input channels"), (filters, "filters")):
            if count % groups:
                raise ValueError(f"{groups} groups do not divide {count} {what}")
        return groups, filters

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, filters, *out); ValueError where the kernel or the groups do not fit."""
        axes, (_, filters) = self._axes(inputs[0]), self._counts(inputs[0])
        return ((inputs[0][0], filters, *(axis.out for axis in axes)),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (filters, channels / groups, *kernel) and bias (filters,)."""
        groups, filters = self._counts(inputs[0])
        kernel = spread(self.kernel, self.rank, "kernel")
        weight = (filters, inputs[0][1] // groups, *kernel)
        return {"weight": weight, "bias": (filters,)} if self.bias else {"weight": weight}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the one contraction: filters and channels of a group, and the window."""
        batch, channels = inputs[0][:2]
        groups, filters = self._counts(inputs[0])
        axes = self._axes(inputs[0])
        kernel = Contraction(
            "conv", filters // groups, channels // groups, batch, groups, axes, biased=self.bias
        )
        return (kernel,)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the convolution, tap by tap."""
        image, weight = inputs[0], weights["weight"]
        (shape,), (groups, _) = self.infer([image.shape]), self._counts(image.shape)
        batch, filters, *out = shape
        result = np.zeros((batch, groups, filters // groups, prod(out)), np.result_type(image, weight))
        split = weight.reshape(groups, filters // groups, *weight.shape[1:])
        for tap, seen in taps(image, self._axes(image.shape)).items():
            columns = seen.reshape(batch, groups, -1, prod(out))
            result += split[at(tap)] @ columns
        outputs = result.reshape(shape)
        return (outputs + per_channel(weights["bias"], outputs.ndim) if self.bias else outputs,)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the input by group, and the weight as (groups, channels x taps, filters)."""
        image, weight = inputs[0], weights["weight"]
        groups, filters = self._counts(image.shape)
        right = weight.reshape(groups, filters // groups, -1).transpose(0, 2, 1)
        return [(by_group(image, groups), right)]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (batch, filters, *out) from the (groups, batch x out, filters) product."""
        (shape,) = self.infer(inputs)
        return from_groups(products[0], shape)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return plain, strided, dilated, asymmetrically padded, grouped and depthwise convolutions."""
        sizes = (7, 6, 5)[: cls.rank]
        uneven = tuple((n, n + 1) for n in range(cls.rank))
        return [
            (cls(filters=4, kernel=1), ((1, 3, *sizes),)),
            (cls(filters=4, kernel=3, stride=2, pad=1, bias=False), ((2, 3, *sizes),)),
            (cls(filters=6, kernel=2, dilation=2, pad=uneven, groups=2), ((2, 4, *sizes),)),
            (cls(kernel=3, stride=2, pad="same", groups="depthwise", bias=False), ((1, 5, *sizes),)),
            (cls(filters=8, kernel=3, groups="depthwise"), ((1, 4, *sizes),)),
        ]


def by_group(image: Array, groups: int) -> Array:
    """Return (batch, channels, *spatial) as (groups, batch, channels / groups, *spatial)."""
    batch, channels, *sizes = image.shape
    return np.moveaxis(image.reshape(batch, groups, channels // groups, *sizes), 1, 0)


def from_groups(product: Array, shape: Shape) -> Array:
    """Return (groups, batch x positions, filters of a group) as (batch, filters, *spatial) of `shape`."""
    groups, _, filters = product.shape
    split = product.reshape(groups, shape[0], prod(shape[2:]), filters)
    return split.transpose(1, 0, 3, 2).reshape(shape)


@op("conv1d")
class Conv1d(Conv):
    """A convolution over one spatial axis."""

    rank = 1


@op("conv2d")
class Conv2d(Conv):
    """A convolution over two spatial axes."""

    rank = 2


@op("conv3d")
class Conv3d(Conv):
    """A convolution over three spatial axes."""

    rank = 3
