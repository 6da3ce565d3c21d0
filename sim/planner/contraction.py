"""The plan of a contraction: its tile loops, from the outermost inwards."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from sim.arch import Arch
from sim.dataflow import Dim
from sim.fits import sum_copies
from sim.kernel import Contraction, VectorWork
from sim.mapping import RELEVANT, TileLoop, Tiling, channels, share_of, tile_count
from sim.plan import (
    Broadcast,
    Claim,
    Compute,
    Extent,
    Free,
    Load,
    Loop,
    Moves,
    Node,
    Plan,
    Process,
    Reduce,
    Store,
    TileWork,
)  # fmt: skip
from sim.planner.tiles import tile_work
from sim.planner.vector import process


@dataclass(frozen=True)
class Surroundings:
    """What a kernel has around it: operands that are kept on chip and need no transfer, vector work that
    runs on each output tile before it is stored, and parameters (biases, norms) that work needs."""

    on_chip: frozenset[str] = frozenset()
    epilogue: tuple[VectorWork, ...] = ()
    parameters: int = 0


ALONE = Surroundings()


class Context(NamedTuple):
    """Where a loop body stands: the sizes that the loops around it have left, and the inputs of a channel it reads."""

    extent: Extent
    read: int
    first: bool = True
    last: bool = True


class Works:
    """What units do for the tiles of one contraction on one chip, worked out once for all of its plans."""

    def __init__(self, arch: Arch, kernel: Contraction, around: Surroundings) -> None:
        self.arch, self.kernel, self.around = arch, kernel, around
        self.processed = processed(arch, around)
        self.bits = {o: round(16 * arch.bits(o)) for o in ("weight", "input", "output", "partial_sum")}
        self.whole = kernel.input_elements // (kernel.groups * kernel.channels)
        self._tiles: dict[Hashable, TileWork] = {}
        self._finishes: dict[Extent, list[Process]] = {}

    def bytes(self, operand: str, elements: int) -> int:
        """Return the bytes that elements of an operand take."""
        return -(-elements * self.bits[operand] // 128)

    def tile(self, tiling: Tiling, extent: Extent, first: bool) -> TileWork:
        """Return what the array does for a tile; where nothing follows it reads the parameters that sums begin with."""
        mapping = tiling.mapping
        key = (extent, first, mapping.packed, mapping.split, mapping.lowering)
        found = self._tiles.get(key)
        if found is None:
            found = tile_work(tiling, self.arch, extent, first)
            if first and not self.processed:
                parameters = read_parameters(self.arch, self.kernel, self.around, extent)
                found = replace(found, moves=(*found.moves, *parameters))
            self._tiles[key] = found
        return found

    def finish(self, extent: Extent) -> list[Process]:
        """Return what lanes do for the outputs of `extent`."""
        if extent not in self._finishes:
            self._finishes[extent] = finish(self.arch, self.kernel, self.around, extent)
        return self._finishes[extent]


class _Builder:
    """Builds the tile loops of one contraction, from the outermost inwards."""

    def __init__(self, tiling: Tiling, works: Works) -> None:
        self.tiling, self.arch, self.works = tiling, works.arch, works
        self.kernel, self.mapping = tiling.kernel, tiling.mapping
        self.on_chip, self.parameters = works.around.on_chip, works.around.parameters
        self.count = self.arch.array.count if self.arch.array else 1
        self.bounded = self.arch.bounded
        self.copies = sum_copies(self.mapping, self.arch, min(self.mapping.k, self.kernel.k))
        self.levels = {o: self.mapping.level(o) for o in RELEVANT}
        self.whole_sums = "k" in self.mapping.inside("output")

    def body(self) -> tuple[Node, ...]:
        return tuple(
            Loop("g", loop.count, start, loop.size, self.level(0, self.context(loop.size)))
            for loop, start in _starts(self.tiling.group_loops)
        )

    def context(self, groups: int) -> Context:
        """Return where the body of the loop over groups stands."""
        kernel = self.kernel
        return Context((groups, kernel.m, kernel.n, kernel.k), self.works.whole)

    def level(self, depth: int, context: Context) -> tuple[Node, ...]:
        opening, closing = self.open_parameters(depth, context), list[Node]()
        freed = [Free("parameter")] if opening else []
        for operand, level in self.levels.items():
            if level == depth:
                opening += self.open(operand, context)
                closing += self.close(operand, context)
        inner = (self.compute(context),) if depth == 3 else self.loops(depth, context)
        reduce: list[Node] = []
        if depth == 3 and self.mapping.split == "k":
            others = sum_copies(self.mapping, self.arch, context.extent[3]) - 1
            reduce = [Reduce(self.works.bytes("partial_sum", prod(context.extent[:3])) * others)] if others else []
        return (*opening, *inner, *reduce, *closing, *freed)

    def open_parameters(self, depth: int, context: Context) -> list[Node]:
        """Return the load of the parameters whose scope this is, where sums begin in it or lanes finish them."""
        wanted = context.last if self.works.processed else context.first
        if not (self.parameters and self.bounded and wanted and self.tiling.parameter_level == depth):
            return []
        g, _, n, _ = context.extent
        size = self.works.bytes("partial_sum", share_of(self.parameters, self.kernel, g, n))
        return [Load("parameter", size, (g, 1, n, 1))]

    def loops(self, depth: int, context: Context) -> tuple[Node, ...]:
        dim = self.mapping.order[depth]
        tiles = self.tiling.loops(dim)
        if dim != "k":
            return _nest(dim, tiles, lambda loop: self.level(depth + 1, _fix(context, dim, loop)))
        ends = _peel(tiles)
        return tuple(
            Loop("k", loop.count, start, loop.size, self.level(depth + 1, _fix(context, "k", loop, i == 0, last)))
            for i, (loop, start) in enumerate(_starts(ends))
            for last in (i == len(ends) - 1,)
        )

    def compute(self, context: Context) -> Compute:
        return Compute(self.works.tile(self.tiling, context.extent, context.first), context.extent, context.first)

    def open(self, operand: str, context: Context) -> list[Node]:
        size, extent = self.size(operand, context), context.extent
        if operand == "output":
            resumed = not context.first and not self.whole_sums
            claim = [Claim("output", size * self.copies)] if self.bounded else []
            return [*claim, *([Load("output", size, extent, partial=True)] if resumed and claim else [])]
        steps: list[Node] = []
        if self.bounded and operand not in self.on_chip:
            steps.append(Load(operand, size, extent))
        if (self.mapping.split, operand) in (("m", "weight"), ("n", "input")):
            steps.append(Broadcast(operand, size * (self.count - 1)))
        return steps

    def close(self, operand: str, context: Context) -> list[Node]:
        if operand != "output":
            return [Free(operand)] if self.bounded and operand not in self.on_chip else []
        extent = context.extent
        if not context.last and not self.whole_sums:
            size = self.works.bytes("partial_sum", prod(extent[:3]))
            return [Store(size, extent, partial=True), Free("output")] if self.bounded else []
        steps: list[Node] = [*self.works.finish(extent)]
        if self.bounded:
            if "output" not in self.on_chip:
                steps.append(Store(self.works.bytes("output", prod(extent[:3])), extent))
            steps.append(Free("output"))
        return steps

    def size(self, operand: str, context: Context) -> int:
        """Return the bytes of the tile of `operand` in this scope."""
        g, m, n, k = context.extent
        if operand == "output":
            return self.works.bytes("partial_sum", g * m * n)
        if operand == "weight":
            return self.works.bytes("weight", g * n * k)
        return self.works.bytes("input", g * context.read * channels(self.kernel, k))


def processed(arch: Arch, around: Surroundings) -> bool:
    """Tell whether lanes finish each output tile."""
    return arch.vector is not None and bool(around.epilogue)


def finish(arch: Arch, kernel: Contraction, around: Surroundings, extent: Extent) -> list[Process]:
    """Return the share of the fused vector work that the outputs of `extent` take, done on the sums in place."""
    if not processed(arch, around):
        return []
    elements = prod(extent[:3])
    share = {o: 0 for work in around.epilogue for o, _ in work.operations}
    for work in around.epilogue:
        for operation, count in work.operations:
            share[operation] += -(-count * elements // work.outputs)
    size = arch.bytes_of("partial_sum", elements)
    moves = (("output", "read", size), ("output", "write", size), *read_parameters(arch, kernel, around, extent))
    return [process(arch, tuple(share.items()), elements, moves)]


def read_parameters(arch: Arch, kernel: Contraction, around: Surroundings, extent: Extent) -> Moves:
    """Return the read of the parameters that an output tile of `extent` needs: those of its filters, once."""
    g, _, n, _ = extent
    count = share_of(around.parameters, kernel, g, n)
    return (("parameter", "read", arch.bytes_of("partial_sum", count)),) if count else ()


def _fix(context: Context, dim: Dim, loop: TileLoop, first: bool = True, last: bool = True) -> Context:
    (g, m, n, k), read, began, ends = context
    if dim == "m":
        return Context((g, loop.size, n, k), loop.window, began, ends)
    if dim == "n":
        return Context((g, m, loop.size, k), read, began, ends)
    return Context((g, m, n, loop.size), read, first, last)


def _starts(tiles: Sequence[TileLoop]) -> list[tuple[TileLoop, int]]:
    """Return each loop with the position at which it begins."""
    starts = [sum(loop.count * loop.size for loop in tiles[:i]) for i in range(len(tiles))]
    return list(zip(tiles, starts, strict=True))


def _peel(tiles: Sequence[TileLoop]) -> list[TileLoop]:
    """Split the first and the last tile off, as sums start in one and are finished in the other."""
    few = tile_count(tuple(tiles)) <= 3
    single = [TileLoop(1, r.size) for r in tiles for _ in range(r.count)] if few else []
    if single:
        return single
    peeled = list(tiles)
    if (head := peeled[0]).count > 1:
        peeled[0:1] = [TileLoop(1, head.size), TileLoop(head.count - 1, head.size)]
    if (tail := peeled[-1]).count > 1:
        peeled[-1:] = [TileLoop(tail.count - 1, tail.size), TileLoop(1, tail.size)]
    return peeled


def _nest(dim: Dim, tiles: Sequence[TileLoop], body: Callable[[TileLoop], tuple[Node, ...]]) -> tuple[Node, ...]:
    return tuple(
        Loop(dim, loop.count, start, loop.size, _nest(dim, loop.inner, body) if loop.inner else body(loop))
        for loop, start in _starts(tiles)
    )


def plan_contraction(
    tiling: Tiling, arch: Arch, unit: str, around: Surroundings = ALONE, works: Works | None = None
) -> Plan:
    """Return the plan of a contraction among what surrounds it; `works` are those of the same three, if there are."""
    body = _Builder(tiling, works or Works(arch, tiling.kernel, around)).body()
    slots = [(o, arch.buffers[arch.buffer_of(o)].slots) for o in RELEVANT] if arch.bounded else []
    slots += [("parameter", count) for o, count in slots if o == "output" and around.parameters]
    return Plan(tiling.kernel.name, tiling.kernel, unit, body, tuple(slots), tiling.mapping)
