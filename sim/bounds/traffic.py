"""Bytes that a product moves at least: off chip, with what cannot be kept moved again, and between the buffers."""

from __future__ import annotations

import numpy as np

from sim.arch import Arch
from sim.bounds.designs import Designs, Vector
from sim.bounds.ports import Passed
from sim.kernel import Contraction
from sim.layers import Lowered, Task


def transfers(task: Task, kernel: Contraction, lowered: Lowered, chip: Arch) -> Passed:
    """Return the bytes on chip of the transfers of a product, every operand once."""
    held = {o for o, tensor in task.kernel_reads(kernel) if tensor in lowered.kept}
    stored = 0.0 if task.writes in lowered.kept else kernel.output_elements * chip.bits("output") / 8
    weight = 0.0 if "weight" in held else kernel.right_elements * chip.bits("weight") / 8
    inputs = 0.0 if "input" in held else kernel.input_elements * chip.bits("input") / 8
    return {("weight", "write"): weight, ("input", "write"): inputs, ("output", "read"): stored}


def moved_bytes(
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
