"""Kernel + chip + mapping to plan: the tile loops of a contraction, the chunks of vector work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import ceil, prod
from typing import Any

import numpy as np

from sim.arch import Arch, Buffer, Systolic, Vector
from sim.dataflow import DATAFLOWS, Dim
from sim.errors import CapacityError
from sim.kernel import Contraction, VectorWork
from sim.mapping import RELEVANT, Run, Tiling, channels, tile_count
from sim.plan import (
    Broadcast,
    Claim,
    Compute,
    Extent,
    Free,
    Load,
    Loop,
    Node,
    Plan,
    Process,
    Reduce,
    Store,
    TileWork,
)  # fmt: skip


def fold_count(kernel: Contraction, lowering: str, dim: Dim, size: int, pes: int) -> int:
    """Return the folds along an array side of `pes` PEs that holds `size` of `dim`.

    im2col packs channels and taps densely on the side; direct lowering starts a fold at every tap, and of
    `size` steps a few taps may have one channel more than the others (the share of one of several arrays).
    """
    if dim == "k" and lowering == "direct":
        depth, more = divmod(size, kernel.taps)
        return more * -(-(depth + 1) // pes) + (kernel.taps - more) * -(-depth // pes)
    return -(-size // pes)


def tile_work(tiling: Tiling, arch: Arch, extent: Extent, first: bool) -> TileWork:
    """Return what the array does for a tile of `extent` (g, m, n, k); `first` need not read its sums."""
    array, mapping, kernel = arch.array, tiling.mapping, tiling.kernel
    assert array is not None  # the caller has checked it
    flow = DATAFLOWS[array.dataflow]
    g, sizes = extent[0], dict(zip(("m", "n", "k"), extent[1:], strict=True))
    share = {d: -(-s // array.count) if d == mapping.split else s for d, s in sizes.items()}
    fold = {
        dim: fold_count(kernel, mapping.lowering, dim, share[dim], pes)
        for dim, pes in ((flow.row, array.rows), (flow.col, array.cols))
    }
    packs = -(-g // mapping.packed)
    folds = packs * prod(fold.values())
    arrays = array.count if mapping.split else 1
    again = {o: prod(f for d, f in fold.items() if d not in RELEVANT[o]) for o in RELEVANT}
    moved = {o: g * prod(sizes[d] for d in RELEVANT[o]) * again[o] for o in RELEVANT}
    written = moved["output"] * (arrays if mapping.split == "k" else 1)
    sums_read = written - (g * sizes["m"] * sizes["n"] if first else 0)
    reads = (("weight", moved["weight"]), ("input", moved["input"]), ("output", sums_read))
    work = TileWork(
        folds=folds,
        stream=share[flow.stream],
        macs=g * prod(sizes.values()),
        used=g * prod(sizes[d] for d in (flow.row, flow.col)) * (_splits(sizes, mapping.split, flow.stream, array)),
        slots=folds * array.rows * array.cols * arrays,
        reads=reads,
        writes=(("output", written),),
    )
    return _with_ports(work, arch, flow.stationary)


def _splits(sizes: dict[str, int], split: Dim | None, stream: Dim, array: Systolic) -> int:
    """Return how many arrays hold a copy of the same PE slots: those that divide the streamed dimension."""
    return min(array.count, sizes[stream]) if split == stream else 1


def _with_ports(work: TileWork, arch: Arch, stationary: str) -> TileWork:
    """Return the work with the least cycles that the narrowest buffer port allows a fold.

    The stationary operand is read while it loads, the others (and the sums) while the fold streams.
    """
    slowest, port, loading = 0, "input", 0
    reads, writes = dict(work.reads), dict(work.writes)
    for buffer in arch.buffers.values() if arch.bounded else ():
        if buffer.bandwidth is None:
            continue
        moved = port_bytes(arch, buffer, reads, writes, stationary)
        cycles = ceil(moved / (buffer.bandwidth * work.folds))
        if cycles > slowest:
            slowest, port = cycles, max(buffer.holds, key=lambda o: reads[o] * (o != stationary))
        if stationary in buffer.holds:
            held = arch.bytes_of(stationary, reads[stationary])
            loading = -(-held // (buffer.bandwidth * work.folds))
    return replace(work, port_cycles=slowest, load_cycles=loading, port=port)


def port_bytes(
    arch: Arch, buffer: Buffer, reads: Mapping[str, Any], writes: Mapping[str, Any], stationary: str
) -> Any:
    """Return the bytes that pass the busiest port of a buffer while folds stream; element counts may be vectors."""
    load = sum(
        reads[o] * arch.bits("partial_sum" if o == "output" else o) / 8 for o in buffer.holds if o != stationary
    )
    store = writes["output"] * arch.bits("partial_sum") / 8 if "output" in buffer.holds else 0
    return np.maximum(load, store) if buffer.ports > 1 else load + store


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
    fixed: tuple[tuple[Dim, Run], ...] = ()
    first: bool = True
    last: bool = True

    def size(self, dim: Dim, whole: int) -> int:
        """Return the size along `dim`: the tile's where a loop has fixed it, else `whole`."""
        return next((run.size for d, run in self.fixed if d == dim), whole)

    def extent(self, kernel: Contraction) -> Extent:
        """Return the sizes along (g, m, n, k)."""
        return (self.g, self.size("m", kernel.m), self.size("n", kernel.n), self.size("k", kernel.k))


class _Builder:
    """Builds the tile loops of one contraction, from the outermost inwards."""

    def __init__(self, tiling: Tiling, arch: Arch, context: Surroundings) -> None:
        self.tiling, self.arch = tiling, arch
        self.on_chip, self.epilogue, self.parameters = context.on_chip, context.epilogue, context.parameters
        self.kernel, self.mapping = tiling.kernel, tiling.mapping
        self.count = arch.array.count if arch.array else 1

    def body(self) -> tuple[Node, ...]:
        loops = tuple(
            Loop("g", run.count, start, run.size, self.level(0, Context(run.size)))
            for run, start in _starts(self.tiling.group_runs)
        )
        if not self.parameters or not self.arch.bounded:
            return loops
        size = self.arch.bytes_of("partial_sum", self.parameters)
        return (Load("parameter", size, (1, 1, self.parameters, 1)), *loops)

    def level(self, depth: int, context: Context) -> tuple[Node, ...]:
        opening, closing = list[Node](), list[Node]()
        for operand in ("weight", "input", "output"):
            if self.mapping.level(operand) == depth:
                opening += self.open(operand, context)
                closing += self.close(operand, context)
        inner = (self.compute(context),) if depth == 3 else self.loops(depth, context)
        reduce: list[Node] = []
        if depth == 3 and self.mapping.split == "k":
            extent = context.extent(self.kernel)
            sums = self.arch.bytes_of("partial_sum", prod(extent[:3])) * (self.count - 1)
            reduce = [Reduce(sums)]
        return (*opening, *inner, *reduce, *closing)

    def loops(self, depth: int, context: Context) -> tuple[Node, ...]:
        dim = self.mapping.order[depth]
        tiles = self.tiling.runs(dim)
        if dim != "k":
            return _nest(dim, tiles, lambda run: self.level(depth + 1, _fix(context, dim, run)))
        ends = _peel(tiles)
        return tuple(
            Loop("k", run.count, start, run.size, self.level(depth + 1, _fix(context, "k", run, i == 0, last)))
            for i, (run, start) in enumerate(_starts(ends))
            for last in (i == len(ends) - 1,)
        )

    def compute(self, context: Context) -> Compute:
        extent = context.extent(self.kernel)
        return Compute(tile_work(self.tiling, self.arch, extent, context.first), extent, context.first)

    def open(self, operand: str, context: Context) -> list[Node]:
        size, extent = self.size(operand, context), context.extent(self.kernel)
        if operand == "output":
            resumed = not context.first and "k" not in self.mapping.inside("output")
            claim = [Claim("output", size)] if self.arch.bounded else []
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
        steps: list[Node] = [*self.finish(elements)]
        if self.arch.bounded:
            if "output" not in self.on_chip:
                steps.append(Store(self.arch.bytes_of("output", elements), extent))
            steps.append(Free("output"))
        return steps

    def finish(self, elements: int) -> list[Process]:
        """Return the share of the fused vector work that `elements` outputs take."""
        vector = self.arch.vector
        if vector is None or not self.epilogue:
            return []
        share = {o: 0 for work in self.epilogue for o, _ in work.operations}
        for work in self.epilogue:
            for operation, count in work.operations:
                share[operation] += -(-count * elements // work.outputs)
        return [process(vector, tuple(share.items()), elements)]

    def size(self, operand: str, context: Context) -> int:
        """Return the bytes of the tile of `operand` in this scope."""
        kernel = self.kernel
        g, m, n, k = context.extent(kernel)
        if operand == "output":
            return self.arch.bytes_of("partial_sum", g * m * n)
        if operand == "weight":
            return self.arch.bytes_of("weight", g * n * k)
        whole = kernel.input_elements // (kernel.groups * kernel.channels)
        read = next((run.window for d, run in context.fixed if d == "m"), whole)
        return self.arch.bytes_of("input", g * read * channels(kernel, k))


def process(vector: Vector, operations: tuple[tuple[str, int], ...], elements: int) -> Process:
    """Return the lane work with its cycles: every operation takes its cycles in one of the lanes."""
    cycles = sum(-(-count * vector.cycles_per.get(kind, 1) // vector.lanes) for kind, count in operations)
    return Process(max(cycles, -(-elements // vector.lanes)), operations, elements)


def _fix(context: Context, dim: Dim, run: Run, first: bool = True, last: bool = True) -> Context:
    ends = (first, last) if dim == "k" else (context.first, context.last)
    return Context(context.g, (*context.fixed, (dim, run)), *ends)


def _starts(tiles: Sequence[Run]) -> list[tuple[Run, int]]:
    """Return each run with the position at which it begins."""
    starts = [sum(run.count * run.size for run in tiles[:i]) for i in range(len(tiles))]
    return list(zip(tiles, starts, strict=True))


def _peel(tiles: Sequence[Run]) -> list[Run]:
    """Split the first and the last tile off, as sums start in one and are finished in the other."""
    single = [Run(1, r.size) for r in tiles for _ in range(min(r.count, 3))] if tile_count(tuple(tiles)) <= 3 else []
    if single:
        return single
    peeled = list(tiles)
    head, tail = peeled[0], peeled[-1]
    if head.count > 1:
        peeled[0:1] = [Run(1, head.size), Run(head.count - 1, head.size)]
    if (tail := peeled[-1]).count > 1:
        peeled[-1:] = [Run(tail.count - 1, tail.size), Run(1, tail.size)]
    return peeled


def _nest(dim: Dim, tiles: Sequence[Run], body: Callable[[Run], tuple[Node, ...]]) -> tuple[Node, ...]:
    return tuple(
        Loop(dim, run.count, start, run.size, _nest(dim, run.inner, body) if run.inner else body(run))
        for run, start in _starts(tiles)
    )


def plan_contraction(tiling: Tiling, arch: Arch, unit: str, around: Surroundings = ALONE) -> Plan:
    """Return the plan of a contraction among what surrounds it."""
    body = _Builder(tiling, arch, around).body()
    slots = tuple((o, arch.buffers[arch.buffer_of(o)].slots) for o in RELEVANT) if arch.bounded else ()
    return Plan(tiling.kernel.name, tiling.kernel, unit, body, slots, tiling.mapping)


def plan_vector(work: VectorWork, arch: Arch, unit: str, on_chip: frozenset[str] = frozenset()) -> Plan:
    """Return the plan of vector work: chunks that fit beside each other, loaded, processed, stored.

    Chunks are as equal as whole bytes allow. CapacityError where not even chunks of one byte fit.
    """
    chunk = _Chunk(work, arch, on_chip)
    chunks = _chunk_count(work, arch, chunk.bytes) if arch.bounded else 1
    body = [
        Loop("m", stop - start, start, 1, tuple(chunk.steps(chunks, start)))
        for start, stop in pairwise(sorted({0, chunks} | {chunks - total % chunks for total in chunk.totals}))
    ]
    slots = tuple((o, arch.buffers[arch.buffer_of(o)].slots) for o in chunk.bytes) if arch.bounded else ()
    return Plan(work.name, work, unit, tuple(body), slots)


def _chunk_count(work: VectorWork, arch: Arch, totals: dict[str, int]) -> int:
    """Return the fewest chunks with which the chunks of all operands fit, in all of their slots.

    There may be more chunks than outputs: a long reduction reads its input bit by bit.
    """
    chunks = 1
    for name, buffer in arch.buffers.items():
        held = [totals[operand] for operand in buffer.holds if operand in totals]
        least = max(chunks, -(-sum(held) * buffer.slots // buffer.tile_capacity))
        while (needed := sum(-(-size // least) for size in held) * buffer.slots) > buffer.tile_capacity:
            if least >= max(held):
                way_out = "enlarge the buffer or set its buffering to single"
                place = f"buffer '{name}'"
                raise CapacityError(f"{work.name}: a chunk of one byte", place, needed, buffer.tile_capacity, way_out)
            least += 1
        chunks = least
    return chunks


@dataclass(frozen=True)
class _Chunk:
    """The steps of the chunks of vector work."""

    work: VectorWork
    arch: Arch
    on_chip: frozenset[str]

    @cached_property
    def bytes(self) -> dict[str, int]:
        """Bytes of each operand that takes room on chip."""
        work, arch = self.work, self.arch
        totals = {"weight": arch.bytes_of("weight", work.weights), "input": arch.bytes_of("input", sum(work.inputs))}
        moved = {o: size for o, size in totals.items() if size and o not in self.on_chip}
        return moved | {"output": arch.bytes_of("output", work.outputs)}

    @property
    def totals(self) -> list[int]:
        """Everything that is divided among the chunks."""
        return [*self.bytes.values(), self.work.outputs, *(count for _, count in self.work.operations)]

    def steps(self, chunks: int, index: int) -> list[Node]:
        """Return the steps of chunk `index`; what cannot be divided goes to the last ones."""

        def part(total: int) -> int:
            return total // chunks + (index >= chunks - total % chunks)

        vector = self.arch.vector
        assert vector is not None  # the caller of the plan has checked it
        elements = part(self.work.outputs)
        done = process(vector, tuple((kind, part(count)) for kind, count in self.work.operations), elements)
        if not self.arch.bounded:
            return [done]
        extent = (1, elements, 1, 1)
        loads = [Load(operand, part(size), extent) for operand, size in self.bytes.items() if operand != "output"]
        written = part(self.bytes["output"])
        store = [] if "output" in self.on_chip else [Store(written, extent)]
        free = [Free(load.operand) for load in loads]
        return [*loads, Claim("output", written), done, *store, *free, Free("output")]
