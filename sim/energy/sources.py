"""What a table rests on: each figure with unit, node, voltage, format, source and formula."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.energy.schema import RECIPES, Entry, Point, Schema
from sim.energy.table import ALIKE, Table, join
from sim.units import show_bytes


@dataclass(frozen=True)
class Row:
    """One figure of a table with all that it rests on; node in nm, voltage in V."""

    entry: str
    value: float
    unit: str
    node: float | None
    voltage: float | None
    format: str
    source: str
    derived: str | None


def sources(table: Table) -> list[Row]:
    """Return a Row for each figure that `table` states, and one for each operation it takes from RECIPES."""
    schema = table.schema
    return [*_operations(schema), *_recipes(schema), *_bits(schema), *_sram(schema)]


def _operations(schema: Schema) -> Iterator[Row]:
    for operation in type(schema.operations).model_fields:
        for name, entry in schema.operations.stated(operation).items():
            yield _figure(schema, operation, entry, name)


def _recipes(schema: Schema) -> Iterator[Row]:
    for operation, (muls, adds, why) in RECIPES.items():
        if not schema.operations.stated(operation):
            steps = f"{muls} mul + {adds} add"
            yield Row(operation, muls + adds, "operations", None, None, "any", why, steps)


def _bits(schema: Schema) -> Iterator[Row]:
    yield _figure(schema, "register", schema.registers, "1 bit")
    yield _figure(schema, "link", schema.link, "1 bit")
    for kind, dram in schema.dram.items():
        yield _figure(schema, f"dram.{kind}.read", dram.read, "1 bit")
        if dram.write:
            yield _figure(schema, f"dram.{kind}.write", dram.write, "1 bit")
        else:
            yield _figure(schema, f"dram.{kind}.write", dram.read, "1 bit", ALIKE)


def _sram(schema: Schema) -> Iterator[Row]:
    curve = schema.sram
    ports = curve.ports.points if curve.ports else []
    for point in curve.points:
        yield from _point(schema, curve.source, point, curve.width_bits)
    for port in ports:
        if curve.ports and port.width_bits != curve.width_bits:
            yield from _point(schema, curve.ports.source, port, port.width_bits)


def _point(schema: Schema, source: str, point: Point, width_bits: int) -> Iterator[Row]:
    where = f"{show_bytes(point.capacity)} x {width_bits} bits"
    for what, unit in (("read", "pJ"), ("write", "pJ"), ("leakage", "W"), ("area", "mm2")):
        value = getattr(point, what)
        if value is not None:
            yield _row(schema, f"sram.{what}", value, unit, where, source)


def _figure(schema: Schema, name: str, entry: Entry, format_: str, note: str | None = None) -> Row:
    return _row(schema, name, entry.value, "pJ", format_, entry.source, entry.derived, note)


def _row(
    schema: Schema, entry: str, value: float, unit: str, format_: str, source: str, *derived: str | None
) -> Row:
    origin = schema.sources[source]
    formula = join(*derived, origin.derived)
    return Row(entry, value, unit, origin.node, origin.voltage, format_, origin.text, formula)
