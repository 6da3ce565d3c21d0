"""Changing spatial sizes: resampling, and padding with a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, PlainValidator, model_validator

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Margins, Sizes, at, spatial, spread, spread_pad
from sim.ops._vector import Movement, work


def _factor(value: Any) -> float | tuple[float, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if values and all(type(item) in (int, float) and item > 0 for item in values):
        return tuple(value) if isinstance(value, list | tuple) else value
    raise ValueError(f"expected a positive number or a list of one per spatial axis, not {value}")


Factor = Annotated[float | tuple[float, ...], PlainValidator(_factor)]


@op("resize")
class Resize(Op):
    """Resamples every spatial axis to size·factor (rounded down) or to `size`.

    `nearest` takes input floor(o · in / out); `bilinear` weighs the two inputs an axis around
    (o + 1/2) · in / out - 1/2, clamped to the edge (torch.nn.Upsample with align_corners=False).
    """

    factor: Factor | None = Field(None, description="output size by input size")
    size: Sizes | None = Field(None, description="output size: one number, or one an axis")
    mode: Literal["nearest", "bilinear"] = Field("nearest", description="how values between positions are made")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.factor is None) == (self.size is None):
            raise ValueError("needs either 'factor' or 'size'")
        return self

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, *size)."""
        sizes = spatial(inputs[0])
        if self.size is not None:
            return ((*inputs[0][:2], *spread(self.size, len(sizes), "size")),)
        factors = self.factor if isinstance(self.factor, tuple) else (self.factor or 1,) * len(sizes)
        if len(factors) != len(sizes):
            raise ValueError(f"factor has {len(factors)} values for {len(sizes)} spatial axes")
        return ((*inputs[0][:2], *(int(n * factor) for n, factor in zip(sizes, factors, strict=True))),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return movement for nearest; for bilinear 2^rank products and one sum less an output."""
        outputs = self.infer(inputs)
        corners = 2 ** (len(inputs[0]) - 2) if self.mode == "bilinear" else 0
        size = prod(outputs[0])
        return work("resize", inputs, outputs, mul=corners * size, add=max(corners - 1, 0) * size)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the resampled input, axis by axis."""
        result = inputs[0]
        for axis, out in enumerate(self.infer([result.shape])[0][2:], start=2):
            result = self._resample(result, axis, out)
        return (result,)

    def _resample(self, x: Array, axis: int, out: int) -> Array:
        size = x.shape[axis]
        if self.mode == "nearest":
            return np.asarray(np.take(x, np.arange(out) * size // out, axis=axis))
        place = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        low = place.astype(int)
        weight = (place - low).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        high = np.minimum(low + 1, size - 1)
        below, above = np.take(x, low, axis=axis), np.take(x, high, axis=axis)
        return np.asarray(below * (1 - weight) + above * weight)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return both modes, by factor and by size."""
        return [
            (cls(factor=2), ((1, 2, 3, 4),)),
            (cls(size=(5, 3), mode="bilinear"), ((1, 2, 3, 4),)),
            (cls(factor=1.5, mode="bilinear"), ((2, 1, 4),)),
        ]


@op("pad")
class Pad(Movement):
    """`value` around the spatial axes; where the number is negative, so much is cut off instead."""

    pad: Margins = Field(description="elements before and behind each axis")
    value: float = Field(0, description="what stands in them")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, *padded)."""
        sizes = spatial(inputs[0])
        sides = spread_pad(self.pad, len(sizes))
        return ((*inputs[0][:2], *(low + n + high for n, (low, high) in zip(sizes, sides, strict=True))),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the padded input."""
        sides = spread_pad(self.pad, inputs[0].ndim - 2)
        grown = [(0, 0), (0, 0), *((max(low, 0), max(high, 0)) for low, high in sides)]
        padded = np.pad(inputs[0], grown, constant_values=self.value)
        cut = (slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(padded.shape[2:], sides, strict=True))
        return (padded[at(tuple(cut))],)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on all sides, on some, and cutting one side off."""
        return [
            (cls(pad=1), ((1, 2, 3, 4),)),
            (cls(pad=((0, 1), (2, 0)), value=1.0), ((2, 1, 3, 3),)),
            (cls(pad=((-1, -1), (2, -1))), ((1, 2, 4, 4),)),
        ]
