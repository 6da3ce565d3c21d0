"""Lower bounds in closed form, for a network on many chips at once: cycles and energy that no mapping can beat.

An oracle beside the engine, never used by it. What is in the formulas:

- Arrays: folds = ceil(K/R) · ceil(N/C) (which dimensions lie on the sides depends on the dataflow), each at
  least as long as its stream; the formulas of a fold are those measured on RTL (see the dataflows). Cutting a
  product into tiles only adds folds, as ceil(a) + ceil(b) >= ceil(a + b).
- Off-chip traffic: every operand once, and more where neither weights nor inputs nor sums of a product fit
  their buffer. Then some tile loop runs outermost. Outermost M reloads the weights for each of its tiles, and
  has either so many tiles that a share of inputs or of sums fits, or reloads inputs or spills sums as well;
  the same for N with inputs and weights exchanged, and for K, which spills sums.
- A network: arrays, lanes and channel each do one thing at a time, so the work of each adds up; and a layer
  that reads another's output starts when that is complete, so the longest path adds up, prefetched weights
  left out.

Bounds are in cycles of the chip's clock and in pJ, without what a bound would have to guess (latencies,
bursts, ports, waiting): those only add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arch import OPERANDS, Arch, Ideal, Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Contraction, VectorWork
from sim.layers import Lowered, Task
from sim.mapping import RELEVANT

Vector = NDArray[np.float64]
_PRODUCTS = ("ws", "os", "is")
"""Dataflows whose folds have the closed forms below; of others the bound knows the peak alone."""


@dataclass(frozen=True)
class Designs:
    """Chips that differ in the sides of the array, in capacities and in bandwidth: a value a chip in each vector.

    `rows` and `cols` in PEs, `room` in bytes for tiles by operand, `bandwidth` in bytes a cycle.
    """

    rows: Vector
    cols: Vector
    room: dict[str, Vector]
    bandwidth: Vector

    @classmethod
    def of(cls, arch: Arch) -> Designs:
        """Return the one design that a chip is."""
        array = arch.array
        memory: Any = arch.memory
        rate = np.inf if isinstance(memory, Ideal) else memory.bandwidth / arch.clock
        room: dict[str, int] = {o: b.tile_capacity for o in OPERANDS for b in arch.buffers.values() if o in b.holds}
        return cls(
            np.array([float(array.rows if array else 1)]), np.array([float(array.cols if array else 1)]),
            {o: np.array([float(room.get(o, np.inf)) if arch.bounded else np.inf]) for o in OPERANDS},
            np.array([float(rate)]),
        )  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """What a layer needs at least, a value a design: array cycles, lane cycles, bytes off chip, SRAM accesses.

    `early` is the part of `moved` that may come before the layers that it depends on are over.
    `reads` and `writes` count elements by operand that pass between array and buffers.
    """

    array: Vector
    lanes: float
    moved: Vector
    early: Vector
    macs: int
    reads: dict[str, Vector]
    writes: dict[str, Vector]


def cycles(needs: Sequence[Needs], lowered: Lowered, designs: Designs) -> Vector:
    """Return the cycles that a network takes at least on each design."""
    zero = np.zeros(len(designs.rows))
    ends: dict[str, Vector] = {}
    for task, need in zip(lowered.tasks, needs, strict=True):
        begin = np.maximum.reduce([zero, *(ends[tensor] for _, tensor in task.reads if tensor in ends)])
        late = np.maximum(0.0, need.moved - need.early) / designs.bandwidth
        ends[task.writes] = begin + np.maximum(np.maximum(need.array, late), need.lanes)
    longest = np.maximum.reduce([zero, *ends.values()])
    array = np.sum([need.array for need in needs], axis=0) + zero
    lanes = sum(need.lanes for need in needs)
    channel = (np.sum([need.moved for need in needs], axis=0) + zero) / designs.bandwidth
    least = np.maximum(np.maximum(longest, array), np.maximum(lanes, channel))
    return np.asarray(np.ceil(least * (1 - 1e-12) - 1e-6))  # cycles are whole; rounding of floats must not add one


def needs_of(lowered: Lowered, arch: Arch, designs: Designs) -> list[Needs]:
    """Return what each layer needs at least on each design; the rest of each chip is `arch`."""
    known: dict[Any, Needs] = {}
    found = []
    for task in lowered.tasks:
        kept = tuple(sorted({t for _, t in task.reads} & lowered.kept)), task.writes in lowered.kept
        same = (len(kept[0]), len(task.reads), kept[1], task.parameters, task.result)
        key = (_bare(task), *same, _lane_cycles(task, arch))
        if key not in known or kept[0]:
            known[key] = _task(task, lowered, arch, designs)
        found.append(known[key])
    return found


def _bare(task: Task) -> tuple[Any, ...]:
    return tuple((type(k), *(v for f, v in vars(k).items() if f != "name")) for k in task.kernels)


def _task(task: Task, lowered: Lowered, arch: Arch, designs: Designs) -> Needs:
    zero = np.zeros(len(designs.rows))
    parts = [_product(task, k, lowered, arch, designs) for k in task.kernels if isinstance(k, Contraction)]
    moved, early = zero, zero
    if arch.bounded and not parts:
        moved = zero + _lane_bytes(task, lowered, arch)
    if arch.bounded and parts:
        moved = early = zero + arch.bytes_of("partial_sum", task.parameters)
    return Needs(
        array=sum((part.array for part in parts), zero),
        lanes=_lane_cycles(task, arch),
        moved=sum((part.moved for part in parts), moved),
        early=sum((part.early for part in parts), early),
        macs=sum(part.macs for part in parts),
        reads={o: sum((part.reads[o] for part in parts), zero) for o in OPERANDS},
        writes={o: sum((part.writes[o] for part in parts), zero) for o in OPERANDS},
    )


def _lane_cycles(task: Task, arch: Arch) -> float:
    """Return the cycles that all lanes together are busy with a layer that is no product; fused work may hide."""
    if arch.vector is None or task.contracts:
        return 0.0
    works = [k for k in task.kernels if isinstance(k, VectorWork)]
    per = arch.vector.cycles_per
    return sum(count * per.get(kind, 1) for work in works for kind, count in work.operations) / arch.vector.lanes


def _lane_bytes(task: Task, lowered: Lowered, arch: Arch) -> int:
    """Return the bytes of a layer that is no product: inputs where none of them stays on chip, and its output."""
    works = [k for k in task.kernels if isinstance(k, VectorWork)]
    held = any(tensor in lowered.kept for _, tensor in task.reads)
    inputs = 0 if held or len(works) != 1 else arch.bytes_of("input", sum(works[0].inputs))
    stays = task.writes in lowered.kept or len(works) != 1
    return inputs + (0 if stays else arch.seen(result=task.result).bytes_of("output", works[0].outputs))


def _product(task: Task, kernel: Contraction, lowered: Lowered, arch: Arch, designs: Designs) -> Needs:
    chip, array = arch.seen(kernel.right_is, task.result), arch.array
    if array is None:
        zero = np.zeros(len(designs.rows))
        return Needs(zero, 0.0, zero, zero, 0, dict.fromkeys(OPERANDS, zero), dict.fromkeys(OPERANDS, zero))
    busy, reads, writes = _array(kernel, array, designs)
    moved, early = _moved(task, kernel, lowered, chip, designs)
    return Needs(busy, 0.0, moved, early, kernel.macs, reads, writes)


def _array(
    kernel: Contraction, array: Systolic, designs: Designs
) -> tuple[Vector, dict[str, Vector], dict[str, Vector]]:
    """Return the array's cycles, and the elements it reads and writes on chip, at least."""
    whole = {"weight": kernel.right_elements, "input": 0, "output": 0}
    zero = np.zeros(len(designs.rows))
    pes = designs.rows * designs.cols * array.count
    if array.dataflow not in _PRODUCTS:
        return np.ceil(kernel.macs / pes), dict.fromkeys(OPERANDS, zero), dict.fromkeys(OPERANDS, zero)
    flow = DATAFLOWS[array.dataflow]
    size: dict[Dim, int] = {"m": kernel.m, "n": kernel.n, "k": kernel.k}
    splits: list[Dim | None] = [None] if array.count == 1 else ["m", "n", "k"]
    trials = []
    for split in splits:
        share = {d: -(-s // array.count) if d == split else s for d, s in size.items()}
        folds = {flow.row: np.ceil(share[flow.row] / designs.rows), flow.col: np.ceil(share[flow.col] / designs.cols)}
        fits = np.minimum(designs.rows // size[flow.row], designs.cols // size[flow.col])
        packs = np.ceil(kernel.groups / np.clip(fits, 1, kernel.groups))
        trials.append(_fold_cycles(array, share[flow.stream], packs * folds[flow.row] * folds[flow.col], designs))
    reads, writes = {o: zero + whole[o] for o in OPERANDS}, dict.fromkeys(OPERANDS, zero)
    if array.count == 1:
        again = {
            o: np.prod([f for d, f in folds.items() if d not in RELEVANT[o]], axis=0) + zero for o in OPERANDS
        }
        moved = {o: kernel.groups * size[RELEVANT[o][0]] * size[RELEVANT[o][1]] * again[o] for o in OPERANDS}
        reads = moved | {"output": moved["output"] - kernel.output_elements}
        writes = dict.fromkeys(OPERANDS, zero) | {"output": moved["output"]}
    return np.minimum.reduce(trials), reads, writes


def _fold_cycles(array: Systolic, stream: int, folds: Vector, designs: Designs) -> Vector:
    """Return the cycles of `folds` folds in a row, by the formulas measured on RTL, knobs and conventions included.

    With R rows, C columns and S streamed operands: weight stationary 2R + C + S a fold, with two weight buffers
    max(S, 2R + C) (wave) or S + R + C (global); output stationary S + 2R + C, overlapped S + R + C - 1. They hold
    for one register at each end; SCALE-Sim's conventions take 2 less, less the drain in output stationary.
    """
    rows, cols = designs.rows, designs.cols
    knobs = array.sram_read_latency + array.pe_pipeline - 2
    out = array.output_register - 1
    if array.convention == "scalesim":
        return folds * (stream + rows + cols - 2 + (0 if array.dataflow == "os" else rows))
    if array.dataflow == "os":
        copied = stream + rows + cols - 1 + knobs
        each = copied if array.drain == "overlap" else copied + 1 + rows + out
        return (folds - 1) * each + copied + 1 + rows + out
    tail = stream + rows + cols + knobs + out
    if array.weight_buffers == 1:
        return folds * (rows + tail)
    each = tail if array.swap == "global" else np.maximum(stream, 2 * rows + cols + array.sram_read_latency - 1)
    return rows + (folds - 1) * each + tail


def _moved(
    task: Task, kernel: Contraction, lowered: Lowered, chip: Arch, designs: Designs
) -> tuple[Vector, Vector]:
    """Return the bytes off chip at least, and those of them that may move before the layers before are over."""
    zero = np.zeros(len(designs.rows))
    if not chip.bounded:
        return zero, zero
    reads = task.kernel_reads(kernel)
    held = {o for o, t in reads if t in lowered.kept}  # perhaps not all of them: then the bound is only looser
    groups, sums = kernel.groups, chip.bits("partial_sum") / 8
    weight = 0.0 if "weight" in held else kernel.right_elements * chip.bits("weight") / 8 / groups
    inputs = 0.0 if "input" in held else kernel.input_elements * chip.bits("input") / 8 / groups
    outputs = kernel.output_elements * sums / groups
    stored = 0.0 if task.writes in lowered.kept else kernel.output_elements * chip.bits("output") / 8
    more = reloaded(weight, inputs, outputs, designs.room)
    early = groups * (weight + more) if kernel.right_is == "weight" else zero
    return zero + groups * (weight + inputs) + stored + groups * more, zero + early


def reloaded(weight: float, inputs: float, sums: float, room: dict[str, Vector]) -> Vector:
    """Return the bytes of one product that move off chip beyond each operand once, at least.

    `weight`, `inputs` and `sums` are the bytes of the whole operands, `room` those of their buffers.
    """
    shares = {"w": weight / room["weight"], "i": inputs / room["input"], "o": sums / room["output"]}

    def tiles(one: str, other: str) -> Vector:
        return np.maximum(2.0, np.ceil(np.minimum(shares[one], shares[other]) - 1e-9))

    rows = np.minimum(weight * (tiles("i", "o") - 1), weight + min(inputs, 2 * sums))
    cols = np.minimum(inputs * (tiles("w", "o") - 1), inputs + min(weight, 2 * sums))
    deep = np.minimum(2 * sums * (tiles("i", "w") - 1), 2 * sums + min(weight, inputs))
    fits = (shares["w"] <= 1) | (shares["i"] <= 1) | (shares["o"] <= 1)
    return np.where(fits, 0.0, np.minimum(np.minimum(rows, cols), deep))
