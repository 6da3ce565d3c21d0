"""The mean over all positions, or over as many regions as are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import ceil, prod
from typing import Self

import numpy as np
from pydantic import Field

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Sizes, at, spatial, spread
from sim.ops._vector import work


@op("global_avgpool")
class GlobalAvgPool(Op):
    """The mean of each channel: (batch, channels, *spatial) to (batch, channels), or to sizes of 1."""

    keep: bool = Field(False, description="whether the spatial axes stay, with size 1")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels), with a 1 for each spatial axis where they are kept."""
        ones = (1,) * len(spatial(inputs[0]))
        return ((*inputs[0][:2], *(ones if self.keep else ())),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return positions - 1 additions and a product with 1 / positions a channel."""
        means = prod(inputs[0][:2])
        return work("global_avgpool", inputs, self.infer(inputs), add=prod(inputs[0]) - means, mul=means)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the means."""
        axes = tuple(range(2, inputs[0].ndim))
        return (np.asarray(inputs[0].mean(axis=axes, keepdims=self.keep)),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it dropping and keeping the axes."""
        return [(cls(), ((2, 3, 4, 5),)), (cls(keep=True), ((1, 3, 2, 4, 2),))]


@op("adaptive_avgpool")
class AdaptiveAvgPool(Op):
    """The mean of each of `out` regions an axis, from floor(i·size/out) to ceil((i+1)·size/out).

    The regions are those of torch.nn.AdaptiveAvgPool2d; they overlap where `out` does not divide the size.
    """

    out: Sizes = Field(description="output size: one number, or one an axis")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, *out)."""
        return ((*inputs[0][:2], *spread(self.out, len(spatial(inputs[0])), "out")),)

    def _regions(self, shape: Shape) -> list[list[slice]]:
        outs = self.infer([shape])[0][2:]
        pairs = zip(shape[2:], outs, strict=True)
        return [[slice(i * n // out, ceil((i + 1) * n / out)) for i in range(out)] for n, out in pairs]

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return, a region: one addition less than it has elements, and a product with their inverse."""
        (shape,) = outputs = self.infer(inputs)
        read = prod(sum(part.stop - part.start for part in axis) for axis in self._regions(inputs[0]))
        add = prod(shape[:2]) * read - prod(shape)
        return work("adaptive_avgpool", inputs, outputs, add=add, mul=prod(shape))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the mean of each region."""
        x = inputs[0]
        regions = self._regions(x.shape)
        axes = tuple(range(2, x.ndim))
        result = np.empty(self.infer([x.shape])[0], dtype=float)
        for place in product(*(range(len(axis)) for axis in regions)):
            region = tuple(axis[i] for axis, i in zip(regions, place, strict=True))
            result[at(place)] = x[at(region)].mean(axis=axes)
        return (result,)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it with sizes that divide, that do not, and that are larger than the input."""
        return [
            (cls(out=2), ((1, 2, 4, 6),)), (cls(out=(3, 2)), ((2, 2, 7, 5),)), (cls(out=4), ((1, 2, 3),)),
        ]  # fmt: skip
