"""How long an array needs for a product at least: folds, each as long as what streams through it, and its ports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.arch import OPERANDS, Arch, Systolic
from sim.bounds.designs import Designs, Vector
from sim.bounds.ports import Passed, busiest
from sim.dataflow import DATAFLOWS, Dim
from sim.kernel import Contraction
from sim.mapping import RELEVANT, words

_PRODUCTS = ("ws", "os", "is")
"""Dataflows whose folds have the closed forms below; of others the bound knows the peak alone."""


@dataclass(frozen=True)
class Work:
    """Cycles of the array for one layer: `whole` from its first load to its last result.

    `core` is what no other layer's work can overlap, `ahead` what may come before the layers it depends on are over.
    """

    whole: Vector
    core: Vector
    ahead: Vector


def array_work(kernel: Contraction, chip: Arch, array: Systolic, designs: Designs) -> tuple[Work, Passed]:
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
    return busiest(streamed, chip, zero), np.maximum(0.0, busiest(loaded, chip, zero) - first)


def _first_load(stationary: str, kernel: Contraction, chip: Arch, designs: Designs) -> Vector:
    """Return the cycles of a port to load the PEs once, at most."""
    zero = np.zeros(len(designs.rows))
    if stationary == "output":
        return zero
    elements = kernel.right_elements if stationary == "weight" else kernel.groups * kernel.m * kernel.k
    fold = np.minimum(designs.rows * designs.cols * chip.mac_rate, elements) * chip.bits(stationary) / 8
    return busiest({(stationary, "read"): fold}, chip, zero)


def _cut(kernel: Contraction, chip: Arch, size: dict[Dim, int], folds: dict[Dim, Vector], designs: Designs) -> Vector:
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
