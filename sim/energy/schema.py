"""A technology table as it stands in its file: strict, every figure with its unit and its source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from sim import library, units
from sim.arch.quantities import quantity
from sim.errors import ConfigError, Problem, unknown
from sim.yamlfile import Document, Path_, Strict, check, in_order, read

INTEGERS = {"int4": 4, "int8": 8, "int16": 16, "int32": 32}
"""Integer format to its width in bits."""

FLOATS = {"fp4": 2, "fp6": 4, "fp8": 4, "bf16": 8, "fp16": 11, "fp32": 24}
"""Floating-point format to the bits of its significand, the hidden one included (E2M1, E2M3, E4M3)."""

FORMATS = INTEGERS | FLOATS

RECIPES = {
    "max": (0, 1, "a comparison is a subtraction"),
    "exp": (6, 7, "6 multiply-accumulates and 1 add (FuseMax, MICRO 2024)"),
    "div": (5, 4, "reciprocal by two Newton steps of 2 multiply-accumulates, then 1 mul"),
    "sqrt": (7, 2, "reciprocal root by two Newton steps of 3 mul and 1 add, then 1 mul"),
    "tanh": (11, 13, "1 - 2 / (exp(2x) + 1): 1 exp, 1 div, 2 add"),
    "erf": (19, 17, "Abramowitz and Stegun 7.1.26: 5 multiply-accumulates, 3 mul, 1 add, 1 div, 1 exp"),
}
"""Lane operation to the mul and add it takes, and why; used where a table has no figure of its own."""


def _above_zero(dimension: str) -> BeforeValidator:
    def parse(text: object) -> float:
        value = float(units.parse(dimension, text))
        if value <= 0:
            raise ValueError(f"{dimension} '{text}' must be above zero")
        return value

    return BeforeValidator(parse)


_Picojoules = Annotated[float, _above_zero("energy"), quantity("energy")]
_Bytes = Annotated[float, _above_zero("size"), quantity("size")]
_Watts = Annotated[float, _above_zero("power"), quantity("power")]
_Mm2 = Annotated[float, _above_zero("area"), quantity("area")]
_Nanometres = Annotated[float, _above_zero("length"), quantity("length")]
_Volts = Annotated[float, _above_zero("voltage"), quantity("voltage")]
_Bits = Annotated[int, Field(gt=0)]


class Source(Strict):
    """Where figures come from; `derived` is the formula where they are not as published."""

    text: str = Field(description="the publication, in full")
    node: _Nanometres | None = Field(None, description="the process it is for")
    voltage: _Volts | None = Field(None, description="the supply it is for")
    derived: str | None = Field(None, description="the formula where figures are scaled")


class Entry(Strict):
    """One figure in pJ, the name of its source, and the formula where it is not native."""

    value: _Picojoules = Field(description="energy of one action")
    source: str = Field(description="which of the sources states it")
    derived: str | None = Field(None, description="the formula where it is not as published")


class Formats(Strict):
    """The figures of one operation, by number format."""

    int4: Entry | None = Field(None, description="in int4")
    int8: Entry | None = Field(None, description="in int8")
    int16: Entry | None = Field(None, description="in int16")
    int32: Entry | None = Field(None, description="in int32")
    fp4: Entry | None = Field(None, description="in fp4")
    fp6: Entry | None = Field(None, description="in fp6")
    fp8: Entry | None = Field(None, description="in fp8")
    bf16: Entry | None = Field(None, description="in bf16")
    fp16: Entry | None = Field(None, description="in fp16")
    fp32: Entry | None = Field(None, description="in fp32")

    def stated(self) -> dict[str, Entry]:
        """Return the figures that stand in the table, integers first, each family by rising bits."""
        return {name: entry for name in FORMATS if (entry := getattr(self, name)) is not None}


class Operations(Strict):
    """The figures of every operation, in pJ per result."""

    add: Formats = Field(description="an addition")
    mul: Formats = Field(description="a multiplication")
    mac: Formats = Field(Formats(), description="a multiply-accumulate; mul and add where left out")
    max: Formats = Field(Formats(), description="a maximum")
    exp: Formats = Field(Formats(), description="an exponential")
    div: Formats = Field(Formats(), description="a division")
    sqrt: Formats = Field(Formats(), description="a square root")
    tanh: Formats = Field(Formats(), description="a hyperbolic tangent")
    erf: Formats = Field(Formats(), description="an error function")

    def stated(self, operation: str) -> dict[str, Entry]:
        """Return the figures of `operation` by format; none where the table leaves it to RECIPES."""
        formats: Formats = getattr(self, operation)
        return formats.stated()


class Point(Strict):
    """An SRAM of one capacity (bytes): pJ per access, leakage in W and area in mm2 where known."""

    capacity: _Bytes = Field(description="bytes of the macro")
    read: _Picojoules = Field(description="energy of a read access")
    write: _Picojoules = Field(description="energy of a write access")
    leakage: _Watts | None = Field(None, description="power while nothing happens")
    area: _Mm2 | None = Field(None, description="area of the macro")


class Port(Point):
    """An SRAM of one capacity and port width."""

    width_bits: _Bits = Field(description="bits of an access")


class Ports(Strict):
    """How the energy of an access grows with the port, at a few capacities."""

    source: str = Field(description="which of the sources states it")
    points: Annotated[list[Port], Field(min_length=1)] = Field(description="one figure a capacity and width")


class SramCurve(Strict):
    """SRAM by capacity at one port width, and the effect of the width; without ports, energy is per bit."""

    source: str = Field(description="which of the sources states it")
    width_bits: _Bits = Field(description="bits of an access of all points")
    points: Annotated[list[Point], Field(min_length=1)] = Field(description="one figure a capacity")
    ports: Ports | None = Field(None, description="the same at other port widths")

    @model_validator(mode="after")
    def _ordered(self) -> SramCurve:
        sizes = [point.capacity for point in self.points]
        if sizes != sorted(set(sizes)):
            raise ValueError("the points must stand in the order of their capacity, each once")
        ports = [(port.capacity, port.width_bits) for port in self.ports.points] if self.ports else []
        if ports != sorted(set(ports)):
            raise ValueError("the ports must stand in the order of capacity, then width, each once")
        for size in sorted({size for size, _ in ports}):
            if (size, self.width_bits) not in ports:
                where = units.show_bytes(size)
                raise ValueError(f"the ports of {where} lack the width of the points, {self.width_bits} bits")
        return self


class Dram(Strict):
    """One kind of DRAM in pJ per bit; without `write`, a write costs what a read costs."""

    read: Entry = Field(description="energy of a bit read")
    write: Entry | None = Field(None, description="energy of a bit written; as read where left out")


class Schema(Strict):
    """A technology table as it stands in its file."""

    about: str = Field(description="the table in a sentence")
    sources: dict[str, Source] = Field(description="publications by the name that figures cite")
    operations: Operations = Field(description="arithmetic, by operation and format")
    sram: SramCurve = Field(description="on-chip memories, by capacity")
    registers: Entry = Field(description="a bit written to a register")
    link: Entry = Field(description="a bit over the wires between arrays")
    dram: dict[str, Dram] = Field(description="off-chip memories, by kind")


def load_schema(name: str) -> tuple[Schema, str]:
    """Return the table called `name` (or the one at that path) with what it extends, and its file.

    Raises ConfigError with every problem of the table together, each at its line.
    """
    path = library.find("energy", name)
    document = _read(path, ())
    schema, problems = check(Schema, document)
    problems += list(_unknown_sources(document))
    if schema is None or problems:
        raise ConfigError(*in_order(problems))
    return schema, library.shown(path)


def _read(path: Path, below: tuple[Path, ...]) -> Document:
    document = read(path)
    if "extends" not in document.data:
        return document
    base = document.data.pop("extends")
    if not isinstance(base, str):
        raise document.error(("extends",), f"expected the name of a table, not {base!r}")
    try:
        found = library.find("energy", base, beside=path.parent)
    except ConfigError as error:
        raise document.error(("extends",), error.problems[0].message) from None
    chain = (*below, path.resolve())
    if found.resolve() in chain:
        raise document.error(("extends",), f"'{base}' extends this table in turn")
    parent = _read(found, chain)
    return document.over(Document(parent.file, _without_replaced(parent.data, document.data), parent.places))


def _without_replaced(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Return `base` without the figures that `top` restates, so that no formula of an old one lives on."""
    kept: dict[str, Any] = {}
    for key, value in base.items():
        other = top.get(key)
        if not isinstance(value, dict) or not isinstance(other, dict):
            kept[key] = value
        elif not other.keys() & {"value", "read", "text"}:
            kept[key] = _without_replaced(value, other)
    return kept


def _unknown_sources(document: Document) -> Iterator[Problem]:
    """Yield a Problem for each source that a figure names and the table does not list."""
    sources = document.data.get("sources")
    if not isinstance(sources, dict):
        return
    for path, name in _cited(document.data, ()):
        if name not in sources:
            yield document.problem(path, unknown("source", name, sources))


def _cited(data: dict[str, Any], path: Path_) -> Iterator[tuple[Path_, str]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _cited(value, (*path, key))
        elif key == "source" and isinstance(value, str):
            yield (*path, key), value
