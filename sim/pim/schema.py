"""A PIM device as it stands in its file: strict, every timing and energy with its source."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from sim.dram.schema import Bytes, Constraint, Count, Event, FieldName, Level, Picoseconds, Source, Timed, Timing
from sim.formats import PLAIN
from sim.yamlfile import Strict

Needed = Literal["activate", "precharge", "multiply", "write_buffer", "read_registers", "refresh"]
Optional = Literal["write_registers", "switch", "activate_one", "multiply_one", "read", "write"]
Role = Literal[
    "activate", "precharge", "multiply", "write_buffer", "read_registers", "refresh",
    "write_registers", "switch", "activate_one", "multiply_one", "read", "write",
]  # fmt: skip
SINGLE = ("activate_one", "multiply_one", "read", "write")
"""Roles of commands that go to one bank; all others go to all banks of a channel."""
NEEDED, OPTIONAL = get_args(Needed), get_args(Optional)
"""Roles that every device has a command for, and those that it may do without."""


class Command(Timed):
    """What a command does in all banks of a channel, or in one, and in which mode it can be issued."""

    does: Role = Field(description="what happens; switch changes between access to the banks and to the registers")
    mode: Literal["bank", "register"] | None = Field(None, description="the mode in which it can be issued")
    latency: str = Field("1", description="sum of timing parameters: clocks until it is done")


class Operation(Strict):
    """An operation of programs: the command that it repeats, and whether what comes after it waits for its data."""

    command: str = Field(description="the command that it stands for, as often as its size says")
    blocks: bool = Field(False, description="holds back all later operations until its data are there")


class Energies(Strict):
    """Energy of what the commands do, each figure with its source."""

    activate: Event = Field(description="opening and closing a row of one bank")
    array: Event = Field(description="a bit between a row and what is beside its bank")
    path: Event = Field(description="a bit between a bank, the global buffer or the registers and the pins")
    io: Event = Field(description="a bit over the pins")
    buffer: Event = Field(description="a bit from the global buffer to all multipliers of its channel")
    mac: Event = Field(description="a product and its addition")
    refresh: Event = Field(description="a refresh command to all banks of a channel")


class Specification(Strict):
    """A PIM device, and how it is used, as one file says it."""

    name: str = Field(description="what others call the device")
    description: str = Field(description="what it is, on one line")
    validated: str = Field(description="against what, and how closely")
    tCK: Picoseconds = Field(description="one clock, in which all timing counts")
    levels: list[Level] = Field(min_length=2, description="the hierarchy, from Channel to Bank")
    organization: dict[FieldName, Count] = Field(description="how many of each in the next larger; bursts of a row")
    burst: Bytes = Field(description="bytes of a bank that one multiply command reads")
    buffer: Bytes = Field(description="bytes of the global buffer of a channel")
    banks_per_unit: Count = Field(1, description="banks that share a unit of multipliers, one of them at a time")
    accumulators: Count = Field(1, description="sums that a unit of multipliers keeps")
    partial_sums: Count = Field(1, description="parts that a sum is read in, and that the reader adds")
    formats: list[str] = Field(min_length=1, description="number formats that the banks multiply")
    number_format: str = Field(description=f"the one in use, of {', '.join(PLAIN)}")
    commands: dict[str, Command] = Field(description="by name")
    operations: dict[str, Operation] = Field(description="of programs, by name")
    constraints: dict[str, Constraint] = Field(description="gaps between commands, each with a name")
    sources: dict[str, Source] = Field(description="where figures come from, by short name")
    timing: dict[str, Timing] = Field(description="parameters by name")
    energy: Energies | None = Field(None, description="energy of what commands do; left out: not known")
    channels: Count = Field(1, description="channels side by side, in lock-step")
    order: Literal["kouter", "oouter"] = Field(
        "kouter", description="loops of a GEMV: parts of the input outermost, or groups of outputs"
    )
    refresh: Literal["all_bank", "off"] = Field("all_bank", description="of all banks at once, or none")
