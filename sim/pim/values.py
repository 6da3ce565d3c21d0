"""What a GEMV computes in the banks, number by number: the matrix stored by its layout, the program carried out.

Products and sums are made in fp32 and rounded to the device's format when the registers are read for the last time;
what the real adders round is not published, so this is an assumption.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError, Problem, unknown
from sim.pim.gemv import Layout, program

Values = NDArray[np.float32]


def rounded(values: NDArray[np.floating], number_format: str) -> Values:
    """Return `values` rounded to the nearest number of bf16 or fp16, ties to even; infinities stay."""
    single = np.asarray(values, np.float32)
    if number_format == "fp16":
        return single.astype(np.float16).astype(np.float32)
    if number_format != "bf16":
        raise ConfigError(Problem(unknown("format of banks that compute", number_format, ("bf16", "fp16"))))
    bits = single.view(np.uint32).astype(np.uint64)
    bits += 0x7FFF + ((bits >> 16) & 1)
    return np.where(np.isfinite(single), (bits & 0xFFFF0000).astype(np.uint32).view(np.float32), single)


def store(layout: Layout, matrix: Values) -> Values:
    """Return the rows of all banks, (channel, bank, row, element), with `matrix` (outputs, inputs) in them."""
    device = layout.device
    memory = np.zeros((device.spec.channels, device.banks, layout.rows, device.row_bytes // device.element), np.float32)
    for output in range(layout.outputs):
        channel, bank, group = layout.bank(output)
        for part, size in enumerate(layout.parts):
            start = part * layout.length
            memory[channel, bank, layout.row(group, part), :size] = matrix[output, start : start + size]
    return memory


def multiply(layout: Layout, matrix: Values, vector: Values) -> Values:
    """Return matrix · vector (outputs,) as the device computes it: its program on its memory, rounded at the end.

    matrix (outputs, inputs) and vector (inputs,) are rounded to the device's format first.
    """
    device, form = layout.device, layout.device.spec.number_format
    memory = store(layout, rounded(matrix, form))
    inputs = np.zeros(len(layout.parts) * layout.length, np.float32)
    inputs[: layout.inputs] = rounded(vector, form)
    totals = np.zeros((layout.groups, device.spec.channels, device.banks), np.float32)
    registers = np.zeros(totals.shape[1:], np.float32)
    buffer = np.zeros(layout.length, np.float32)
    writes = reads = 0
    for each in program(layout):
        does = device.does(each.op).does
        if does == "write_buffer":
            start = writes % len(layout.parts) * layout.length
            buffer = inputs[start : start + layout.length]
            writes += 1
        elif does == "write_registers":
            registers = np.zeros_like(registers)
        elif does == "multiply":
            stop = each.size * device.lanes
            registers = registers + memory[:, :, each.row, :stop] @ buffer[:stop]
        else:
            totals[reads % layout.groups] += registers
            reads += 1
    return rounded(totals.reshape(-1)[: layout.outputs], form)
