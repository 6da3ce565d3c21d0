"""A PIM device as it stands in its file: strict, every timing with its source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sim.dram.schema import Bytes, Constraint, Count, FieldName, Level, Picoseconds, Source, Timed, Timing
from sim.formats import PLAIN
from sim.yamlfile import Strict

Role = Literal[
    "activate", "precharge", "multiply", "write_buffer", "write_registers", "read_registers", "switch", "refresh"
]


class Command(Timed):
    """What a command does in all banks of a channel, and in which mode it can be issued."""

    does: Role = Field(description="what happens; switch changes between access to the banks and to the registers")
    mode: Literal["bank", "register"] | None = Field(None, description="the mode in which it can be issued")
    latency: str = Field("1", description="sum of timing parameters: clocks until it is done")


class Operation(Strict):
    """An operation of programs: the command that it repeats, and whether what comes after it waits for its data."""

    command: str = Field(description="the command that it stands for, as often as its size says")
    blocks: bool = Field(False, description="holds back all later operations until its data are there")


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
    formats: list[str] = Field(min_length=1, description="number formats that the banks multiply")
    number_format: str = Field(description=f"the one in use, of {', '.join(PLAIN)}")
    commands: dict[str, Command] = Field(description="by name")
    operations: dict[str, Operation] = Field(description="of programs, by name")
    constraints: dict[str, Constraint] = Field(description="gaps between commands, each with a name")
    sources: dict[str, Source] = Field(description="where figures come from, by short name")
    timing: dict[str, Timing] = Field(description="parameters by name")
    channels: Count = Field(1, description="channels side by side, in lock-step")
    order: Literal["kouter", "oouter"] = Field(
        "kouter", description="loops of a GEMV: parts of the input outermost, or groups of outputs"
    )
    refresh: Literal["all_bank", "off"] = Field("all_bank", description="of all banks at once, or none")
