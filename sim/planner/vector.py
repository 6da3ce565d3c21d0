"""The plan of vector work: equal chunks that fit beside each other, loaded, processed, stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from sim.arch import Arch
from sim.errors import CapacityError
from sim.kernel import VectorWork
from sim.plan import (
    Claim,
    Free,
    Load,
    Loop,
    Moves,
    Node,
    Plan,
    Process,
    Store,
)  # fmt: skip


def process(arch: Arch, operations: tuple[tuple[str, int], ...], elements: int, moves: Moves = ()) -> Process:
    """Return the lane work with its cycles: every operation takes its cycles in one of the lanes."""
    vector, lanes = arch.vector, arch.lanes
    assert vector is not None  # the caller has checked it
    cycles = sum(-(-count * vector.cycles(kind) // lanes) for kind, count in operations)
    return Process(max(cycles, -(-elements // lanes)), operations, elements, moves)


def input_bytes(work: VectorWork, arch: Arch) -> list[int]:
    """Return the bytes of each input, indices in their own format; plain inputs are packed as one."""
    if not work.kinds:
        return [arch.bytes_of("input", sum(work.inputs))]
    return [arch.bytes_of(kind, count) for kind, count in zip(work.kinds, work.inputs, strict=True)]


def plan_vector(
    work: VectorWork, arch: Arch, unit: str, on_chip: frozenset[str] = frozenset(), chunks: int | None = None
) -> Plan:
    """Return the plan of vector work in so many chunks (the fewest of `chunk_counts`), loaded, processed, stored.

    Chunks are as equal as whole bytes allow.
    """
    chunk = _Chunk(work, arch, on_chip)
    count = chunks or chunk_counts(work, arch, on_chip)[0]
    body = [
        Loop("m", stop - start, start, 1, tuple(chunk.steps(count, start)))
        for start, stop in pairwise(sorted({0, count} | {count - total % count for total in chunk.totals}))
    ]
    slots = tuple((o, arch.buffers[arch.buffer_of(o)].slots) for o in chunk.bytes) if arch.bounded else ()
    return Plan(work.name, work, unit, tuple(body), slots)


def chunk_counts(work: VectorWork, arch: Arch, on_chip: frozenset[str] = frozenset()) -> list[int]:
    """Return the numbers of chunks worth trying, the fewest first: powers of two, and one between each two.

    They depend on capacities only through what fits, all slots of all operands beside each other. There may be
    more chunks than outputs: a long reduction reads its input bit by bit. CapacityError where not even chunks
    of one byte fit.
    """
    totals = _Chunk(work, arch, on_chip).bytes
    most = max(1, *totals.values())
    steps = range(most.bit_length())
    counts = sorted({1, most, *(1 << i for i in steps), *(3 << i for i in steps)})
    fitting = [c for c in counts if c <= most and _overfull(totals, arch, c) is None]
    if not fitting:
        name, needed = _overfull(totals, arch, most) or ("", 0)
        way_out = "enlarge the buffer or set its buffering to single"
        there = arch.buffers[name].tile_capacity
        raise CapacityError(f"{work.name}: a chunk of one byte", f"buffer '{name}'", needed, there, way_out)
    return fitting


def _overfull(totals: dict[str, int], arch: Arch, chunks: int) -> tuple[str, int] | None:
    """Return the first buffer that so many chunks overfill, and the bytes that they need there."""
    for name, buffer in arch.buffers.items() if arch.bounded else ():
        held = sum(-(-totals[operand] // chunks) for operand in buffer.holds if operand in totals)
        needed = held * min(buffer.slots, chunks)
        if needed > buffer.tile_capacity:
            return name, needed
    return None


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
        totals = {"weight": arch.bytes_of("weight", work.weights), "input": sum(input_bytes(work, arch))}
        moved = {o: size for o, size in totals.items() if size and o not in self.on_chip}
        return moved | {"output": arch.bytes_of("output", work.outputs)}

    @cached_property
    def moves(self) -> Moves:
        """What the lanes read and write on chip in all."""
        work, arch = self.work, self.arch
        moved = (
            ("weight", "read", arch.bytes_of("weight", work.weights)),
            ("input", "read", sum(input_bytes(work, arch)) + arch.bytes_of("input", work.kept)),
            ("output", "write", arch.bytes_of("output", work.outputs)),
        )
        return tuple(move for move in moved if move[2])

    @property
    def totals(self) -> list[int]:
        """Everything that is divided among the chunks."""
        moved = (size for _, _, size in self.moves)
        return [*self.bytes.values(), self.work.outputs, *(count for _, count in self.work.operations), *moved]

    def steps(self, chunks: int, index: int) -> list[Node]:
        """Return the steps of chunk `index`; what cannot be divided goes to the last ones."""

        def part(total: int) -> int:
            return total // chunks + (index >= chunks - total % chunks)

        elements = part(self.work.outputs)
        operations = tuple((kind, part(count)) for kind, count in self.work.operations)
        done = process(self.arch, operations, elements, tuple((o, way, part(size)) for o, way, size in self.moves))
        if not self.arch.bounded:
            return [done]
        extent = (1, elements, 1, 1)
        loads = [Load(operand, part(size), extent) for operand, size in self.bytes.items() if operand != "output"]
        written = part(self.bytes["output"])
        store = [] if "output" in self.on_chip else [Store(written, extent)]
        free = [Free(load.operand) for load in loads]
        return [*loads, Claim("output", written), done, *store, *free, Free("output")]
