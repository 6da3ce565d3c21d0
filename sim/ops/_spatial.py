"""What operators on spatial axes share: the parameter types, and from sizes to windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil as round_up
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import PlainValidator

from sim.kernel import Axis
from sim.op import Array, Shape


def _whole(value: Any, least: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)


def _per_axis(value: Any, least: int, what: str) -> int | tuple[int, ...]:
    if _whole(value, least):
        return int(value)
    if isinstance(value, list | tuple) and value and all(_whole(item, least) for item in value):
        return tuple(value)
    raise ValueError(f"expected {what} or a list of one per spatial axis, not {value}")


def _positive(value: Any) -> int | tuple[int, ...]:
    return _per_axis(value, 1, "a positive integer")


def _natural(value: Any) -> int | tuple[int, ...]:
    return _per_axis(value, 0, "0 or a positive integer")


def _pad(value: Any) -> int | tuple[int, ...] | tuple[tuple[int, int], ...] | Literal["same"]:
    if value == "same":
        return "same"
    sides = _sides(value, 0)
    if sides is None:
        wanted = "0 or a positive integer, one per spatial axis, [low, high] per spatial axis, or 'same'"
        raise ValueError(f"expected {wanted}, not {value}")
    return sides


def _margins(value: Any) -> int | tuple[int, ...] | tuple[tuple[int, int], ...]:
    sides = _sides(value, None)
    if sides is None:
        wanted = "an integer, one per spatial axis, or [low, high] per spatial axis"
        raise ValueError(f"expected {wanted}, not {value}")
    return sides


def _sides(value: Any, least: int | None) -> int | tuple[int, ...] | tuple[tuple[int, int], ...] | None:
    if _whole(value, least):
        return int(value)
    items = value if isinstance(value, list | tuple) else []
    if items and all(_whole(item, least) for item in items):
        return tuple(items)
    pairs = [item for item in items if isinstance(item, list | tuple) and len(item) == 2]
    if items and len(pairs) == len(items) and all(_whole(side, least) for pair in pairs for side in pair):
        return tuple((low, high) for low, high in pairs)
    return None


def _count(value: Any) -> int:
    if not _whole(value, 1):
        raise ValueError(f"expected a positive integer, not {value}")
    return int(value)


Count = Annotated[int, PlainValidator(_count)]
"""A positive integer."""
Sizes = Annotated[int | tuple[int, ...], PlainValidator(_positive)]
"""A positive integer, or one per spatial axis."""
Naturals = Annotated[int | tuple[int, ...], PlainValidator(_natural)]
"""An integer of at least 0, or one per spatial axis."""
Padding = Annotated[int | tuple[int, ...] | tuple[tuple[int, int], ...] | Literal["same"], PlainValidator(_pad)]
"""Zeros around the input: on every side, per axis, [low, high] per axis, or 'same' as in TensorFlow."""

Margins = Annotated[int | tuple[int, ...] | tuple[tuple[int, int], ...], PlainValidator(_margins)]
"""As `Padding` without 'same'; a negative number cuts off."""


def spread(value: int | tuple[int, ...], rank: int, what: str) -> tuple[int, ...]:
    """Return one value per spatial axis; ValueError where there are more or fewer than axes."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise ValueError(f"{what} has {len(value)} values for {rank} spatial axes")
    return value


def spread_pad(pad: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Return (low, high) per spatial axis of a `Padding` that is not 'same'."""
    if isinstance(pad, tuple) and isinstance(pad[0], tuple):
        if len(pad) != rank:
            raise ValueError(f"pad has {len(pad)} pairs for {rank} spatial axes")
        return pad
    return tuple((side, side) for side in spread(pad, rank, "pad"))


def spatial(shape: Shape, rank: int | None = None) -> Shape:
    """Return the spatial sizes of (batch, channels, *spatial); ValueError where there are not `rank` of them."""
    if len(shape) < 3 or (rank is not None and len(shape) != rank + 2):
        axes = f"{rank} spatial {'axis' if rank == 1 else 'axes'}" if rank else "spatial axes"
        raise ValueError(f"needs an input of (batch, channels, {axes}), not {shape}")
    return shape[2:]


def windows(
    sizes: Shape, kernel: Any, stride: Any, pad: Any, dilation: Any = 1, ceil: bool = False
) -> tuple[Axis, ...]:
    """Return the window along each spatial axis; ValueError where it is larger than the padded input.

    Output sizes are floor((size + low + high - span) / stride) + 1 with span = dilation·(kernel - 1) + 1.
    With `ceil` the quotient is rounded up, but a window must begin inside the input or the padding before
    it (PyTorch, torch.nn.MaxPool2d). 'same' gives ceil(size / stride) outputs and puts the odd zero
    behind (TensorFlow, tf.nn.convolution).
    """
    rank = len(sizes)
    kernels, strides = spread(kernel, rank, "kernel"), spread(stride, rank, "stride")
    dilations = spread(dilation, rank, "dilation")
    pads = None if pad == "same" else spread_pad(pad, rank)
    result = []
    for n, (size, taps, step, gap) in enumerate(zip(sizes, kernels, strides, dilations, strict=True)):
        span = gap * (taps - 1) + 1
        low, high = _same(size, step, span) if pads is None else pads[n]
        slack = size + low + high - span
        if slack < 0:
            wide = f"kernel {taps}" if gap == 1 else f"kernel {taps} with dilation {gap} (spanning {span})"
            padded = size + low + high
            raise ValueError(f"{wide} is larger than the padded input {padded} on spatial axis {n}")
        out = slack // step + 1
        if ceil and slack % step and out * step < size + low:
            out += 1
        result.append(Axis(size, out, taps, step, gap, low))
    return tuple(result)


def _same(size: int, step: int, span: int) -> tuple[int, int]:
    total = max((round_up(size / step) - 1) * step + span - size, 0)
    return total // 2, total - total // 2


def taps(image: Array, axes: Sequence[Axis], fill: Any = 0) -> dict[tuple[int, ...], Array]:
    """Return, for each kernel tap, what it reads at every output: (batch, channels, *out). `fill` pads.

    Written from the definition by padding and striding, apart from how Contraction gathers.
    """
    pads = [(0, 0)] * (image.ndim - len(axes))
    for axis in axes:
        reach = (axis.out - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
        pads.append((axis.pad, max(reach - axis.size - axis.pad, 0)))
    padded = np.pad(image, pads, constant_values=fill)
    result = {}
    for tap in product(*(range(axis.kernel) for axis in axes)):
        cut = [slice(None)] * (image.ndim - len(axes))
        for offset, axis in zip(tap, axes, strict=True):
            first = offset * axis.dilation
            cut.append(slice(first, first + (axis.out - 1) * axis.stride + 1, axis.stride))
        result[tap] = padded[tuple(cut)]
    return result


def at(places: Sequence[Any]) -> Any:
    """Return the index of `places` on the last axes, with all of the axes before them."""
    return (..., *places)


def per_channel(values: Array, rank: int) -> Array:
    """Return one value per channel in a shape that broadcasts over (batch, channels, *spatial)."""
    return values.reshape(-1, *(1,) * (rank - 2))
