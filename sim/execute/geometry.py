"""Where the numbers of a step are: the folds of a tile on the array, the inputs that a load brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from sim.arch import Arch
from sim.dataflow import DATAFLOWS, Dim
from sim.errors import MappingError
from sim.kernel import Axis, Contraction
from sim.mapping import Mapping, spans, words
from sim.plan import Extent, Plan, Position

Index = NDArray[np.int64]


@dataclass(frozen=True)
class FoldBlock:
    """One fold on one array: the groups that lie on it, and which m, n and k of each group it multiplies."""

    array: int
    groups: range
    m: Index
    n: Index
    k: Index

    def along(self, dim: Dim) -> Index:
        """Return the positions along `dim`."""
        return {"m": self.m, "n": self.n, "k": self.k}[dim]


def fold_blocks(plan: Plan, arch: Arch, extent: Extent, at: Position) -> Iterator[FoldBlock]:
    """Yield the folds of a tile of `extent` at `at`, array by array, in the geometry of the array.

    The dataflow lays one dimension on the rows, one on the columns, and streams the third whole. Several
    arrays take shares of the split dimension that differ by one at most.
    """
    kernel, mapping, array = plan.kernel, plan.mapping, arch.array
    assert isinstance(kernel, Contraction) and isinstance(mapping, Mapping)  # plan of a contraction, in folds
    assert array is not None
    flow = DATAFLOWS[array.dataflow]
    span = spans(arch)
    pes = {dim: span[dim] for dim in (flow.row, flow.col)}
    sizes = dict(zip(("m", "n", "k"), extent[1:], strict=True))
    stop = at["g"] + extent[0]
    packs = [range(g, min(g + mapping.packed, stop)) for g in range(at["g"], stop, mapping.packed)]
    for index in range(array.count if mapping.split else 1):
        cuts: dict[str, list[Index]] = {}
        for dim, size in sizes.items():
            mine = np.arange(size)
            if dim == mapping.split:
                mine = mine[size * index // array.count : size * (index + 1) // array.count]
            pieces = _cut(kernel, mapping, dim, mine, pes[dim]) if dim in pes else [mine]
            cuts[dim] = [at[dim] + piece for piece in pieces if piece.size]
        for groups in packs:
            for m in cuts["m"]:
                for n in cuts["n"]:
                    for k in cuts["k"]:
                        yield _fitting(plan.name, FoldBlock(index, groups, m, n, k), pes, arch.mac_rate)


def _cut(kernel: Contraction, mapping: Mapping, dim: str, mine: Index, pes: int) -> list[Index]:
    """Cut positions along a side of `pes` PEs: densely, or tap by tap where k is lowered directly."""
    direct = dim == "k" and mapping.lowering == "direct"
    lanes = [mine[tap :: kernel.taps] for tap in range(kernel.taps)] if direct else [mine]
    return [lane[i : i + pes] for lane in lanes for i in range(0, lane.size, pes)]


def _fitting(name: str, block: FoldBlock, pes: dict[Dim, int], rate: int) -> FoldBlock:
    for dim, there in pes.items():
        at_once = rate if dim == "k" else 1
        needed, side = len(block.groups) * words(block.along(dim).size, at_once), there // at_once
        if needed > side:
            raise MappingError(
                f"{name}: {len(block.groups)} packed groups of {block.along(dim).size} {dim} need {needed} PEs "
                f"on a side of {side}"
            )
    return block


def input_region(kernel: Contraction, m: range, k: range) -> tuple[Index, ...]:
    """Return the indices (batch, channels, *sizes) of a group's inputs that a load for rows `m` and `k` brings.

    Raster order: rows of M within an image bring what `mapping.window` counts, the touched rows whole where
    the cut runs across rows; rows of M over images bring each image's touched inputs.
    """
    images = np.arange(m.start // kernel.positions, (m.stop - 1) // kernel.positions + 1)
    if images.size > 1:
        start, stop = 0, kernel.positions
    else:
        start = m.start % kernel.positions
        stop = start + len(m)
    channels = np.arange(k.start // kernel.taps, -(-k.stop // kernel.taps))
    return (images, channels, *_touched(kernel.axes, start, stop))


def _touched(axes: Sequence[Axis], start: int, stop: int) -> tuple[Index, ...]:
    """Return the input coordinates along each axis that the output positions [start, stop) read."""
    if not axes:
        return ()
    inner = prod(axis.out for axis in axes[1:])
    first, last = start // inner, (stop - 1) // inner
    if first == last:
        return (_read(axes[0], first, 1), *_touched(axes[1:], start - first * inner, stop - first * inner))
    return (_read(axes[0], first, last - first + 1), *(_read(axis, 0, axis.out) for axis in axes[1:]))


def _read(axis: Axis, start: int, count: int) -> Index:
    read = np.unique(axis.coordinates(start, count))
    return read[(read >= 0) & (read < axis.size)]
