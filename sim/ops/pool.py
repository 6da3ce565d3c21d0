"""Pooling over windows: the largest, or the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from sim.kernel import Axis, Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Padding, Sizes, spatial, spread_pad, taps, windows
from sim.ops._vector import work


class Pool(Op):
    """A window over every spatial axis of (batch, channels, *spatial); the stride is the kernel by default."""

    kernel: Sizes = Field(description="size of the window: one number, or one an axis")
    stride: Sizes | None = Field(None, description="positions from one window to the next; the kernel by default")
    pad: Padding = Field(
        0, description="positions around the input: one number, one an axis, or [before, behind] an axis"
    )
    ceil: bool = Field(False, description="whether a window that is only partly inside counts (as in PyTorch)")

    @model_validator(mode="after")
    def _pad_within_kernel(self) -> Self:
        if self.pad != "same":
            rank = len(self.pad) if isinstance(self.pad, tuple) else 1
            widest = max(max(pair) for pair in spread_pad(self.pad, rank))
            largest = max(self.kernel) if isinstance(self.kernel, tuple) else self.kernel
            if widest >= largest:
                raise ValueError(f"pad {widest} must be smaller than kernel {largest}")
        return self

    def axes(self, shape: Shape) -> tuple[Axis, ...]:
        """Return the window along each spatial axis."""
        stride = self.kernel if self.stride is None else self.stride
        return windows(spatial(shape), self.kernel, stride, self.pad, ceil=self.ceil)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, *out); ValueError where the kernel does not fit."""
        return ((*inputs[0][:2], *(axis.out for axis in self.axes(inputs[0]))),)

    def taps_and_outputs(self, shape: Shape) -> tuple[int, int]:
        """Return the taps of a window and the elements of the output."""
        return prod(axis.kernel for axis in self.axes(shape)), prod(self.infer([shape])[0])

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it in one to three dimensions, padded, overlapping and rounding up."""
        return [
            (cls(kernel=2), ((2, 3, 8),)),
            (cls(kernel=3, stride=2, pad=1), ((2, 3, 7, 8),)),
            (cls(kernel=3, stride=2, ceil=True), ((1, 2, 6, 7),)),
            (cls(kernel=(2, 3), stride=2, pad="same"), ((1, 2, 5, 5),)),
            (cls(kernel=2), ((1, 2, 4, 4, 6),)),
        ]


@op("maxpool")
class MaxPool(Pool):
    """The largest of each window; padding never wins."""

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return taps - 1 comparisons an output."""
        count, outputs = self.taps_and_outputs(inputs[0])
        return work("maxpool", inputs, self.infer(inputs), max=(count - 1) * outputs)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the largest over the taps."""
        lowest = np.iinfo(inputs[0].dtype).min if inputs[0].dtype.kind == "i" else -np.inf
        return (reduce(np.maximum, taps(inputs[0], self.axes(inputs[0].shape), lowest).values()),)


@op("avgpool")
class AvgPool(Pool):
    """The sum of each window over its number of taps; padding counts as zeros (as in PyTorch)."""

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return taps - 1 additions and a product with 1 / taps an output."""
        count, outputs = self.taps_and_outputs(inputs[0])
        return work("avgpool", inputs, self.infer(inputs), add=(count - 1) * outputs, mul=outputs)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the mean over the taps."""
        seen = taps(inputs[0], self.axes(inputs[0].shape))
        return (np.asarray(sum(seen.values()) / len(seen)),)
