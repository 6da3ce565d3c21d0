"""Matrix times vector in the banks: where the matrix lies, and the program that multiplies it.

Outputs go to banks, channel after channel, in groups as large as there are banks; inputs to parts as long as the
global buffer. A group and a part share a row of every bank, so that each row is opened once. `kouter` writes every
part of the input once and reads partial sums of all outputs for each; `oouter` writes the input anew for each group
of outputs and reads every output once, its sum kept in the registers over the parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sim.errors import CapacityError
from sim.pim.device import Device
from sim.pim.program import Instruction


@dataclass(frozen=True)
class Layout:
    """Where the elements of a matrix of `outputs` by `inputs` lie in the banks of a device."""

    device: Device
    outputs: int
    inputs: int

    @cached_property
    def width(self) -> int:
        """Outputs of a group: one for each bank of each channel."""
        return self.device.banks * self.device.spec.channels

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
        """Rows of every bank that the matrix takes."""
        return self.groups * len(self.parts)

    def row(self, group: int, part: int) -> int:
        """Return the row of every bank that holds a group of outputs for a part of the inputs.

        Rows follow the order of the program.
        """
        if self.device.spec.order == "kouter":
            return part * self.groups + group
        return group * len(self.parts) + part

    def bank(self, output: int) -> tuple[int, int, int]:
        """Return channel, bank in it and group of an output."""
        group, place = divmod(output, self.width)
        channel, bank = divmod(place, self.device.banks)
        return channel, bank, group

    def bursts(self, part: int) -> int:
        """Return the bursts of a part of the inputs: commands that write it, and that multiply by it."""
        return -(-self.parts[part] // self.device.lanes)

    def check(self, name: str) -> None:
        """Make sure that the matrix called `name` fits; CapacityError where it does not."""
        device, rows = self.device, self.device.spec.organization["Row"]
        if self.rows > rows:
            each = device.row_bytes * self.width
            least = -(-device.spec.channels * self.rows // rows)
            way_out = f"{self.rows - rows} rows of every bank too many; --set channels={least} would do"
            memory = f"the banks of {device.name} ({device.spec.channels} channels)"
            raise CapacityError(f"matrix of '{name}'", memory, self.rows * each, rows * each, way_out)


def program(layout: Layout) -> Iterator[Instruction]:
    """Yield the operations that multiply the matrix by a vector, in the order of the device."""
    device = layout.device
    write, bias = device.operation("write_buffer"), device.operation("write_registers")
    multiply, read = device.operation("multiply"), device.operation("read_registers")
    if device.spec.order == "kouter":
        for part in range(len(layout.parts)):
            yield Instruction(write, layout.bursts(part))
            for group in range(layout.groups):
                yield Instruction(bias)
                yield Instruction(multiply, layout.bursts(part), layout.row(group, part))
                yield Instruction(read)
    else:
        for group in range(layout.groups):
            yield Instruction(bias)
            for part in range(len(layout.parts)):
                yield Instruction(write, layout.bursts(part))
                yield Instruction(multiply, layout.bursts(part), layout.row(group, part))
            yield Instruction(read)
