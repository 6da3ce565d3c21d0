"""The plan of a contraction: its tile loops, from the outermost inwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from sim.arch import Arch
from sim.dataflow import Dim
from sim.kernel import Contraction, VectorWork
from sim.mapping import RELEVANT, TileLoop, Tiling, channels, share_of, sum_copies, tile_count
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


@dataclass(frozen=True)
class Context:
    """Where a loop body stands: the tile sizes that the loops around it have fixed."""

    g: int
    fixed: tuple[tuple[Dim, TileLoop], ...] = ()
    first: bool = True
    last: bool = True

    def size(self, dim: Dim, whole: int) -> int:
        """Return the size along `dim`: the tile's where a loop has fixed it, else `whole`."""
        return next((loop.size for d, loop in self.fixed if d == dim), whole)

    def extent(self, kernel: Contraction) -> Extent:
        """Return the sizes along (g, m, n, k)."""
        return (self.g, self.size("m", kernel.m), self.size("n", kernel.n), self.size("k", kernel.k))


class _Builder:
    """Builds the tile loops of one contraction, from the outermost inwards."""

    def __init__(self, tiling: Tiling, arch: Arch, around: Surroundings) -> None:
        self.tiling, self.arch = tiling, arch
        self.around, self.on_chip, self.parameters = around, around.on_chip, around.parameters
        self.kernel, self.mapping = tiling.kernel, tiling.mapping
        self.count = arch.array.count if arch.array else 1

    def body(self) -> tuple[Node, ...]:
        return tuple(
            Loop("g", loop.count, start, loop.size, self.level(0, Context(loop.size)))
            for loop, start in _starts(self.tiling.group_loops)
        )

    def level(self, depth: int, context: Context) -> tuple[Node, ...]:
        opening, closing = self.open_parameters(depth, context), list[Node]()
        freed = [Free("parameter")] if opening else []
        for operand in ("weight", "input", "output"):
            if self.mapping.level(operand) == depth:
                opening += self.open(operand, context)
                closing += self.close(operand, context)
        inner = (self.compute(context),) if depth == 3 else self.loops(depth, context)
        reduce: list[Node] = []
        if depth == 3 and self.mapping.split == "k":
            extent = context.extent(self.kernel)
            others = sum_copies(self.mapping, self.arch, extent[3]) - 1
            reduce = [Reduce(self.arch.bytes_of("partial_sum", prod(extent[:3])) * others)] if others else []
        return (*opening, *inner, *reduce, *closing, *freed)

    def open_parameters(self, depth: int, context: Context) -> list[Node]:
        """Return the load of the parameters whose scope this is, where sums begin in it or lanes finish them."""
        wanted = context.last if processed(self.arch, self.around) else context.first
        if not (self.parameters and self.arch.bounded and wanted and self.tiling.parameter_level == depth):
            return []
        g, _, n, _ = context.extent(self.kernel)
        size = self.arch.bytes_of("partial_sum", share_of(self.parameters, self.kernel, g, n))
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
        extent = context.extent(self.kernel)
        work = tile_work(self.tiling, self.arch, extent, context.first)
        if context.first and not processed(self.arch, self.around):
            parameters = read_parameters(self.arch, self.kernel, self.around, extent)
            work = replace(work, moves=(*work.moves, *parameters))
        return Compute(work, extent, context.first)

    def open(self, operand: str, context: Context) -> list[Node]:
        size, extent = self.size(operand, context), context.extent(self.kernel)
        if operand == "output":
            resumed = not context.first and "k" not in self.mapping.inside("output")
            copies = sum_copies(self.mapping, self.arch, min(self.mapping.k, self.kernel.k))
            claim = [Claim("output", size * copies)] if self.arch.bounded else []
            return [*claim, *([Load("output", size, extent, partial=True)] if resumed and claim else [])]
        steps: list[Node] = []
        if self.arch.bounded and operand not in self.on_chip:
            steps.append(Load(operand, size, extent))
        if (self.mapping.split, operand) in (("m", "weight"), ("n", "input")):
            steps.append(Broadcast(operand, size * (self.count - 1)))
        return steps

    def close(self, operand: str, context: Context) -> list[Node]:
        if operand != "output":
            return [Free(operand)] if self.arch.bounded and operand not in self.on_chip else []
        extent = context.extent(self.kernel)
        elements = prod(extent[:3])
        if not context.last and "k" not in self.mapping.inside("output"):
            size = self.arch.bytes_of("partial_sum", elements)
            return [Store(size, extent, partial=True), Free("output")] if self.arch.bounded else []
        steps: list[Node] = [*finish(self.arch, self.kernel, self.around, extent)]
        if self.arch.bounded:
            if "output" not in self.on_chip:
                steps.append(Store(self.arch.bytes_of("output", elements), extent))
            steps.append(Free("output"))
        return steps

    def size(self, operand: str, context: Context) -> int:
        """Return the bytes of the tile of `operand` in this scope."""
        kernel = self.kernel
        g, m, n, k = context.extent(kernel)
        if operand == "output":
            return self.arch.bytes_of("partial_sum", g * m * n)
        if operand == "weight":
            return self.arch.bytes_of("weight", g * n * k)
        whole = kernel.input_elements // (kernel.groups * kernel.channels)
        read = next((loop.window for d, loop in context.fixed if d == "m"), whole)
        return self.arch.bytes_of("input", g * read * channels(kernel, k))


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
    ends = (first, last) if dim == "k" else (context.first, context.last)
    return Context(context.g, (*context.fixed, (dim, loop)), *ends)


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


def plan_contraction(tiling: Tiling, arch: Arch, unit: str, around: Surroundings = ALONE) -> Plan:
    """Return the plan of a contraction among what surrounds it."""
    body = _Builder(tiling, arch, around).body()
    slots = [(o, arch.buffers[arch.buffer_of(o)].slots) for o in RELEVANT] if arch.bounded else []
    slots += [("parameter", count) for o, count in slots if o == "output" and around.parameters]
    return Plan(tiling.kernel.name, tiling.kernel, unit, body, tuple(slots), tiling.mapping)
