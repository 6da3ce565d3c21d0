"""What a step of a plan touches of each tensor, as boxes in the order of the tensor's layout.

Layouts, from the outermost dimension inwards:

| layout | activations | weights |
|---|---|---|
| `row_major` | image, group, channel, positions (NCHW) | group, filter, channel, taps (OIHW) |
| `channel_last` | image, positions, group, channel (NHWC) | group, filter, taps, channel (OHWI) |
| `tiled` | image, block of channels, positions, channel (NCHWc), a burst a block | the tiles that the plan loads |

Partial sums that are spilled, and parameters of vector work, lie as they are moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim.execute.geometry import input_region
from sim.execute.passes import PassGeometry
from sim.kernel import Contraction
from sim.layout.streams import Dims, Index
from sim.plan import Extent, Load, Store


@dataclass(frozen=True)
class Region:
    """A box of one tensor: its dimensions as they lie in memory; `bits` an element."""

    dims: Dims
    bits: float


@dataclass(frozen=True)
class View:
    """How a contraction sees its operands: layouts by operand, bits by operand, elements a burst holds."""

    kernel: Contraction
    layouts: Mapping[str, str]
    bits: Mapping[str, float]
    burst: int
    passes: PassGeometry | None = None
    """Where the boxes are of an array that works in passes."""

    def block(self, operand: str) -> int:
        """Return the channels of a block in the tiled layout: as many as a burst holds."""
        return max(1, int(self.burst * 8 // self.bits[operand]))


def regions(view: View, step: Load | Store, at: Mapping[str, int]) -> Region:
    """Return the box of the tensor that a load or store of a contraction touches with the loops at `at`."""
    partial = step.partial
    if isinstance(step, Store) or step.operand == "output":
        return _partial(view, step.extent, at) if partial else _output(view, step.extent, at)
    if step.operand == "weight":
        return _weight(view, step.extent, at)
    if step.operand == "input":
        return _input(view, step.extent, at)
    return _parameters(view, step, at)


def _parameters(view: View, step: Load | Store, at: Mapping[str, int]) -> Region:
    """Return the parameters of the filters of a tile: one filter's behind the other's."""
    bits, (g, _, n, _) = view.bits["partial_sum"], step.extent
    count = int(step.bytes * 8 // bits)
    first = (at["g"] * view.kernel.n + at["n"]) * count // (g * n)
    return Region([(first + count, _span(first, count))], bits)


def _span(start: int, size: int) -> Index:
    return np.arange(start, start + size)


def _input(view: View, extent: Extent, at: Mapping[str, int]) -> Region:
    kernel = view.kernel
    m, k = range(at["m"], at["m"] + extent[1]), range(at["k"], at["k"] + extent[3])
    images, channels, *coordinates = view.passes.inputs(at) if view.passes else input_region(kernel, m, k)
    space = [(axis.size, index) for axis, index in zip(kernel.axes, coordinates, strict=True)]
    group = (kernel.groups, _span(at["g"], extent[0]))
    return _activation(view, "input", (kernel.batch, images), group, (kernel.channels, channels), space)


def _output(view: View, extent: Extent, at: Mapping[str, int]) -> Region:
    kernel, rows = view.kernel, _span(at["m"], extent[1])
    images = np.unique(rows // kernel.positions)
    inside = rows % kernel.positions if images.size == 1 else np.arange(kernel.positions)
    group = (kernel.groups, _span(at["g"], extent[0]))
    channel = (kernel.n, _span(at["n"], extent[2]))
    space = [(kernel.positions, inside)]
    if view.passes:
        images, *outs = view.passes.outputs(at)
        space = [(axis.out, index) for axis, index in zip(kernel.axes, outs, strict=True)]
    return _activation(view, "output", (kernel.batch, images), group, channel, space)


def _activation(
    view: View, operand: str, image: tuple[int, Index], group: tuple[int, Index], channel: tuple[int, Index],
    space: list[tuple[int, Index]],
) -> Region:  # fmt: skip
    layout, bits = view.layouts[operand], view.bits[operand]
    if layout == "row_major":
        return Region([image, group, channel, *space], bits)
    if layout == "channel_last":
        return Region([image, *space, group, channel], bits)
    block = view.block(operand)
    depth = group[0] * channel[0]
    channels = (group[1][:, None] * channel[0] + channel[1][None, :]).ravel()
    touched = np.unique(channels // block)
    return Region([image, (-(-depth // block), touched), *space, (block, np.arange(block))], bits)


def _weight(view: View, extent: Extent, at: Mapping[str, int]) -> Region:
    kernel, bits = view.kernel, view.bits["weight"]
    g, n, k = _span(at["g"], extent[0]), _span(at["n"], extent[2]), _span(at["k"], extent[3])
    k = view.passes.k(at) if view.passes else k
    layout = view.layouts["weight"]
    if layout == "tiled":
        return _packed(kernel.n * kernel.k, (g, n, k), (at["n"] * kernel.k, at["k"]), bits)
    if layout == "row_major":
        return Region([(kernel.groups, g), (kernel.n, n), (kernel.k, k)], bits)
    channels = np.unique(k // kernel.taps)
    whole = view.passes is None and k.size >= kernel.taps
    taps = np.arange(kernel.taps) if whole else np.unique(k % kernel.taps)
    return Region([(kernel.groups, g), (kernel.n, n), (kernel.taps, taps), (kernel.channels, channels)], bits)


def _partial(view: View, extent: Extent, at: Mapping[str, int]) -> Region:
    kernel = view.kernel
    g, m, n = _span(at["g"], extent[0]), _span(at["m"], extent[1]), _span(at["n"], extent[2])
    return _packed(kernel.m * kernel.n, (g, m, n), (at["m"] * kernel.n, at["n"]), view.bits["partial_sum"])


def _packed(group: int, box: tuple[Index, Index, Index], corner: tuple[int, int], bits: float) -> Region:
    """Return a tile that lies together: behind all of the tiles before it, whatever its shape."""
    groups, outer, inner = box
    start = int(groups[0]) * group + (corner[0] + corner[1] * outer.size) * groups.size
    size = groups.size * outer.size * inner.size
    return Region([(start + size, _span(start, size))], bits)
