"""A DRAM device as it stands in its file: strict, every timing with its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sim import units
from sim.expressions import evaluate
from sim.yamlfile import Strict

LEVELS = ("Channel", "PseudoChannel", "Rank", "Sid", "BankGroup", "Bank")
"""Levels that a hierarchy may have, from the whole channel to the bank."""

FIELDS = (*LEVELS, "Row", "Column")
"""Fields of an address."""

OVERRIDE = "override"
"""Source of a figure that stands without one."""

Level = Literal["Channel", "PseudoChannel", "Rank", "Sid", "BankGroup", "Bank"]
FieldName = Literal["Channel", "PseudoChannel", "Rank", "Sid", "BankGroup", "Bank", "Row", "Column"]


def _quantity(dimension: str, scale: int = 1) -> tuple[Any, Any]:
    def parse(text: object) -> float:
        value = float(units.parse(dimension, text) * scale)
        if value <= 0:
            raise ValueError(f"{dimension} '{text}' must be greater than zero")
        return value

    example = units.EXAMPLES[dimension]
    note = f"number and unit, as in '{example}'"
    return BeforeValidator(parse), WithJsonSchema({"type": "string", "description": note, "examples": [example]})


def _positive_bytes(text: object) -> int:
    value = units.parse_whole("size", text)
    if value <= 0 or value & (value - 1):
        raise ValueError(f"size '{text}' must be a power of two")
    return value


def _sourced(value: object) -> object:
    if isinstance(value, bool | float | str):
        raise ValueError(f"expected a whole number of clocks, not '{value}'")
    return {"cycles": value, "source": OVERRIDE} if isinstance(value, int) else value


def _fields(value: object) -> object:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    if not isinstance(value, list):
        raise ValueError(f"expected fields, the most significant first, as in Row,Bank,Column; not {value}")
    return value


Count = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(_positive_bytes), _quantity("size")[1]]
Picojoules = Annotated[float, *_quantity("energy")]
Picoseconds = Annotated[float, *_quantity("time", 10**12)]
Volts = Annotated[float, *_quantity("voltage")]


class Source(Strict):
    """Where figures come from; `derived` is the formula where they are not as published."""

    text: str = Field(description="publication and place in it")
    derived: str | None = Field(None, description="the formula, where the figure is not as published")


class Parameter(Strict):
    """A timing parameter in clocks of the device, and the name of its source."""

    cycles: int = Field(ge=0, description="clocks")
    source: str = Field(OVERRIDE, description="name of its source")


Timing = Annotated[Parameter, BeforeValidator(_sourced)]
"""A parameter, or its clocks alone where it overrides one."""


class Timed(Strict):
    """Where a command goes, and how it occupies the command bus."""

    scope: Level = Field(description="the level one node of which it goes to")
    cycles: Count = Field(1, description="clocks on the command bus")
    bus: Literal["row", "column"] | None = Field(None, description="its own bus, where there are two")


class Command(Timed):
    """What a command does to the banks in its scope, and how it occupies the command bus."""

    does: Literal["activate", "activate_first", "precharge", "read", "write", "refresh", "sync"] = Field(
        description="what happens to the banks in its scope; sync wakes the data clock"
    )
    precharges: bool = Field(False, description="closes the row by itself")


class Constraint(Strict):
    """At least `latency` clocks from a preceding command to a following one, within one node of `level`.

    With `window` n, the gap is to the n-th last preceding command; with `sibling`, the following command goes
    to another node of that level (a switch between ranks).
    """

    level: Level = Field(description="both commands go to one node of this level")
    preceding: list[str] = Field(min_length=1, description="commands that hold others back")
    following: list[str] = Field(min_length=1, description="commands that are held back")
    latency: str = Field(description="sum of timing parameters")
    window: Count = Field(1, description="counts from the n-th last preceding command")
    sibling: bool = Field(False, description="holds back the other nodes of the level instead")


class Currents(Strict):
    """Currents of one device in mA (Micron TN-40-07 names), devices side by side, supply voltage."""

    VDD: Volts = Field(description="supply voltage")
    devices: float = Field(gt=0, description="devices that serve one burst together")
    IDD0: float = Field(gt=0, description="mA, activating and precharging one bank every tRC")
    IDD2N: float = Field(gt=0, description="mA, all banks closed")
    IDD3N: float = Field(gt=0, description="mA, a row open")
    IDD4R: float = Field(gt=0, description="mA, reading all the time")
    IDD4W: float = Field(gt=0, description="mA, writing all the time")
    IDD5AB: float = Field(gt=0, description="mA, refreshing all banks")
    source: str = Field(description="name of their source")


class Event(Strict):
    """Energy of one event in pJ, its source, and the formula where it is not as published."""

    value: Picojoules = Field(description="energy of one")
    source: str = Field(description="name of its source")
    derived: str | None = Field(None, description="the formula, where the figure is not as published")


class Power(Strict):
    """Standby power of one channel in W, its source."""

    value: Annotated[float, *_quantity("power")] = Field(description="power of one channel")
    source: str = Field(description="name of its source")
    derived: str | None = Field(None, description="the formula, where the figure is not as published")


class Events(Strict):
    """Energy by event: an activation, a bit read and written, a refresh; standby power where it is known."""

    read: Event = Field(description="per bit")
    write: Event = Field(description="per bit")
    activate: Event | None = Field(None, description="per activation, with its precharge")
    refresh: Event | None = Field(None, description="per refresh command")
    standby: Power | None = Field(None, description="per channel")


class Specification(Strict):
    """A DRAM device and the policies of its controller, as one file says it."""

    name: str = Field(description="what others call the device")
    description: str = Field(description="what it is, on one line")
    validated: str = Field(description="against what, and how closely")
    standard: str = Field(description="the family that it belongs to")
    levels: list[Level] = Field(min_length=2, description="the hierarchy, from Channel to Bank")
    commands: dict[str, Command] = Field(description="by name")
    constraints: dict[str, Constraint] = Field(description="gaps between commands, each with a name")
    sources: dict[str, Source] = Field(description="where figures come from, by short name")
    timing: dict[str, Timing] = Field(description="parameters by JEDEC name")
    tCK: Picoseconds = Field(description="one clock, in which all timing counts")
    read_latency: str = Field(description="clocks from a read command to its last data")
    write_latency: str = Field(description="clocks from a write command to its last data")
    burst: Bytes = Field(description="bytes of one access")
    organization: dict[FieldName, Count] = Field(description="how many of each in the next larger; bursts of a row")
    mapping: Annotated[list[FieldName], BeforeValidator(_fields)] = Field(
        description="fields of an address from the most to the least significant bits"
    )
    rounding: int = Field(0, ge=0, description="clocks that parts rounded up one by one may exceed their whole by")
    half_clocks: bool = Field(False, description="a clock is half a CK; only precharges use its falling edge")
    channels: Count = Field(1, description="channels side by side, each with its own controller")
    refresh: Literal["all_bank", "per_bank", "off"] = Field(
        "all_bank", description="of all banks at once, bank by bank, or none"
    )
    row_policy: Literal["open", "closed"] = Field("open", description="closed: rows close after row_cap accesses")
    row_cap: int = Field(4, ge=0, description="accesses after which a closed policy closes a row; 0: every access")
    read_queue: Count = Field(32, description="requests that the controller holds, reads")
    write_queue: Count = Field(32, description="requests that the controller holds, writes")
    write_high: float = Field(0.8, gt=0, le=1, description="part of the write queue above which writes drain")
    write_low: float = Field(0.2, ge=0, le=1, description="part of the write queue below which reads go on")
    extrapolate: Literal["on", "off"] = Field("off", description="compute a long pattern once its rate has settled")
    energy: Literal["currents", "events"] = Field("currents", description="from currents, or by cost of event")
    currents: Currents | None = Field(None, description="currents of a device")
    events: Events | None = Field(None, description="energy by event")

    def clocks(self, latency: str) -> int:
        """Return what a sum of timing parameters comes to; ValueError where one of its names is none."""
        return clocks(latency, self.timing)


def clocks(latency: str, timing: Mapping[str, Parameter]) -> int:
    """Return what a sum of timing parameters comes to; ValueError where one of its names is none."""
    value = evaluate(f"={latency}", {name: p.cycles for name, p in timing.items()})
    if not isinstance(value, int):
        raise ValueError(f"'{latency}' is no whole number of clocks")
    return value
