"""An array as a circuit that can be simulated and exported."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import pyrtl

from sim.arch import Precision, Systolic
from sim.errors import ConfigError, Problem, unknown
from sim.formats import PLAIN
from sim.rtl import output, stationary
from sim.rtl.ports import Ports, Widths

CIRCUITS: dict[str, Callable[[Systolic, Ports], None]] = {
    "ws": stationary.build,
    "is": stationary.build,
    "os": output.build,
}
"""Dataflow to what builds its circuit."""

TOP = "array"
"""Name of the exported Verilog module."""


@dataclass(frozen=True)
class Machine:
    """The circuit of one array, and the widths of the words on its ports."""

    array: Systolic
    widths: Widths
    block: pyrtl.Block

    @property
    def loads(self) -> bool:
        """Whether an operand is loaded before the other streams."""
        return self.array.dataflow != "os"

    def verilog(self) -> str:
        """Return the circuit as a Verilog module `array` with clk and a synchronous rst."""
        text = io.StringIO()
        pyrtl.output_to_verilog(text, add_reset=True, block=self.block, module_name=TOP)
        return text.getvalue()


def widths_of(array: Systolic, precision: Precision) -> Widths:
    """Return the bits on the ports of `array`; ConfigError where an operand is no integer."""
    usual = {"input": "int8", "weight": "int8", "partial_sum": "int32"}
    wrong = [
        Problem(
            f"the circuits compute in integers, not {getattr(precision, operand)}; --set precision.{operand}={name}",
            key=f"precision.{operand}",
        )
        for operand, name in usual.items()
        if not getattr(precision, operand).startswith("int")
    ]
    if wrong:
        raise ConfigError(*wrong)
    row, column = PLAIN[precision.input], PLAIN[precision.weight]
    if array.dataflow == "is":
        row, column = column, row
    return Widths(column, row, PLAIN[precision.partial_sum])


def build(array: Systolic, precision: Precision) -> Machine:
    """Return the circuit of one `array`, its `count` not looked at.

    ConfigError where its dataflow has no circuit, its convention is no circuit's or its numbers are no integers.
    """
    if array.dataflow not in CIRCUITS:
        raise ConfigError(Problem(unknown("dataflow with a circuit", array.dataflow, CIRCUITS), key="dataflow"))
    if array.convention != "rtl":
        message = f"'{array.convention}' counts by formula and has no circuit; --set convention=rtl"
        raise ConfigError(Problem(message, key="convention"))
    widths = widths_of(array, precision)
    block = pyrtl.Block()
    with pyrtl.set_working_block(block, no_sanity_check=True):
        CIRCUITS[array.dataflow](array, Ports(array, widths))
    return Machine(array, widths, block)
