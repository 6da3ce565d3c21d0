"""Lower bounds in closed form, for a network on many chips at once: cycles and energy that no mapping can beat.

An oracle beside the engine, never used by it. What is in the formulas:

- Arrays: folds = ceil(K/R) · ceil(N/C) (which dimensions lie on the sides depends on the dataflow), each at
  least as long as its stream; the formulas of a fold are those measured on RTL (see the dataflows). Cutting a
  product into tiles only adds folds, as ceil(a) + ceil(b) >= ceil(a + b).
- Off-chip traffic: every operand once, and more where neither weights nor inputs nor sums of a product fit
  their buffer. Then some tile loop runs outermost. Outermost M reloads the weights for each of its tiles, and
  has either so many tiles that a share of inputs or of sums fits, or reloads inputs or spills sums as well;
  the same for N with inputs and weights exchanged, and for K, which spills sums.
- Ports: what array, lanes and transfers read and write on chip, each at least once, and operands again for
  each fold that needs them, passes the ports of the buffers at their bandwidth.
- A network: arrays, lanes, channel and ports each do one thing at a time, so the work of each adds up; and a
  layer that reads another's output starts when that is complete, so the longest path adds up, left out what may
  come before: as many weights as their buffer holds, and what stays in the PEs in the first fold.

Bounds are in cycles of the chip's clock and in pJ, without what a bound would have to guess (latencies,
bursts, waiting): those only add.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arch import OPERANDS, Arch, Ideal, Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Contraction, VectorWork
from sim.layers import Lowered, Task
from sim.mapping import RELEVANT, words
from sim.planner import input_bytes

Vector = NDArray[np.float64]
Passed = dict[tuple[str, str], Any]
"""Bytes on chip by operand and way ("read", "write"): a number, or one a design."""
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
class Work:
    """Cycles of the array for one layer: `whole` from its first load to its last result.

    `core` is what no other layer's work can overlap, `ahead` what may come before the layers it depends on are over.
    """

    whole: Vector
    core: Vector
    ahead: Vector


@dataclass(frozen=True)
class Needs:
    """What a layer needs at least, a value a design: array cycles, lane cycles, bytes off chip, bytes on chip.

    `early` is the part of `moved` that may come before the layers that it depends on are over. `passed` are the
    bytes between array, lanes, channel and buffers, `ported` the cycles of the busiest port for those of them that
    cannot come before.
    """

    array: Work
    lanes: float
    moved: Vector
    early: Vector
    macs: int
    passed: Passed
    ported: Vector


def cycles(needs: Sequence[Needs], lowered: Lowered, arch: Arch, designs: Designs) -> Vector:
    """Return the cycles that a network takes at least on each design; the rest of each chip is `arch`."""
    zero = np.zeros(len(designs.rows))
    ends: dict[str, Vector] = {}
    for task, need in zip(lowered.tasks, needs, strict=True):
        begin = np.maximum.reduce([zero, *(ends[tensor] for _, tensor in task.reads if tensor in ends)])
        late = np.maximum(0.0, need.moved - need.early) / designs.bandwidth
        busy = np.maximum(need.array.whole - need.array.ahead, need.ported)
        end = begin + np.maximum(np.maximum(busy, late), need.lanes)
        ends[task.writes] = np.maximum(end, need.array.whole)
    longest = np.maximum.reduce([zero, *ends.values()])
    tails = [need.array.whole - need.array.core - need.array.ahead for need in needs]
    array = np.sum([need.array.core for need in needs], axis=0) + np.minimum.reduce(tails or [zero])
    lanes = sum(need.lanes for need in needs)
    channel = (np.sum([need.moved for need in needs], axis=0) + zero) / designs.bandwidth
    ports = _ports(added(need.passed for need in needs), arch, zero)
    least = np.maximum.reduce([longest, array, lanes + zero, channel, ports])
    return np.asarray(np.ceil(least * (1 - 1e-12) - 1e-6))  # cycles are whole; rounding of floats must not add one


def added(parts: Iterable[Passed]) -> Passed:
    """Return the sum of bytes by operand and way."""
    total: Passed = {}
    for part in parts:
        for way, amount in part.items():
            total[way] = total[way] + amount if way in total else amount
    return total


def _ports(passed: Passed, arch: Arch, zero: Vector) -> Vector:
    """Return the cycles that the busiest port needs."""
    slowest = zero
    for buffer in arch.buffers.values() if arch.bounded else ():
        if buffer.bandwidth is not None:
            ways = [sum((passed.get((o, way), 0.0) for o in buffer.holds), zero) for way in ("read", "write")]
            busy = np.maximum(*ways) if buffer.ports > 1 else ways[0] + ways[1]
            slowest = np.maximum(slowest, busy / buffer.bandwidth)
    return slowest


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
    passed, ahead = _lanes_pass(task, lowered, arch), Passed()
    if arch.bounded and not parts:
        moved = zero + _lane_bytes(task, lowered, arch)
    if arch.bounded and parts:
        moved = early = zero + arch.bytes_of("partial_sum", task.parameters)
        ahead = {("output", "write"): moved}
    late = added([passed, *(part.late for part in parts)])
    return Needs(
        array=Work(*(sum((getattr(p.array, name) for p in parts), zero) for name in ("whole", "core", "ahead"))),
        lanes=_lane_cycles(task, arch),
        moved=sum((part.moved for part in parts), moved),
        early=sum((part.early for part in parts), early),
        macs=sum(part.macs for part in parts),
        passed=added([late, ahead, *(part.ahead for part in parts)]),
        ported=_ports(late, arch, zero),
    )


def kept_bytes(lowered: Lowered, arch: Arch) -> Passed:
    """Return the bytes on chip of outputs on their way to where the layers behind find them as inputs."""
    total = sum(arch.bytes_of("output", task.elements) for task in lowered.tasks if task.writes in lowered.kept)
    return {("output", "read"): total, ("input", "write"): total}


def _lanes_pass(task: Task, lowered: Lowered, arch: Arch) -> Passed:
    """Return the bytes on chip of a layer's lane work, and those of its transfers where it is no product."""
    sums = arch.bits("partial_sum") / 8
    if arch.vector is None:
        return {}
    if task.contracts:
        outputs = sum(k.output_elements for k in task.kernels if isinstance(k, Contraction))
        through = outputs * sums if task.epilogue else 0.0
        return {("output", "read"): through, ("output", "write"): through}
    works = [k for k in task.kernels if isinstance(k, VectorWork)]
    chip = arch.seen(result=task.result)
    inputs = sum(sum(input_bytes(work, arch)) for work in works)
    outputs = sum(chip.bytes_of("output", work.outputs) for work in works)
    moved = _lane_bytes(task, lowered, arch) if arch.bounded else 0
    stored = outputs if arch.bounded and len(works) == 1 and task.writes not in lowered.kept else 0
    return {("input", "read"): inputs, ("output", "write"): outputs, ("output", "read"): stored,
            ("input", "write"): moved - stored}  # fmt: skip


def lane_operations(task: Task, arch: Arch) -> dict[str, float]:
    """Return the operations of the lanes for a layer at least, by kind: its own, and those fused behind it."""
    found: dict[str, float] = {}
    if arch.vector is None:
        return found
    outputs = sum(k.output_elements for k in task.kernels if isinstance(k, Contraction))
    works = [(work, min(1.0, outputs / max(1, work.outputs)) if task.contracts else 1.0) for work in task.epilogue]
    works += [(k, 1.0) for k in task.kernels if isinstance(k, VectorWork)]
    for work, share in works:
        for kind, count in work.operations:
            found[kind] = found.get(kind, 0.0) + count * share
    return found


def _lane_cycles(task: Task, arch: Arch) -> float:
    """Return the cycles that all lanes together are busy with a layer."""
    if arch.vector is None:
        return 0.0
    vector, each = arch.vector, float(arch.vector.pace(arch.clock)) / arch.lanes
    return sum(count * vector.cycles(kind) for kind, count in lane_operations(task, arch).items()) * each


def _lane_bytes(task: Task, lowered: Lowered, arch: Arch) -> int:
    """Return the bytes of a layer that is no product: inputs where none of them stays on chip, and its output."""
    works = [k for k in task.kernels if isinstance(k, VectorWork)]
    held = any(tensor in lowered.kept for _, tensor in task.reads)
    inputs = 0 if held or len(works) != 1 else arch.bytes_of("input", sum(works[0].inputs))
    stays = task.writes in lowered.kept or len(works) != 1
    return inputs + (0 if stays else arch.seen(result=task.result).bytes_of("output", works[0].outputs))


@dataclass(frozen=True)
class _Part:
    """What one product of a layer needs: `late` and `ahead` are bytes on chip after and before its inputs are there."""

    array: Work
    moved: Vector
    early: Vector
    macs: int
    late: Passed
    ahead: Passed


def _product(task: Task, kernel: Contraction, lowered: Lowered, arch: Arch, designs: Designs) -> _Part:
    chip, array, zero = arch.seen(kernel.right_is, task.result), arch.array, np.zeros(len(designs.rows))
    if array is None:
        return _Part(Work(zero, zero, zero), zero, zero, 0, {}, {})
    work, late = _array(kernel, chip, array, designs)
    moved, early = _moved(task, kernel, lowered, chip, designs)
    size, ahead = {o: chip.bits(o) / 8 for o in ("weight", "input")}, Passed()
    resting = DATAFLOWS[array.dataflow].stationary, "read"
    if resting in late and resting[0] != "output":
        held = designs.rows * designs.cols * array.count * chip.mac_rate
        fold = np.minimum(held * size[resting[0]], late[resting])
        ahead[resting], late[resting] = fold, late[resting] - fold
    if chip.bounded:
        for way, amount in _transfers(task, kernel, lowered, chip).items():
            into = ahead if way[0] == "weight" else late
            into[way] = into.get(way, 0.0) + amount
    return _Part(work, moved, early, kernel.macs, late, ahead)


def _transfers(task: Task, kernel: Contraction, lowered: Lowered, chip: Arch) -> Passed:
    """Return the bytes on chip of the transfers of a product, every operand once."""
    held = {o for o, tensor in task.kernel_reads(kernel) if tensor in lowered.kept}
    stored = 0.0 if task.writes in lowered.kept else kernel.output_elements * chip.bits("output") / 8
    weight = 0.0 if "weight" in held else kernel.right_elements * chip.bits("weight") / 8
    inputs = 0.0 if "input" in held else kernel.input_elements * chip.bits("input") / 8
    return {("weight", "write"): weight, ("input", "write"): inputs, ("output", "read"): stored}


def _array(kernel: Contraction, chip: Arch, array: Systolic, designs: Designs) -> tuple[Work, Passed]:
    """Return the array's cycles, and the bytes it reads and writes on chip, at least."""
    zero, pace = np.zeros(len(designs.rows)), float(array.pace(chip.clock))
    if array.dataflow not in _PRODUCTS:
        busy = np.ceil(kernel.macs / (designs.rows * designs.cols * array.count * chip.mac_rate)) * pace
        return Work(busy, busy, zero), {("weight", "read"): zero}
    flow = DATAFLOWS[array.dataflow]
    size: dict[Dim, int] = {"m": kernel.m, "n": kernel.n, "k": kernel.k}
    passed: Passed = {("weight", "read"): zero + kernel.right_elements * chip.bits("weight") / 8}
    splits: list[Dim | None] = [None] if array.count == 1 else ["m", "n", "k"]
    first, trials = _first_load(flow.stationary, kernel, chip, designs), []
    for split in splits:
        share = {d: -(-s // array.count) if d == split else s for d, s in size.items()}
        share["k"] = words(share["k"], chip.mac_rate)
        folds = {flow.row: np.ceil(share[flow.row] / designs.rows), flow.col: np.ceil(share[flow.col] / designs.cols)}
        side = size | {"k": words(size["k"], chip.mac_rate)}
        fits = np.minimum(designs.rows // side[flow.row], designs.cols // side[flow.col])
        packs = np.ceil(kernel.groups / np.clip(fits, 1, kernel.groups))
        if split is None:
            passed = _accesses(kernel, chip, size, folds)
        waits = _waits(passed, chip, flow.stationary, first) if split is None else (zero, zero)
        least = packs * folds[flow.row] * folds[flow.col]
        more = np.maximum(least, _cut(kernel, chip, size, folds, designs)) if split is None else least
        trials.append(_fold_cycles(array, share[flow.stream], least, more, designs, *(each / pace for each in waits)))
    whole, core = (np.minimum.reduce(column) * pace for column in zip(*trials, strict=True))
    # What stays in the PEs in the first fold may be there before what streams.
    rounded = 0 if pace == 1 else 2  # cycles of the chip, for the array's that are rounded up
    shifted = np.maximum(designs.rows * pace, first) + array.sram_read_latency * pace + rounded
    ahead = shifted if flow.stationary != "output" else zero
    return Work(whole, core, np.minimum(ahead, whole - core)), passed


def _accesses(kernel: Contraction, chip: Arch, size: dict[Dim, int], folds: dict[Dim, Vector]) -> Passed:
    """Return the bytes that one array reads and writes on chip: each operand again for each fold that needs it."""
    found: Passed = {}
    for operand in OPERANDS:
        again = np.prod([f for d, f in folds.items() if d not in RELEVANT[operand]], axis=0)
        elements = kernel.groups * size[RELEVANT[operand][0]] * size[RELEVANT[operand][1]] * again
        width = chip.bits("partial_sum" if operand == "output" else operand) / 8
        found[operand, "write" if operand == "output" else "read"] = elements * width
    first = kernel.output_elements * chip.bits("partial_sum") / 8  # the first sums of an output are not read
    return found | {("output", "read"): found["output", "write"] - first}


def _waits(passed: Passed, chip: Arch, stationary: str, first: Vector) -> tuple[Vector, Vector]:
    """Return the cycles of the busiest port for what streams, and for what stays in the PEs but a `first` fold's."""
    zero = np.zeros(len(first))
    streamed = {way: amount for way, amount in passed.items() if way != (stationary, "read") or stationary == "output"}
    loaded = {way: amount for way, amount in passed.items() if way not in streamed}
    return _ports(streamed, chip, zero), np.maximum(0.0, _ports(loaded, chip, zero) - first)


def _first_load(stationary: str, kernel: Contraction, chip: Arch, designs: Designs) -> Vector:
    """Return the cycles of a port to load the PEs once, at most."""
    zero = np.zeros(len(designs.rows))
    if stationary == "output":
        return zero
    elements = kernel.right_elements if stationary == "weight" else kernel.groups * kernel.m * kernel.k
    fold = np.minimum(designs.rows * designs.cols * chip.mac_rate, elements) * chip.bits(stationary) / 8
    return _ports({(stationary, "read"): fold}, chip, zero)


def _cut(
    kernel: Contraction, chip: Arch, size: dict[Dim, int], folds: dict[Dim, Vector], designs: Designs
) -> Vector:
    """Return the folds that tiles make at least, as sums and weights of each have to fit their buffers.

    An operand that does not fit as a whole comes in tiles, as many of them beside each other as its buffer has slots;
    each takes all folds along the dimension that it does not have.
    """
    found = np.zeros(len(designs.rows))
    for operand in ("output", "weight") if chip.bounded and kernel.groups == 1 and kernel.right_is == "weight" else ():
        across = [d for d in size if d not in RELEVANT[operand]]
        width = chip.bits("partial_sum" if operand == "output" else operand) / 8
        share = size[RELEVANT[operand][0]] * size[RELEVANT[operand][1]] * width / designs.room[operand]
        slots = chip.buffers[chip.buffer_of(operand)].slots
        tiles = np.where(share > 1, np.ceil(share * slots - 1e-9), 1.0)
        found = np.maximum(found, np.prod([tiles, *(folds[d] for d in across if d in folds)], axis=0))
    return found


def _fold_cycles(
    array: Systolic, stream: int, least: Vector, folds: Vector, designs: Designs, streamed: Vector, loaded: Vector
) -> tuple[Vector, Vector]:
    """Return the cycles of `folds` folds in a row, and those of them that no other layer's can overlap.

    By the formulas measured on RTL, knobs and conventions included. With R rows, C columns and S streamed operands:
    weight stationary 2R + C + S a fold, with two weight buffers max(S, 2R + C) (wave) or S + R + C (global); output
    stationary S + 2R + C, overlapped S + R + C - 1, without a gap max(S, C). They hold for one register at each end;
    SCALE-Sim's conventions take 2 less, less the drain in output stationary. All of `stream` passes `least` times, in
    one fold or in parts in several. A port that needs `streamed` cycles for all streams, or `loaded` for all loads but
    the first, adds to it.
    """
    rows, cols = designs.rows, designs.cols
    knobs = array.sram_read_latency + array.pe_pipeline - 2
    out, passing = array.output_register - 1, np.maximum(least * stream, streamed)
    beside = rows + cols + knobs + out
    if array.convention == "scalesim":
        each = rows + cols - 2 + (0 if array.dataflow == "os" else rows)
        return passing + folds * each, passing + (folds - 1) * each
    if array.dataflow == "os":
        if array.drain == "stream":
            core = np.maximum(passing, folds * cols)
            return core + rows + 2 * cols - 1 + knobs + out, core
        copied, drain = rows + cols - 1 + knobs, 1 + rows + out
        each = copied if array.drain == "overlap" else copied + drain
        return passing + (folds - 1) * each + copied + drain, passing + (folds - 1) * each
    if array.weight_buffers == 1:
        return passing + folds * (rows + beside), passing + (folds - 1) * (rows + beside)
    if array.swap == "global":
        return passing + rows + folds * beside, passing + (folds - 1) * beside
    turns = (folds - 1) * (rows + cols + array.sram_read_latency - 1) + np.maximum((folds - 1) * rows, loaded)
    core = np.maximum(passing, turns + np.where(folds > least, 1, stream))
    return rows + core + beside, core


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
    early = np.minimum(groups * (weight + more), designs.room["weight"])  # a right operand may be ready long before
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
