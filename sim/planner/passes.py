"""The plan of a contraction on a row-stationary array: its loops over processing passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

from sim.arch import Arch
from sim.kernel import Contraction
from sim.passes import Cut, Passes, Piece, Planes, cuts, slots
from sim.plan import Claim, Compute, Free, Load, Loop, Node, PassShape, PassWork, Plan, Store
from sim.planner.contraction import ALONE, Surroundings, finish, processed, read_parameters
from sim.planner.tiles import on_chip_moves

Ways = tuple[tuple[str, int], ...]


def pass_shape(planes: Planes, passes: Passes, region: Region) -> PassShape:
    """Return what lies on which PE in a pass of `region`: equal shares of its filters and channels."""
    piece = region.piece
    window, (r, t) = planes.span(1, 1, piece.taps), (passes.r, passes.t)
    return PassShape(
        filters=-(-region.filters // t), channels=-(-region.channels // r), taps=piece.taps, window=window,
        step=min(window, planes.axes[1].stride), kernel_rows=piece.rows, width=region.rows, sets=(r, t),
        images=region.images, outputs=region.columns,
        weight_words=region.filters * region.channels * piece.rows * piece.taps,
        column_words=region.channels * planes.span(0, region.rows, piece.rows),
        sum_words=region.filters * region.rows,
    )  # fmt: skip


@dataclass(frozen=True)
class Region:
    """The sizes that the loops around a step have fixed."""

    piece: Piece
    image: int = 0
    images: int = 0
    row: int = 0
    rows: int = 0
    column: int = 0
    columns: int = 0
    filters: int = 0
    channels: int = 0


def pass_work(planes: Planes, passes: Passes, arch: Arch, region: Region) -> PassWork:
    """Return what a pass of `region` does: its shape, and the elements that it moves between PEs and buffers."""
    array, shape = arch.array, pass_shape(planes, passes, region)
    assert array is not None  # the caller has checked it
    piece, windows = region.piece, region.images * region.columns
    columns = region.images * (shape.window + (region.columns - 1) * shape.step)
    sums = shape.sum_words * windows
    behind, beside = -(-region.channels // shape.channels), -(-region.filters // shape.filters)
    used = piece.rows * region.rows * behind * beside
    hops = (
        ("weight", shape.weight_words * region.rows),
        ("input", used * columns * shape.channels),
        ("output", sums * behind * piece.rows),
    )
    reads = (("weight", shape.weight_words), ("input", columns * shape.column_words), ("output", sums))
    writes = (("output", sums),)
    return PassWork(
        shape=shape, macs=sums * region.channels * piece.rows * piece.taps, used=used,
        slots=array.rows * array.cols, hops=hops, reads=reads, writes=writes,
        moves=on_chip_moves(arch, reads, writes),
    )  # fmt: skip


class _Builder:
    """Builds the loops from the outermost inwards: groups, images, output rows and columns, blocks of `m`
    filters, channels and pieces of the kernel, filters."""

    def __init__(self, planes: Planes, passes: Passes, arch: Arch, around: Surroundings) -> None:
        self.planes, self.passes, self.arch, self.around = planes, passes, arch, around
        self.kernel, self.pieces = planes.kernel, planes.pieces(passes)
        self.depth = passes.q * passes.r
        self.blocks = cuts(self.kernel.filters, passes.m)
        reductions = -(-self.kernel.channels // self.depth) * len(self.pieces)
        self.one_input = reductions == 1
        self.one_weight = self.one_input and passes.p * passes.t >= self.kernel.filters

    def body(self) -> tuple[Node, ...]:
        region = Region(self.pieces[0])
        whole = replace(region, filters=self.kernel.filters, channels=self.kernel.channels)
        inside = self._held("weight", self.one_weight, whole, self.images(region))
        loops = (Loop("g", self.kernel.groups, 0, 1, inside),)
        if not self.around.parameters or not self.arch.bounded:
            return loops
        size = self.arch.bytes_of("partial_sum", self.around.parameters)
        return (Load("parameter", size, (1, 1, self.around.parameters, 1)), *loops, Free("parameter"))

    def images(self, region: Region) -> tuple[Node, ...]:
        planes, n = self.planes, self.passes.n
        taps = sorted({piece.outside for piece in self.pieces})

        def padding(start: int, _: int) -> tuple[bool, ...]:
            return tuple(planes.inside(start, tap) is None for tap in taps) if planes.outside else ()

        return self._positions(
            cuts(planes.images, n, padding), prod(a.out for a in planes.axes),
            lambda cut: self.rows(replace(region, image=cut.start, images=cut.size)),
        )  # fmt: skip

    def rows(self, region: Region) -> tuple[Node, ...]:
        rows, columns = self.planes.axes
        parts = sorted({(piece.row, piece.rows) for piece in self.pieces})
        found = cuts(rows.out, self.passes.e, lambda s, c: tuple(self.planes.touched(0, s, c, *p) for p in parts))
        return self._positions(
            found, columns.out, lambda cut: self.columns(replace(region, row=cut.start, rows=cut.size))
        )

    def columns(self, region: Region) -> tuple[Node, ...]:
        parts = sorted({(piece.tap, piece.taps) for piece in self.pieces})
        axis = self.planes.axes[1]
        found = cuts(axis.out, self.passes.f, lambda s, c: tuple(self.planes.touched(1, s, c, *p) for p in parts))

        def inside(cut: Cut) -> tuple[Node, ...]:
            here = replace(region, column=cut.start, columns=cut.size, channels=self.kernel.channels)
            return self._held("input", self.one_input, here, self.filters(here))

        return self._positions(found, 1, inside)

    def filters(self, region: Region) -> tuple[Node, ...]:
        return tuple(
            Loop("n", cut.count, cut.start, cut.size, self.block(replace(region, filters=cut.size)))
            for cut in self.blocks
        )

    def block(self, region: Region) -> tuple[Node, ...]:
        """Return the passes of one block of sums, from where it takes its place to where it is stored."""
        elements = region.images * region.rows * region.columns * region.filters
        extent = (1, elements // region.filters, region.filters, self.kernel.k)
        claim = [Claim("output", self.arch.bytes_of("partial_sum", elements))] if self.arch.bounded else []
        steps: list[Node] = [*claim, *self.channels(region)]
        steps += finish(self.arch, self.kernel, self.around, extent)
        if self.arch.bounded:
            if "output" not in self.around.on_chip:
                steps.append(Store(self.arch.bytes_of("output", elements), extent))
            steps.append(Free("output"))
        return tuple(steps)

    def channels(self, region: Region) -> tuple[Node, ...]:
        """Return the loops over what is summed up, the first apart, as it starts the sums."""
        first, *rest = cuts(self.kernel.channels, self.depth)
        found = [Cut(first.start, 1, first.size)]
        if first.count > 1:
            found.append(Cut(first.start + first.size, first.count - 1, first.size))
        taps = self.kernel.taps
        return tuple(
            Loop("k", cut.count, cut.start * taps, cut.size * taps, tuple(
                self.part(replace(region, channels=cut.size, piece=piece), cut.start == i == 0)
                for i, piece in enumerate(self.pieces)
            ))
            for cut in [*found, *rest]
        )  # fmt: skip

    def part(self, region: Region, first: bool) -> Loop:
        """Return the passes over a part of the kernel, all filters of a block."""

        def inside(cut: Cut) -> tuple[Node, ...]:
            here = replace(region, filters=cut.size)
            work = pass_work(self.planes, self.passes, self.arch, here)
            points = here.images * here.rows * here.columns
            depth = here.channels * here.piece.rows * here.piece.taps
            extent = (1, points, here.filters, depth)
            if first and not processed(self.arch, self.around):
                parameters = read_parameters(self.arch, self.kernel, self.around, extent)
                work = replace(work, moves=(*work.moves, *parameters))
            compute = Compute(work, extent, first)
            return self._held("weight", not self.one_weight, here, (compute,))

        groups = cuts(region.filters, self.passes.p * self.passes.t)
        loops = tuple(Loop("n", cut.count, cut.start, cut.size, inside(cut)) for cut in groups)
        return Loop("k", 1, region.piece.at, 0, self._held("input", not self.one_input, region, loops))

    def _positions(self, found: list[Cut], step: int, body: Callable[[Cut], tuple[Node, ...]]) -> tuple[Node, ...]:
        """Return loops along the output positions of which one is `step` rows of the product."""
        return tuple(Loop("m", cut.count, cut.start * step, cut.size * step, body(cut)) for cut in found)

    def _held(self, operand: str, here: bool, region: Region, inside: tuple[Node, ...]) -> tuple[Node, ...]:
        """Return steps with the tile of `operand` on chip around them, if it is held in this scope."""
        if not here or not self.arch.bounded or operand in self.around.on_chip:
            return inside
        return (self._load(operand, region), *inside, Free(operand))

    def _load(self, operand: str, region: Region) -> Load:
        piece, planes = region.piece, self.planes
        if operand == "weight":
            depth = region.channels * piece.rows * piece.taps
            return Load("weight", self.arch.bytes_of("weight", region.filters * depth), (1, 1, region.filters, depth))
        there = planes.inside(region.image, piece.outside) is not None
        rows = planes.touched(0, region.row, region.rows, piece.row, piece.rows)
        columns = planes.touched(1, region.column, region.columns, piece.tap, piece.taps)
        size = self.arch.bytes_of("input", region.images * region.channels * rows * columns * there)
        points = region.images * region.rows * region.columns
        return Load("input", size, (1, points, 1, region.channels * piece.rows * piece.taps))


def plan_passes(
    kernel: Contraction, passes: Passes, arch: Arch, unit: str, around: Surroundings = ALONE
) -> Plan:
    """Return the plan of a contraction in row-stationary passes among what surrounds it.

    An operand that changes in no loop below is loaded above it: inputs stay while filters change where one pass
    holds all channels, weights stay for the layer where one pass holds them all.
    """
    planes = Planes(kernel)
    body = _Builder(planes, passes, arch, around).body()
    tiles: Ways = tuple(slots(planes, passes, arch, around.parameters).items()) if arch.bounded else ()
    return Plan(kernel.name, kernel, unit, body, tiles, passes)
