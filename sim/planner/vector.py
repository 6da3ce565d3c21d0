"""The plan of vector work: equal chunks that fit beside each other, loaded, processed, stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from sim.arch import Arch, Vector
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


def process(vector: Vector, operations: tuple[tuple[str, int], ...], elements: int, moves: Moves = ()) -> Process:
    """Return the lane work with its cycles: every operation takes its cycles in one of the lanes."""
    cycles = sum(-(-count * vector.cycles_per.get(kind, 1) // vector.lanes) for kind, count in operations)
    return Process(max(cycles, -(-elements // vector.lanes)), operations, elements, moves)


def input_bytes(work: VectorWork, arch: Arch) -> list[int]:
    """Return the bytes of each input, indices in their own format; plain inputs are packed as one."""
    if not work.kinds:
        return [arch.bytes_of("input", sum(work.inputs))]
    return [arch.bytes_of(kind, count) for kind, count in zip(work.kinds, work.inputs, strict=True)]


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
        totals = {"weight": arch.bytes_of("weight", work.weights), "input": sum(input_bytes(work, arch))}
        moved = {o: size for o, size in totals.items() if size and o not in self.on_chip}
        return moved | {"output": arch.bytes_of("output", work.outputs)}

    @cached_property
    def moves(self) -> Moves:
        """What the lanes read and write on chip in all."""
        work, arch = self.work, self.arch
        if not arch.bounded:
            return ()
        inputs = sum(input_bytes(work, arch)) + arch.bytes_of("input", work.kept)
        return (("input", "read", inputs), ("output", "write", arch.bytes_of("output", work.outputs)))

    @property
    def totals(self) -> list[int]:
        """Everything that is divided among the chunks."""
        moved = (size for _, _, size in self.moves)
        return [*self.bytes.values(), self.work.outputs, *(count for _, count in self.work.operations), *moved]

    def steps(self, chunks: int, index: int) -> list[Node]:
        """Return the steps of chunk `index`; what cannot be divided goes to the last ones."""

        def part(total: int) -> int:
            return total // chunks + (index >= chunks - total % chunks)

        vector = self.arch.vector
        assert vector is not None  # the caller of the plan has checked it
        elements = part(self.work.outputs)
        operations = tuple((kind, part(count)) for kind, count in self.work.operations)
        done = process(vector, operations, elements, tuple((o, way, part(size)) for o, way, size in self.moves))
        if not self.arch.bounded:
            return [done]
        extent = (1, elements, 1, 1)
        loads = [Load(operand, part(size), extent) for operand, size in self.bytes.items() if operand != "output"]
        written = part(self.bytes["output"])
        store = [] if "output" in self.on_chip else [Store(written, extent)]
        free = [Free(load.operand) for load in loads]
        return [*loads, Claim("output", written), done, *store, *free, Free("output")]
