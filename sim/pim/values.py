"""What a GEMV computes in the banks, number by number: the matrix stored by its layout, the program carried out.

Products and sums are made in fp32 and rounded to the device's format when the registers are read for the last time;
what the real adders round is not published, so this is an assumption.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError, Problem, unknown
from sim.pim.gemv import Layout, Step, steps

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
    """Return the rows of all units, (channel, unit, row, element), with `matrix` (outputs, inputs) in them."""
    device = layout.device
    memory = np.zeros((device.spec.channels, device.units, layout.rows, device.row_bytes // device.element), np.float32)
    for output in range(layout.outputs):
        channel, unit, group, accumulator = layout.place(output)
        for part, size in enumerate(layout.parts):
            start, at = part * layout.length, layout.column(part, accumulator) * device.lanes
            row = layout.row(group, part, accumulator)
            memory[channel, unit, row, at : at + size] = matrix[output, start : start + size]
    return memory


def multiply(layout: Layout, matrix: Values, vector: Values) -> Values:
    """Return matrix · vector (outputs,) as the device computes it: its program on its memory, rounded at the end.

    matrix (outputs, inputs) and vector (inputs,) are rounded to the device's format first.
    """
    form = layout.device.spec.number_format
    machine = _Machine(layout, store(layout, rounded(matrix, form)), rounded(vector, form))
    for step in steps(layout):
        machine.carry_out(step)
    return rounded(machine.totals.reshape(-1)[: layout.outputs], form)


class _Machine:
    """The global buffers, the registers, and what was read from them."""

    def __init__(self, layout: Layout, memory: Values, vector: Values) -> None:
        self.layout, self.memory, self.device = layout, memory, layout.device
        self.inputs = np.zeros(len(layout.parts) * layout.length, np.float32)
        self.inputs[: layout.inputs] = vector
        units = (self.device.spec.channels, self.device.units, self.device.spec.accumulators)
        self.totals = np.zeros((layout.groups, *units), np.float32)
        self.registers = np.zeros(units, np.float32)
        self.buffer = np.zeros(layout.length, np.float32)

    def carry_out(self, step: Step) -> None:
        does = self.device.does(step.operation.op).does
        if does == "write_buffer":
            self.buffer = self.inputs[step.part * self.layout.length :][: self.layout.length]
        elif does == "write_registers":
            self.registers[:] = 0
        elif does == "multiply":
            size = step.operation.size * self.device.lanes
            start = self.layout.column(step.part, step.accumulator) * self.device.lanes
            row = self.memory[:, :, step.operation.row, start : start + size]
            self.registers[:, :, step.accumulator] += row @ self.buffer[:size]
        else:
            self.totals[step.group] += self.registers
            self.registers[:] = 0
