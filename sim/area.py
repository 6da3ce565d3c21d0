"""Area of a chip in mm2: PEs by number format, lanes, buffers from the SRAM table, and control as a share of them.

A model for comparing designs at equal area, not a floorplan: no pads, no PHY of the memory, no wires of the
array. Every figure stands with its source in arch_configs/area/45nm.yaml; SRAM is that of the chip's energy
table. Logic is taken to the node of that SRAM by the square of the feature size, which flatters small nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import fsum, prod
from typing import Annotated

from pydantic import BeforeValidator, Field

from sim import energy, library, units
from sim.arch import Arch, Precision, Systolic, Vector
from sim.dataflow import DATAFLOWS
from sim.energy.schema import FLOATS, FORMATS, INTEGERS
from sim.energy.sram import loglog
from sim.errors import ConfigError, Problem
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
        return unit.pes * scale * _pe(unit.dataflow, unit.weight_buffers, precision)
    if isinstance(unit, Vector):
        sums, table = precision.partial_sum, load()
        lane = operator("add", sums) + operator("mul", sums) + 3 * FORMAT_BITS[sums] * table.register_bit.value
        return unit.lanes * scale * lane
    return 0.0


@lru_cache(maxsize=1024)
def _pe(dataflow: str, weight_buffers: int, precision: Precision) -> float:
    """Return the mm2 of a PE at the table's node.

    Its registers are those of the register-level reference: both operands on their way, the sum, and the
    stationary operand in as many registers as it has buffers (output stationary: the drain register).
    """
    formats = (precision.weight, precision.input)
    wide = max(formats, key=lambda name: FORMAT_BITS[name])
    stationary = DATAFLOWS[dataflow].stationary
    held = FORMAT_BITS[precision.partial_sum if stationary == "output" else getattr(precision, stationary)]
    moving = [o for o in ("weight", "input") if o != stationary]
    bits = sum(FORMAT_BITS[getattr(precision, o)] for o in moving) + FORMAT_BITS[precision.partial_sum]
    bits += held * (weight_buffers if stationary != "output" else 1)
    product = operator("mul", wide if wide in FLOATS else f"int{round(prod(FORMAT_BITS[f] for f in formats) ** 0.5)}")
    return product + operator("add", precision.partial_sum) + bits * load().register_bit.value


FORMAT_BITS = INTEGERS | {"fp8": 8, "bf16": 16, "fp16": 16, "fp32": 32}
"""Width of each number format."""


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
