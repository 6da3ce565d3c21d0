"""Which tensor lies where in off-chip memory, and the bursts of every transfer of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod

import numpy as np

from sim.arch import OPERANDS, Arch
from sim.errors import CapacityError
from sim.execute.passes import PassGeometry
from sim.frontend import Stage
from sim.kernel import Attention, Contraction, VectorWork
from sim.layout import attention
from sim.layout.boxes import View, regions
from sim.layout.streams import Index, bursts, segments
from sim.passes import Passes
from sim.plan import Fusion, Load, Loop, Node, Plan, Store
from sim.tiers import Schedule

PAGE = 4096
"""Bytes to which the beginning of a tensor is aligned, as an allocator of pages does."""


@dataclass(frozen=True)
class Geometry:
    """What placement must know of memory and chip: bytes of a burst and of the memory, layouts, number formats."""

    burst: int
    capacity: int
    layouts: Mapping[str, str]
    tensors: Mapping[str, str]
    chip: Arch

    def bits(self, stage: Stage) -> dict[str, float]:
        """Return the width of one element of each operand of a stage, scales of blocks included."""
        kernel = stage.plan.kernel
        right = "weight" if isinstance(kernel, VectorWork) else kernel.right_is
        seen = self.chip.seen(right, stage.result)
        found = {operand: seen.bits(operand) for operand in (*OPERANDS, "partial_sum")}
        return found | {"partial": found["partial_sum"], "parameter": found["partial_sum"]}


class Placement:
    """Places the tensors of a run one behind the other in the order of their first use.

    Raises CapacityError where they do not fit into memory together.
    """

    def __init__(self, geometry: Geometry, stages: Sequence[Stage], tiers: Schedule | None = None) -> None:
        self.geometry = geometry
        self.bases: dict[tuple[str, ...], int] = {}
        end = self._place_caches(stages, tiers) if tiers else 0
        for index, stage in enumerate(stages):
            for name, size in _tensors(geometry, index, stage):
                if name not in self.bases:
                    self.bases[name] = end
                    end += -(-size // PAGE) * PAGE
        if end > geometry.capacity:
            way_out = "use a larger device or more channels, a smaller batch, or smaller number formats"
            raise CapacityError("the network's memory image", "the off-chip memory", end, geometry.capacity, way_out)

    def _place_caches(self, stages: Sequence[Stage], tiers: Schedule) -> int:
        """Place what lies in tiers in their caches, one behind the other and from the start again; return their end."""
        end = 0
        for tier, room in tiers.caches.items():
            at = 0
            for index in (index for index, name in tiers.tier_of.items() if name == tier):
                name, size = _weights(_tensors(self.geometry, index, stages[index]))
                at = 0 if at + size > room else at
                self.bases[name] = end + at
                at += size
            end += -(-room // PAGE) * PAGE
        return end

    def held(self, index: int, group: int, size: int) -> Index:
        """Return the addresses of the bursts that hold `size` bytes, the weights of a group of stage `index`."""
        start = np.array([group * size])
        return bursts(self.bases["weight", str(index)], start, size, 8.0, self.geometry.burst)

    def stream(self, index: int, stage: Stage, step: Load | Store, at: Mapping[str, int]) -> Index:
        """Return the addresses of the bursts that a step of stage `index` moves with the loops at `at`, in order."""
        kernel = stage.plan.kernel
        if isinstance(kernel, VectorWork):
            return self._chunk(index, stage, kernel, step, at["m"])
        if isinstance(kernel, Attention):
            return self._attention(index, stage, kernel, step, at)
        mapping = stage.plan.mapping
        passes = PassGeometry(kernel, mapping) if isinstance(mapping, Passes) else None
        view = View(kernel, self._layouts(stage), self.geometry.bits(stage), self.geometry.burst, passes)
        region = regions(view, step, at)
        if not all(box.size for _, box in region.dims):
            return np.zeros(0, np.int64)
        starts, length = segments(region.dims)
        base = self.bases[_name(index, stage, _role(step))]
        return bursts(base, starts, length, region.bits, self.geometry.burst)

    def _attention(
        self, index: int, stage: Stage, kernel: Attention, step: Load | Store, at: Mapping[str, int]
    ) -> Index:
        fusion, what = stage.plan.mapping, attention.operand(kernel, step)
        assert isinstance(fusion, Fusion)  # what plans of attention have
        dims = attention.region(kernel, fusion, step, at)
        bits = _attention_bits(self.geometry, stage)[what]
        return attention.stream(self.bases[_attention_name(index, stage, what)], dims, bits, self.geometry.burst)

    def _layouts(self, stage: Stage) -> dict[str, str]:
        """Return the layout of each operand: that of its tensor where the user gave one."""
        chosen, tensors = dict(self.geometry.layouts), self.geometry.tensors
        for operand, tensor in [(read.operand, read.tensor) for read in stage.reads] + [("output", stage.writes)]:
            chosen[operand] = tensors.get(tensor, chosen["input"])
        if not any(read.operand == "weight" for read in stage.reads):
            chosen["weight"] = tensors.get(f"{stage.plan.name}.weight", self.geometry.layouts["weight"])
        return chosen

    def _chunk(self, index: int, stage: Stage, work: VectorWork, step: Load | Store, chunk: int) -> Index:
        """Return the bursts of one chunk of vector work: the same share of each of its tensors, as they lie."""
        operand, count = _role(step), chunk_count(stage.plan)
        passes = work.passes if operand == "parameter" else 1
        parts = [
            bursts(self.bases[name], np.array([start]), stop - start, bits, self.geometry.burst)
            for name, size, bits in _vector_tensors(self.geometry, index, stage, work, operand)
            for start, stop in _rounds(size, *_share(size * passes, count, chunk))
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _weights(tensors: Sequence[tuple[tuple[str, ...], int]]) -> tuple[tuple[str, ...], int]:
    """Return name and bytes of the weights among the tensors of a stage."""
    return next((name, size) for name, size in tensors if name[0] == "weight")


def _role(step: Load | Store) -> str:
    if step.partial:
        return "partial"
    return step.operand if isinstance(step, Load) else "output"


def _name(index: int, stage: Stage, role: str) -> tuple[str, ...]:
    """Return what tells the tensor of a role apart from all others: its tensors' names, or its stage."""
    if role == "output" and stage.writes:
        return (stage.writes,)
    read = tuple(r.tensor for r in stage.reads if r.operand == role)
    return read or (role, str(index))


def _names(index: int, stage: Stage, role: str, count: int) -> list[tuple[str, ...]]:
    """Return the names of `count` tensors of one role, each on its own where the stage names as many."""
    found = _name(index, stage, role)
    if count == len(found) and role == "input":
        return [(name,) for name in found]
    return [(*found, str(part)) if count > 1 else found for part in range(count)]


def _attention_bits(geometry: Geometry, stage: Stage) -> dict[str, float]:
    """Return the width of one element of each operand of attention."""
    bits = geometry.bits(stage)
    right, sums = bits["weight"], bits["partial_sum"]
    return {"queries": bits["input"], "keys": right, "values": right, "scores": sums, "output": bits["output"]}


def _attention_name(index: int, stage: Stage, what: str) -> tuple[str, ...]:
    """Return what tells an operand of attention apart from all other tensors."""
    role = {"queries": "input", "output": "output"}.get(what)
    return _name(index, stage, role) if role else (*_name(index, stage, "weight"), what, str(index))


def _tensors(geometry: Geometry, index: int, stage: Stage) -> list[tuple[tuple[str, ...], int]]:
    """Return the tensors that a stage touches in memory, and the bytes of each."""
    kernel = stage.plan.kernel
    if isinstance(kernel, VectorWork):
        return [
            (name, ceil(size * bits / 8))
            for role in (*OPERANDS, *(["parameter"] if kernel.streamed else []))
            for name, size, bits in _vector_tensors(geometry, index, stage, kernel, role)
        ]
    widths = geometry.bits(stage)
    if isinstance(kernel, Attention):
        bits, fusion = _attention_bits(geometry, stage), stage.plan.mapping
        sizes = attention.elements(kernel, isinstance(fusion, Fusion) and fusion.spilled)
        return [(_attention_name(index, stage, what), ceil(n * bits[what] / 8)) for what, n in sizes.items()]
    counts = {
        "weight": kernel.right_elements, "partial": kernel.output_elements,
        "parameter": _parameters(kernel, stage.plan.body, widths["parameter"]),
        "input": _elements(geometry, widths["input"], kernel.channels, prod(axis.size for axis in kernel.axes), kernel),
        "output": _elements(geometry, widths["output"], kernel.n, kernel.positions, kernel),
    }  # fmt: skip
    return [
        (_name(index, stage, role), ceil(size * widths[role] / 8))
        for role, size in counts.items()
        if role not in ("partial", "parameter") or _moves(stage.plan.body, role)
    ]


def _loads(nodes: Sequence[Node]) -> Iterator[Load]:
    """Yield the loads of parameters of a plan."""
    for node in nodes:
        if isinstance(node, Loop):
            yield from _loads(node.body)
        elif isinstance(node, Load) and node.operand == "parameter":
            yield node


def _parameters(kernel: Contraction, nodes: Sequence[Node], bits: float) -> int:
    """Return the parameters of all filters, given the loads of those of some: each filter has as many."""
    return max((_as_many(kernel, load, int(load.bytes * 8 // bits)) for load in _loads(nodes)), default=0)


def _as_many(kernel: Contraction, load: Load, count: int) -> int:
    groups, _, filters, _ = load.extent
    return max(count, -(-count * kernel.groups * kernel.n // (groups * filters)))


def _elements(geometry: Geometry, bits: float, channels: int, positions: int, kernel: Contraction) -> int:
    """Return the elements that activations take in any layout: blocks of channels are stored whole."""
    block = max(1, int(geometry.burst * 8 / bits))
    return -(-kernel.groups * channels // block) * block * positions * kernel.batch


def _vector_tensors(
    geometry: Geometry, index: int, stage: Stage, work: VectorWork, role: str
) -> list[tuple[tuple[str, ...], int, float]]:
    """Return name, elements and bits an element of each tensor that vector work has in a role."""
    sizes = {
        "input": work.inputs, "weight": (work.weights,), "output": (work.outputs,), "parameter": (work.streamed,),
    }[role]  # fmt: skip
    kind = {"output": work.result, "parameter": "weight"}.get(role, role)
    kinds = work.kinds if role == "input" and work.kinds else (kind,) * len(sizes)
    widths = [geometry.chip.bits(kind) for kind in kinds]
    return list(zip(_names(index, stage, role, len(sizes)), sizes, widths, strict=True))


def _moves(nodes: Sequence[Node], role: str) -> bool:
    """Return whether a plan loads or stores something in this role."""
    return any(
        _moves(node.body, role) if isinstance(node, Loop) else isinstance(node, Load | Store) and _role(node) == role
        for node in nodes
    )


@lru_cache(maxsize=1024)
def chunk_count(plan: Plan) -> int:
    """Return into how many chunks a plan of vector work is cut."""
    return max(node.start + node.count for node in plan.body if isinstance(node, Loop))


def _rounds(size: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a tensor of `size` that lie in [start, stop) where it comes over and over again."""
    while start < stop:
        begin = start % size
        end = min(size, begin + stop - start)
        yield begin, end
        start += end - begin


def _share(total: int, chunks: int, index: int) -> tuple[int, int]:
    """Return the part [start, stop) of `total` in chunk `index`: the last ones hold one more where it must be."""
    each, more = divmod(total, chunks)
    start, size = index * each + max(0, index - (chunks - more)), each + (index >= chunks - more)
    return start, start + size
