"""Matrix times vector in the banks: where the matrix lies, and the program that multiplies it.

Outputs go to units of multipliers, channel after channel, as many to each as it has accumulators, in groups as large as
all of them hold; inputs to parts as long as the global buffer. A group and a part have rows of their own in every
bank, so that each row is opened once. `kouter` writes every part of the input once and reads partial sums of all
outputs for each; `oouter` writes the input anew for each group of outputs and reads every output once, its sum kept in
the registers over the parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from sim.errors import CapacityError
from sim.pim.device import Device
from sim.pim.program import Instruction


@dataclass(frozen=True)
class Step:
    """An operation of a program, and what it is about: a part of the inputs, a group of outputs, an accumulator."""

    operation: Instruction
    part: int = 0
    group: int = 0
    accumulator: int = 0


@dataclass(frozen=True)
class Layout:
    """Where the elements of a matrix of `outputs` by `inputs` lie in the banks of a device."""

    device: Device
    outputs: int
    inputs: int
    wanted: str | None = None
    """The order of the loops; none: that of the device."""

    @property
    def order(self) -> str:
        """The order of the loops."""
        return self.wanted or self.device.spec.order

    @cached_property
    def width(self) -> int:
        """Outputs of a group: one for each accumulator of each unit of each channel."""
        return self.device.units * self.device.spec.accumulators * self.device.spec.channels

    @cached_property
    def groups(self) -> int:
        """Groups of outputs, the last one padded."""
        return -(-self.outputs // self.width)

    @cached_property
    def length(self) -> int:
        """Inputs of a part: what the global buffer holds."""
        return self.device.spec.buffer // self.device.element

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """The inputs of each part."""
        return tuple(min(self.length, self.inputs - start) for start in range(0, self.inputs, self.length))

    @cached_property
    def rows(self) -> int:
        """Rows of every unit that the matrix takes."""
        return self.groups * self._before[-1]

    @cached_property
    def _before(self) -> tuple[int, ...]:
        """Rows of a group that lie before each part, and at the end those of all parts."""
        sums = self.device.spec.accumulators
        return (0, *accumulate(-(-sums // blocks(self.device, self.bursts(p))) for p in range(len(self.parts))))

    def row(self, group: int, part: int, accumulator: int = 0) -> int:
        """Return the row of every unit that holds the outputs of an accumulator for a part of the inputs.

        Rows follow the order of the program.
        """
        before, after = self._before[part], self._before[part + 1]
        if self.order == "kouter":
            start = before * self.groups + group * (after - before)
        else:
            start = group * self._before[-1] + before
        return start + accumulator // blocks(self.device, self.bursts(part))

    def column(self, part: int, accumulator: int) -> int:
        """Return the first burst in its row of the outputs of an accumulator for a part of the inputs."""
        return accumulator % blocks(self.device, self.bursts(part)) * self.bursts(part)

    def place(self, output: int) -> tuple[int, int, int, int]:
        """Return channel, unit in it, group, and accumulator of an output."""
        group, rest = divmod(output, self.width)
        channel, rest = divmod(rest, self.device.units * self.device.spec.accumulators)
        unit, accumulator = divmod(rest, self.device.spec.accumulators)
        return channel, unit, group, accumulator

    def bursts(self, part: int) -> int:
        """Return the bursts of a part of the inputs: commands that write it, and that multiply by it."""
        return -(-self.parts[part] // self.device.lanes)

    def check(self, name: str) -> None:
        """Make sure that the matrix called `name` fits; CapacityError where it does not."""
        device, rows = self.device, self.device.rows
        if self.rows > rows:
            each = device.row_bytes * device.units * device.spec.channels
            least = -(-device.spec.channels * self.rows // rows)
            way_out = f"{self.rows - rows} rows of every bank too many; --set channels={least} would do"
            memory = f"the banks of {device.name} ({device.spec.channels} channels)"
            raise CapacityError(f"matrix of '{name}'", memory, self.rows * each, rows * each, way_out)


def blocks(device: Device, bursts: int) -> int:
    """Return how many runs of `bursts` bursts lie in a row whole."""
    return max(1, device.spec.organization["Column"] // bursts)


def reads(device: Device) -> int:
    """Return the read commands that fetch the sums of all units of a channel."""
    size = device.units * device.spec.accumulators * device.spec.partial_sums * device.element
    return -(-size // device.spec.burst)


def begin(device: Device) -> list[Instruction]:
    """Return what sets the sums to zero, or to a bias: nothing where reading them does."""
    return [Instruction(device.operation("write_registers"))] if device.maybe("write_registers") else []


def steps(layout: Layout) -> Iterator[Step]:
    """Yield the operations that multiply the matrix by a vector, in the order of the device."""
    device = layout.device
    start, read = begin(device), Instruction(device.operation("read_registers"), reads(device))
    if layout.order == "kouter":
        for part in range(len(layout.parts)):
            yield _write(layout, part)
            for group in range(layout.groups):
                yield from (Step(each, part, group) for each in start)
                yield from _multiplies(layout, part, group)
                yield Step(read, part, group)
    else:
        for group in range(layout.groups):
            yield from (Step(each, 0, group) for each in start)
            for part in range(len(layout.parts)):
                yield _write(layout, part)
                yield from _multiplies(layout, part, group)
            yield Step(read, 0, group)


def _write(layout: Layout, part: int) -> Step:
    return Step(Instruction(layout.device.operation("write_buffer"), layout.bursts(part)), part)


def _multiplies(layout: Layout, part: int, group: int) -> Iterator[Step]:
    multiply = layout.device.operation("multiply")
    for each in range(layout.device.spec.accumulators):
        operation = Instruction(multiply, layout.bursts(part), layout.row(group, part, each))
        yield Step(operation, part, group, each)


def program(layout: Layout) -> Iterator[Instruction]:
    """Yield the operations alone."""
    return (step.operation for step in steps(layout))
