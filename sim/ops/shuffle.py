"""Shuffles: channels among groups, and channels into positions and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field

from sim.op import Array, Shape, op
from sim.ops._spatial import Count, spatial
from sim.ops._vector import Movement


@op("channel_shuffle")
class ChannelShuffle(Movement):
    """Channel g·(channels/groups) + c moves to c·groups + g (Zhang et al., ShuffleNet, CVPR 2018)."""

    groups: Count = Field(description="groups whose channels are interleaved")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input; ValueError where the groups do not divide its channels."""
        if len(inputs[0]) < 2 or inputs[0][1] % self.groups:
            raise ValueError(f"{self.groups} groups do not divide the channels of {inputs[0]}")
        return (inputs[0],)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the channels in their new order."""
        batch, channels, *sizes = inputs[0].shape
        split = inputs[0].reshape(batch, self.groups, channels // self.groups, *sizes)
        return (split.swapaxes(1, 2).reshape(inputs[0].shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it with 2 and 3 groups."""
        return [(cls(groups=2), ((2, 6, 3, 3),)), (cls(groups=3), ((1, 6, 4),))]


@op("pixel_shuffle")
class PixelShuffle(Movement):
    """(batch, c·factor^rank, *spatial) to (batch, c, *spatial·factor) (Shi et al., CVPR 2016)."""

    factor: Count = Field(description="growth of each spatial axis")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the larger shape; ValueError where the channels do not hold factor^rank positions."""
        sizes, shape = spatial(inputs[0]), inputs[0]
        block = self.factor ** len(sizes)
        if shape[1] % block:
            raise ValueError(f"factor {self.factor} needs a multiple of {block} channels, not {shape[1]}")
        return ((shape[0], shape[1] // block, *(size * self.factor for size in sizes)),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return each channel's block of factor^rank channels laid out in space."""
        x = inputs[0]
        (shape,) = self.infer([x.shape])
        rank = x.ndim - 2
        split = x.reshape(*shape[:2], *(self.factor,) * rank, *x.shape[2:])
        order = [place for axis in range(rank) for place in (2 + rank + axis, 2 + axis)]
        return (split.transpose(0, 1, *order).reshape(shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it in one and in two dimensions."""
        return [(cls(factor=2), ((2, 12, 3, 4),)), (cls(factor=3), ((1, 6, 5),))]


@op("pixel_unshuffle")
class PixelUnshuffle(Movement):
    """(batch, c, *spatial·factor) to (batch, c·factor^rank, *spatial): undoes pixel_shuffle."""

    factor: Count = Field(description="shrinkage of each spatial axis")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the smaller shape; ValueError where the factor does not divide the sizes."""
        sizes, shape = spatial(inputs[0]), inputs[0]
        if any(size % self.factor for size in sizes):
            raise ValueError(f"factor {self.factor} does not divide the spatial sizes of {shape}")
        return ((shape[0], shape[1] * self.factor ** len(sizes), *(n // self.factor for n in sizes)),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return each block of positions as channels."""
        x = inputs[0]
        (shape,) = self.infer([x.shape])
        pairs = [size for n in shape[2:] for size in (n, self.factor)]
        split = x.reshape(*x.shape[:2], *pairs)
        within, across = range(3, split.ndim, 2), range(2, split.ndim, 2)
        return (split.transpose(0, 1, *within, *across).reshape(shape),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it in one and in two dimensions."""
        return [(cls(factor=2), ((2, 3, 4, 6),)), (cls(factor=3), ((1, 2, 9),))]
