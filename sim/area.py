"""Area of a chip in mm2: PEs by number format, lanes, buffers from the SRAM table, and control as a share of them.

A model for comparing designs at equal area, not a floorplan: no pads, no PHY of the memory, no wires of the
array. Every figure stands with its source in arch_configs/area/45nm.yaml; SRAM is that of the chip's energy
table. Logic is taken to the node of that SRAM by the square of the feature size, which flatters small nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, prod
from typing import Annotated

from pydantic import BeforeValidator, Field

from sim import energy, library, units
from sim.arch import Arch, Precision, Systolic, Vector
from sim.arch.rates import PAIR
from sim.dataflow import DATAFLOWS
from sim.energy.schema import FLOATS, FORMATS, INTEGERS
from sim.energy.sram import loglog
from sim.errors import ConfigError, Problem
from sim.formats import PLAIN, element_of
from sim.yamlfile import Strict, check, in_order, read

TABLE = "45nm"
_PORT_BITS = 64
"""Width of a port, on which the area of an SRAM does not depend in the tables."""

_Mm2 = Annotated[float, BeforeValidator(lambda text: float(units.parse("area", text)))]
_Nm = Annotated[float, BeforeValidator(lambda text: float(units.parse("length", text)))]


class Figure(Strict):
    """One area in mm2, and the name of its source."""

    value: _Mm2
    source: str


class Operators(Strict):
    """Area of an adder and a multiplier, by number format."""

    add: dict[str, Figure]
    mul: dict[str, Figure]


class Control(Strict):
    """What controls a chip, as a share of what it controls."""

    share: float = Field(ge=0)
    source: str
    derived: str


class AreaTable(Strict):
    """Area of logic at one node, every figure with its source."""

    about: str
    node: _Nm
    sources: dict[str, str]
    scaling: str
    operations: Operators
    register_bit: Figure = Field(alias="register")
    control: Control


@dataclass(frozen=True)
class Area:
    """The area of a chip by component, in mm2, and what is left out of it."""

    by_component: dict[str, float]
    not_modelled: tuple[str, ...] = ()

    @property
    def total_mm2(self) -> float:
        """All components together."""
        return fsum(self.by_component.values())


@lru_cache(maxsize=8)
def load(name: str = TABLE) -> AreaTable:
    """Return the area table called `name` (library or path); ConfigError with every problem of it."""
    path = library.find("area", name)
    document = read(path, library.shown(path))
    table, problems = check(AreaTable, document)
    if table is None:
        raise ConfigError(*in_order(problems))
    return table


def area_of(arch: Arch) -> float | None:
    """Return the area of a chip in mm2; None where buffers have no limit, and so no area, and for fabrics and banks."""
    return chip_area(arch).total_mm2 if arch.bounded and not arch.fabric and not arch.pim else None


def chip_area(arch: Arch) -> Area:
    """Return the Area of a chip; buffers without limit are left out."""
    parts = {name: unit_area(unit, arch.precision, arch.technology) for name, unit in arch.units.items()}
    if arch.bounded:
        parts |= {name: buffer_area(buffer.capacity, arch.technology) for name, buffer in arch.buffers.items()}
    parts["control"] = load().control.share * fsum(parts.values())
    return Area(parts, ("pads", "memory PHY", "wires of the array", "link"))


@lru_cache(maxsize=65536)
def _square(node: float) -> float:
    return (node / load().node) ** 2


def unit_area(unit: object, precision: Precision, technology: str) -> float:
    """Return the mm2 of a unit: PEs of multiplier, adder and registers, or lanes of both at the width of sums."""
    scale = _square(node_of(technology))
    if isinstance(unit, Systolic):
        modes = _modes(unit.rates, precision.weight, precision.input)
        return unit.pes * scale * max(_pe(unit.dataflow, unit.weight_buffers, precision, mode) for mode in modes)
    if isinstance(unit, Vector):
        own = unit.number_format or precision.partial_sum
        return unit.lanes * scale * max(rate * _lane(first) for first, _, rate in _modes(unit.rates, own, own))
    return 0.0


Mode = tuple[str, str, int]
"""Formats of both operands, and how many pairs of them are taken at once."""


def _modes(rates: Mapping[str, int], *formats: str) -> list[Mode]:
    """Return what a unit can do: the one thing that it is for, or where it declares rates each of them."""
    if not rates:
        return [(element_of(formats[0]), element_of(formats[1]), 1)]
    pairs = ((key.split(PAIR), rate) for key, rate in rates.items())
    return [(names[0], names[-1], rate) for names, rate in pairs]


def _lane(number_format: str) -> float:
    """Return the mm2 of a lane at the table's node: an adder, a multiplier, and registers of three operands."""
    bits = 3 * PLAIN[element_of(number_format)] * load().register_bit.value
    return operator("add", number_format) + operator("mul", number_format) + bits


@lru_cache(maxsize=1024)
def _pe(dataflow: str, weight_buffers: int, precision: Precision, mode: Mode) -> float:
    """Return the mm2 at the table's node of a PE that can do `mode`; one with several modes has room for the largest.

    Its registers are those of the register-level reference: both operands on their way, the sum, and the
    stationary operand in as many registers as it has buffers (output stationary: the drain register). Products that
    are made at once have a multiplier and an adder each.
    """
    *formats, rate = mode
    width = dict(zip(("weight", "input"), (PLAIN[name] for name in formats), strict=True))
    wide = max(formats, key=PLAIN.__getitem__)
    stationary, sums = DATAFLOWS[dataflow].stationary, PLAIN[precision.partial_sum]
    moving = sum(bits for operand, bits in width.items() if operand != stationary)
    held = sums if stationary == "output" else rate * width[stationary] * weight_buffers
    product = operator("mul", wide if wide in FLOATS else f"int{round(prod(width.values()) ** 0.5)}")
    registers = (rate * moving + sums + held) * load().register_bit.value
    return rate * (product + operator("add", precision.partial_sum)) + registers


@lru_cache(maxsize=256)
def operator(kind: str, number_format: str) -> float:
    """Return the mm2 of an `add` or `mul` at the table's node: its own figure, else log-log in significand bits.

    A single integer or float figure would grow with the bits (add) or their square (mul); beyond the ends the end
    slopes go on.
    """
    known = getattr(load().operations, kind)
    if number_format in known:
        return float(known[number_format].value)
    family = FLOATS if number_format in FLOATS else INTEGERS
    points = sorted((FORMATS[name], known[name].value) for name in family if name in known)
    if not points:
        raise ConfigError(Problem(f"no area for {kind} {number_format}", f"{TABLE}.yaml", key=f"operations.{kind}"))
    bits = FORMATS.get(number_format) or float(number_format.removeprefix("int"))
    return loglog(points, bits, 1.0 if kind == "add" else 2.0)


@lru_cache(maxsize=65536)
def buffer_area(capacity: int, technology: str) -> float:
    """Return the mm2 of a buffer of `capacity` bytes by its energy table; where that has none, 45nm's by the node."""
    own = energy.load(technology).sram(capacity, _PORT_BITS).area_mm2
    if own is not None:
        return own
    return float(energy.load(TABLE).sram(capacity, _PORT_BITS).area_mm2 or 0.0) * _square(node_of(technology))


@lru_cache(maxsize=64)
def node_of(technology: str) -> float:
    """Return the feature size in nm of the SRAM in an energy table; that of the area table where it names none."""
    schema = energy.load(technology).schema
    return schema.sources[schema.sram.source].node or load().node
