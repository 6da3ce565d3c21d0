"""Transposed convolution, taken apart into ordinary convolutions so that no inserted zero is multiplied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import ceil
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from sim.kernel import Axis, Contraction, Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count, Naturals, Padding, Sizes, at, per_channel, spatial, spread, spread_pad
from sim.ops.conv import by_group, from_groups

Phase = tuple[tuple[slice, ...], tuple[slice, ...], tuple[Axis, ...]]
"""Where the outputs of a phase stand, which taps they use, and the window they use them in."""


class ConvTranspose(Op):
    """out[b, f, i·stride + t - pad] += in[b, c, i] · weight[c, f, t]: each input spreads over the outputs.

    Input (batch, channels, *spatial), weight (channels, filters / groups, *kernel); the output has
    (size - 1)·stride + kernel - low - high + output_pad elements an axis (torch.nn.ConvTranspose2d).

    Output o = phase + stride·q only meets the taps t with t = phase + pad (mod stride), and those it
    meets at inputs q + const - j: an ordinary convolution of stride 1 with every stride-th tap, from the
    last to the first. So each of the stride^rank phases is one Contraction, and together they multiply
    what is useful, instead of the stride^rank times as much that convolving a zero-stuffed input takes.
    A phase without taps (stride larger than the kernel) is only bias.
    """

    rank: ClassVar[int]

    filters: Count = Field(description="output channels")
    kernel: Sizes = Field(description="taps of the window: one number, or one an axis")
    stride: Sizes = Field(1, description="output positions from one input to the next: one number, or one an axis")
    pad: Padding = Field(
        0, description="what is cut off around the output: one number, one an axis, or [before, behind] an axis"
    )
    output_pad: Naturals = Field(0, description="positions added behind the output: one number, or one an axis")
    groups: Count = Field(1, description="groups of channels that do not mix")
    bias: bool = Field(True, description="whether a trained constant is added to each filter")

    def _per_axis(self) -> list[tuple[int, int, tuple[int, int], int]]:
        """Return (kernel, stride, pad, output_pad) of each spatial axis."""
        if self.pad == "same":
            raise ValueError("pad 'same' is not defined for a transposed convolution; give numbers")
        names: dict[str, Any] = {"kernel": self.kernel, "stride": self.stride, "output_pad": self.output_pad}
        kernel, stride, extra = (spread(value, self.rank, name) for name, value in names.items())
        return list(zip(kernel, stride, spread_pad(self.pad, self.rank), extra, strict=True))

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, filters, *out); ValueError where padding leaves nothing or groups do not divide."""
        sizes, out = spatial(inputs[0], self.rank), []
        for n, (size, (taps, stride, (low, high), extra)) in enumerate(
            zip(sizes, self._per_axis(), strict=True)
        ):
            out.append((size - 1) * stride + taps - low - high + extra)
            if out[-1] < 1:
                raise ValueError(f"pad {low} + {high} leaves nothing of the output on spatial axis {n}")
            if extra and extra >= stride:
                raise ValueError(f"output_pad {extra} must be smaller than stride {stride}")
        for count, what in ((inputs[0][1], "input channels"), (self.filters, "filters")):
            if count % self.groups:
                raise ValueError(f"{self.groups} groups do not divide {count} {what}")
        return ((inputs[0][0], self.filters, *out),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (channels, filters / groups, *kernel) and bias (filters,)."""
        kernel = spread(self.kernel, self.rank, "kernel")
        weight = (inputs[0][1], self.filters // self.groups, *kernel)
        return {"weight": weight, "bias": (self.filters,)} if self.bias else {"weight": weight}

    def _phases(self, shape: Shape) -> Iterator[Phase]:
        outputs = self.infer([shape])[0][2:]
        axes = [
            list(_axis_phases(size, out, taps, stride, low))
            for size, out, (taps, stride, (low, _), _) in zip(
                shape[2:], outputs, self._per_axis(), strict=True
            )
        ]
        for combination in product(*axes):
            places, taps, windows = zip(*combination, strict=True)
            yield places, taps, windows

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return a contraction for each phase that has taps."""
        batch, channels = inputs[0][:2]
        filters, channels = self.filters // self.groups, channels // self.groups
        return tuple(
            Contraction("conv_transpose", filters, channels, batch, self.groups, axes, biased=self.bias)
            for _, _, axes in self._phases(inputs[0])
        )

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the output that each input, tap by tap, was added into; what falls in the padding is cut."""
        image, weight = inputs[0], weights["weight"]
        (shape,) = self.infer([image.shape])
        per_axis = self._per_axis()
        reach = [
            max((n - 1) * step + taps, low + out)
            for n, out, (taps, step, (low, _), _) in zip(image.shape[2:], shape[2:], per_axis, strict=True)
        ]
        whole = np.zeros((*shape[:2], *reach), np.result_type(image, weight))
        spread_over = whole.reshape(shape[0], self.groups, -1, *reach)
        split = by_group(image, self.groups)
        kernels = weight.reshape(self.groups, -1, *weight.shape[1:])
        for tap in product(*(range(taps) for taps, *_ in per_axis)):
            hit = tuple(
                slice(t, t + (n - 1) * step + 1, step)
                for t, n, (_, step, _, _) in zip(tap, image.shape[2:], per_axis, strict=True)
            )
            spread_over[at(hit)] += np.einsum("gbc...,gcf->bgf...", split, kernels[at(tap)])
        cut = tuple(slice(p[0], p[0] + out) for (_, _, p, _), out in zip(per_axis, shape[2:], strict=True))
        result = whole[at(cut)]
        return (result + per_channel(weights["bias"], result.ndim) if self.bias else result,)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the input by group and the phase's taps as (groups, channels x taps, filters)."""
        image, weight = inputs[0], weights["weight"]
        kernels = weight.reshape(self.groups, -1, *weight.shape[1:])
        split = by_group(image, self.groups)
        return [
            (split, np.moveaxis(kernels[at(taps)], 2, -1).reshape(self.groups, -1, kernels.shape[2]))
            for _, taps, _ in self._phases(image.shape)
        ]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (batch, filters, *out) with the outputs of each phase in their places."""
        (shape,) = self.infer(inputs)
        result = np.zeros(shape, np.result_type(*products))
        for part, (places, _, axes) in zip(products, self._phases(inputs[0]), strict=True):
            result[at(places)] = from_groups(part, (*shape[:2], *(axis.out for axis in axes)))
        return result

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return the up-convolution of a U-Net, an overlapping one, a grouped one, one with empty phases."""
        sizes = (4, 3, 2)[: cls.rank]
        return [
            (cls(filters=3, kernel=2, stride=2), ((1, 4, *sizes),)),
            (cls(filters=3, kernel=3, stride=2, pad=1, output_pad=1), ((2, 2, *sizes),)),
            (cls(filters=4, kernel=4, stride=3, groups=2, bias=False), ((1, 4, *sizes),)),
            (cls(filters=2, kernel=1, stride=2), ((1, 2, *sizes),)),
        ]


def _axis_phases(size: int, out: int, taps: int, stride: int, low: int) -> Iterator[tuple[slice, slice, Axis]]:
    """Yield (outputs, taps, window) of each phase of one axis that has both outputs and taps."""
    for phase in range(min(stride, out)):
        first = (phase + low) % stride
        count = ceil((taps - first) / stride)
        if count < 1:
            continue
        last = first + stride * (count - 1)
        backwards = slice(last, first - 1 if first else None, -stride)
        ahead = (phase + low - first) // stride
        window = Axis(size, ceil((out - phase) / stride), count, pad=count - 1 - ahead)
        yield slice(phase, out, stride), backwards, window


@op("conv_transpose1d")
class ConvTranspose1d(ConvTranspose):
    """A transposed convolution over one spatial axis."""

    rank = 1


@op("conv_transpose2d")
class ConvTranspose2d(ConvTranspose):
    """A transposed convolution over two spatial axes."""

    rank = 2


@op("conv_transpose3d")
class ConvTranspose3d(ConvTranspose):
    """A transposed convolution over three spatial axes."""

    rank = 3
