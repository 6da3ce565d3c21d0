"""How a contraction is cut for a chip: tiles, loop order, and what stays on chip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import prod

from sim import display
from sim.arch import Arch
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Axis, Contraction

DIMS: tuple[Dim, Dim, Dim] = ("m", "n", "k")

def spans(arch: Arch) -> dict[Dim, int]:
    """Return how much of each dimension a fold of the array takes on a side, or in a step of what streams.

    A side takes as many elements as it has PEs, a step takes one; along k a PE takes as many at once as its rate says.
    """
    assert arch.array is not None  # the caller has checked it
    flow = DATAFLOWS[arch.array.dataflow]
    found: dict[Dim, int] = {flow.row: arch.array.rows, flow.col: arch.array.cols, flow.stream: 1}
    found["k"] *= arch.mac_rate
    return found


def words(size: int, rate: int) -> int:
    """Return the words of `rate` elements each, the last one perhaps not full, that `size` elements along k make."""
    return -(-size // rate)


RELEVANT: dict[str, tuple[Dim, Dim]] = {"weight": ("n", "k"), "input": ("m", "k"), "output": ("m", "n")}
"""The dimensions that each operand of output[M,N] = input[M,K] · weight[K,N] spans."""


@dataclass(frozen=True)
class Mapping:
    """Tile sizes in elements, tile loops from outermost to innermost, and where each operand is held.

    `hold[operand]` is the number of tile loops outside the scope in which the operand stays on chip: 0
    keeps it for the whole layer, 3 for one tile. Groups are cut into tiles of `g`, outside all loops.
    `packed` groups lie block-diagonally on the array at once. Several arrays divide `split` of a tile.
    """

    m: int
    n: int
    k: int
    g: int = 1
    order: tuple[Dim, Dim, Dim] = ("m", "n", "k")
    hold: tuple[tuple[str, int], ...] = (("weight", 3), ("input", 3), ("output", 2))
    packed: int = 1
    lowering: str = "im2col"
    split: Dim | None = None

    def _repr_html_(self) -> str:
        """Return the mapping as its loops from the outermost inwards, with what is held in each."""
        rows = [
            (f"for {dim}: tiles of {self.tile(dim):,}", ", ".join(o for o, outside in self.hold if outside == level))
            for level, dim in enumerate(self.order)
        ]
        rows.append(("one tile on the array", ", ".join(o for o, outside in self.hold if outside == len(self.order))))
        return display.card(f"mapping, {self.lowering}", (), display.table(("loop", "held from here"), rows))

    def level(self, operand: str) -> int:
        """Return the number of tile loops outside the scope of `operand`."""
        return dict(self.hold)[operand]

    def inside(self, operand: str) -> tuple[Dim, ...]:
        """Return the tile loops inside the scope of `operand`: along them it is held whole."""
        return self.order[self.level(operand) :]

    def tile(self, dim: Dim) -> int:
        """Return the tile size along `dim`."""
        return int(getattr(self, dim))


@dataclass(frozen=True)
class TileLoop:
    """`count` equal tiles of `size` behind each other; each reads `window` inputs of a channel."""

    count: int
    size: int
    window: int = 0
    inner: tuple[TileLoop, ...] = ()


@lru_cache(maxsize=4096)
def tile_loops(total: int, size: int) -> tuple[TileLoop, ...]:
    """Return the tiles of `size` that cover `total`, the last one smaller where it must be."""
    full, rest = divmod(total, size)
    return tuple(TileLoop(count, s) for count, s in ((full, size), (1, rest)) if count and s)


@lru_cache(maxsize=4096)
def row_loops(batch: int, axes: tuple[Axis, ...], size: int) -> tuple[TileLoop, ...]:
    """Return the tiles of M: whole images, or cuts of each image; with the inputs a channel they read."""
    positions = prod(axis.out for axis in axes)
    whole = window(axes, 0, positions)
    if size >= positions:
        images = tile_loops(batch, size // positions)
        return tuple(TileLoop(r.count, r.size * positions, r.size * whole) for r in images)
    cuts = _cuts(axes, size)
    return cuts if batch == 1 else (TileLoop(batch, positions, whole, cuts),)


def _cuts(axes: tuple[Axis, ...], size: int) -> tuple[TileLoop, ...]:
    """Return the tiles of one image: row by row where `size` divides a row, else one behind the other."""
    positions, inner = prod(axis.out for axis in axes), prod(axis.out for axis in axes[1:])
    if size < inner and inner % size == 0:
        row = _cuts(axes[1:], size)
        reads = [axes[0].touched(at, 1) for at in range(axes[0].out)]
        return tuple(
            TileLoop(len(list(same)), inner, read * window(axes[1:], 0, inner), _scaled(row, read))
            for read, same in groupby(reads)
        )
    starts = range(0, positions, size)
    cuts = ((min(size, positions - at), window(axes, at, min(at + size, positions))) for at in starts)
    return tuple(TileLoop(len(list(same)), length, read) for (length, read), same in groupby(cuts))


def _scaled(tiles: tuple[TileLoop, ...], times: int) -> tuple[TileLoop, ...]:
    """Return the tiles with `times` the inputs each: those of as many rows of the axis around them."""
    return tuple(TileLoop(r.count, r.size, r.window * times, _scaled(r.inner, times)) for r in tiles)


def window(axes: tuple[Axis, ...], start: int, stop: int) -> int:
    """Return how many inputs of a channel are loaded for output positions [start, stop) of an image.

    Positions count in raster order. A cut across rows of an axis loads the touched rows whole.
    """
    if not axes:
        return 1
    inner = prod(axis.out for axis in axes[1:])
    first, last = start // inner, (stop - 1) // inner
    if first == last:
        return axes[0].touched(first, 1) * window(axes[1:], start - first * inner, stop - first * inner)
    return axes[0].touched(first, last - first + 1) * prod(axis.touched(0, axis.out) for axis in axes[1:])


def flat(tiles: tuple[TileLoop, ...]) -> list[tuple[int, int, int]]:
    """Return (count, size, window) of the tiles without nesting, counts multiplied out."""
    return [
        (loop.count * count, size, read)
        for loop in tiles
        for count, size, read in (flat(loop.inner) if loop.inner else [(1, loop.size, loop.window)])
    ]


def tile_count(tiles: tuple[TileLoop, ...]) -> int:
    """Return how many tiles there are."""
    return sum(count for count, _, _ in flat(tiles))


@dataclass(frozen=True)
class Tiling:
    """A contraction cut by a mapping: the tiles along each dimension and the sizes of operand tiles."""

    kernel: Contraction
    mapping: Mapping

    def loops(self, dim: Dim) -> tuple[TileLoop, ...]:
        """Return the tiles along `dim`."""
        if dim == "m":
            return row_loops(self.kernel.batch, self.kernel.axes, self.mapping.m)
        return tile_loops(getattr(self.kernel, dim), self.mapping.tile(dim))

    def count(self, dim: Dim) -> int:
        """Return the number of tiles along `dim`."""
        return tile_count(self.loops(dim))

    @property
    def group_loops(self) -> tuple[TileLoop, ...]:
        """The tiles of groups."""
        return tile_loops(self.kernel.groups, self.mapping.g)

    def loads(self, operand: str) -> int:
        """Return how often a scope of `operand` opens in the layer."""
        outside = self.mapping.order[: self.mapping.level(operand)]
        return tile_count(self.group_loops) * prod(self.count(dim) for dim in outside)

    def largest(self, operand: str) -> int:
        """Return the elements of the largest tile of `operand` that is held at once."""
        inside, kernel = self.mapping.inside(operand), self.kernel
        if operand == "input":
            tiles = flat(self.loops("m"))
            reads = sum(c * w for c, _, w in tiles) if "m" in inside else max(w for _, _, w in tiles)
            whole = kernel.batch * window(kernel.axes, 0, kernel.positions)
            reads = min(reads, whole) if "m" in inside else reads
            depth = kernel.k if "k" in inside else self.mapping.k
            return self.mapping.g * reads * channels(kernel, depth)
        sizes = (getattr(kernel, d) if d in inside else min(self.mapping.tile(d), getattr(kernel, d))
                 for d in RELEVANT[operand])  # fmt: skip
        return self.mapping.g * int(prod(sizes))


    @property
    def parameter_level(self) -> int:
        """The number of tile loops outside the scope of the parameters of filters (biases, those of fused work).

        They stay for all filters of the groups where these are in one tile, or where weights or sums of all of them
        stay; else they come and go with the tiles along n.
        """
        inside = (*self.mapping.inside("weight"), *self.mapping.inside("output"))
        return 0 if "n" in inside or self.count("n") == 1 else self.mapping.order.index("n") + 1

    @property
    def parameter_loads(self) -> int:
        """How often parameters are loaded: once where sums begin or end in their scope, so never again along k."""
        outside = self.mapping.order[: self.parameter_level]
        return tile_count(self.group_loops) * prod(self.count(dim) for dim in outside if dim != "k")

    def parameters_held(self, parameters: int) -> int:
        """Return how many of a kernel's `parameters` are held at once."""
        filters = self.mapping.n if self.parameter_level else self.kernel.n
        return share_of(parameters, self.kernel, min(self.mapping.g, self.kernel.groups), min(filters, self.kernel.n))


def share_of(parameters: int, kernel: Contraction, groups: int, filters: int) -> int:
    """Return how many of a kernel's `parameters` belong to some `filters` of some `groups`."""
    return -(-parameters * groups * filters // (kernel.groups * kernel.n))


def channels(kernel: Contraction, depth: int) -> int:
    """Return the channels that `depth` reduction steps read (whole channels, or taps of one)."""
    return -(-depth // kernel.taps)
