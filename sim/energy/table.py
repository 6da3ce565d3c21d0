"""A technology table that answers for every format and size, and says where each answer comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sim import library
from sim.energy.schema import (
    FLOATS,
    FORMATS,
    INTEGERS,
    RECIPES,
    Entry,
    Schema,
    load_schema,
)
from sim.energy.sram import at_capacity, capacity_note, energy_at, loglog, width_note
from sim.errors import ConfigError, Problem, unknown
from sim.extends import stamp
from sim.formats import PLAIN, element_of
from sim.kernel import LANE_OPERATIONS

ALIKE = "a write costs what a read costs"

_GROWTH = {"add": 1.0, "max": 1.0}
"""Power of the operand bits for an operation known in one format only; 2 where none stands, as in a multiplier."""


@dataclass(frozen=True)
class Cost:
    """Energy of one action in pJ, where the figure comes from, and the formula where it is not native."""

    pj: float
    source: str
    derived: str | None = None


@dataclass(frozen=True)
class Sram:
    """Cost of one access; leakage in W and area in mm2, None where the table's source states none."""

    read: Cost
    write: Cost
    leakage_watts: float | None
    area_mm2: float | None


@dataclass(frozen=True)
class Table:
    """A technology table by its name, with the file that its errors point to."""

    name: str
    file: str
    schema: Schema

    def mac(self, input_format: str, weight_format: str, accumulator_format: str) -> Cost:
        """Return the Cost of one multiply-accumulate: a figure of its own, else mul + add in the accumulator.

        A product of unequal widths counts with their geometric mean, since a multiplier grows with the
        product of its operands' widths; an integer beside a float is converted to it first.
        Elements of a block are multiplied in their own format; its scale costs one product a block more, left out.
        Raises ConfigError for a format that no figure and no rule gives.
        """
        input_format, weight_format = element_of(input_format), element_of(weight_format)
        for name in (input_format, weight_format, accumulator_format):
            self._bits(name)
        operands, note = _operands(input_format, weight_format)
        if operands[0] in FLOATS and accumulator_format in INTEGERS:
            fits = ", ".join(sorted(name for name in FLOATS if PLAIN[name] >= 8))
            message = f"{operands[0]} products cannot accumulate in {accumulator_format}; choose from: {fits}"
            raise self._error("operations", message)
        if self._family("mac", operands[0]):
            total = self._figure("mac", operands)
        else:
            total = _sum((1, self._figure("mul", operands)), (1, self._figure("add", (accumulator_format,))))
        return Cost(total.pj, total.source, join(note, total.derived))

    def lane(self, operation: str, number_format: str) -> Cost:
        """Return the Cost of one elementwise `operation`: the table's own figure, else by RECIPES.

        Raises ConfigError for an unknown operation, and a format that no figure and no rule gives.
        """
        if operation not in LANE_OPERATIONS:
            raise self._error("operations", unknown("operation", operation, LANE_OPERATIONS))
        self._bits(number_format)
        if operation not in RECIPES or self._family(operation, number_format):
            return self._figure(operation, (number_format,))
        muls, adds, why = RECIPES[operation]
        parts = [(n, self._figure(op, (number_format,))) for n, op in ((muls, "mul"), (adds, "add")) if n]
        total = _sum(*parts)
        return Cost(total.pj, total.source, join(f"{operation} = {muls} mul + {adds} add: {why}", total.derived))

    def steps(self, steps: Mapping[str, int], number_format: str) -> Cost:
        """Return the Cost of so many lane operations of each kind together; a "mac" is a mul and an add."""
        counts: dict[str, int] = {}
        for kind, count in steps.items():
            for each in ("mul", "add") if kind == "mac" else (kind,):
                counts[each] = counts.get(each, 0) + count
        return _sum(*((count, self.lane(kind, number_format)) for kind, count in counts.items() if count))

    def sram(self, capacity_bytes: float, width_bits: float) -> Sram:
        """Return the Sram of `capacity_bytes` with a port of `width_bits`, log-log between the table's points.

        Beyond the ends the end slopes go on, but ports wider than any in the table stand side by side
        (proportional). Leakage and area follow the capacity alone. Raises ConfigError for a size of zero.
        """
        if not (capacity_bytes > 0 and width_bits > 0):
            message = f"capacity and width must be above zero, not {capacity_bytes} bytes and {width_bits} bits"
            raise self._error("sram", message)
        curve = self.schema.sram
        source, ports = self._text(curve.source), self._text(curve.ports.source) if curve.ports else ""
        derived = join(
            self.schema.sources[curve.source].derived,
            capacity_note(curve, capacity_bytes),
            width_note(curve, width_bits, ports),
        )
        reading, writing = (energy_at(curve, a, capacity_bytes, width_bits) for a in ("read", "write"))
        leakage, area = (at_capacity(curve.points, what, capacity_bytes) for what in ("leakage", "area"))
        return Sram(Cost(reading, source, derived), Cost(writing, source, derived), leakage, area)

    def dram(self, kind: str) -> tuple[Cost, Cost]:
        """Return the Costs of reading and of writing one bit of a DRAM of `kind`; ConfigError names the kinds."""
        if kind not in self.schema.dram:
            raise self._error("dram", unknown("kind of DRAM", kind, self.schema.dram))
        entry = self.schema.dram[kind]
        reading = self._cost(entry.read)
        if entry.write is not None:
            return reading, self._cost(entry.write)
        return reading, Cost(reading.pj, reading.source, join(reading.derived, ALIKE))

    def register(self, bits: float) -> Cost:
        """Return the Cost of one access to a register of `bits`."""
        one = self._cost(self.schema.registers)
        return Cost(one.pj * bits, one.source, one.derived)

    def link(self) -> Cost:
        """Return the Cost of one bit over the link between two arrays of a chip."""
        return self._cost(self.schema.link)

    def _figure(self, operation: str, formats: Sequence[str]) -> Cost:
        """Return the table's own figure, else one log-log in operand bits over the formats of its family."""
        known, label = self._family(operation, formats[0]), " x ".join(formats)
        if not known:
            has = ", ".join(self.schema.operations.stated(operation)) or "none"
            message = f"no energy for {label}, nor a format to derive it from; the table has: {has}"
            raise self._error(f"operations.{operation}", message)
        if len(formats) == 1 and formats[0] in known:
            return self._cost(known[formats[0]])
        bits = math.prod(map(self._bits, formats)) ** (1 / len(formats))
        pj = loglog([(self._bits(n), e.value) for n, e in known.items()], bits, _GROWTH.get(operation, 2.0))
        base = [self._cost(entry) for entry in known.values()]
        over = "significand bits" if formats[0] in FLOATS else "width"
        rule = f"{operation} {label}: log-log in {over} from {', '.join(known)}"
        return Cost(pj, join(*(c.source for c in base)) or "", join(rule, *(c.derived for c in base)))

    def _family(self, operation: str, number_format: str) -> dict[str, Entry]:
        """Return the figures of `operation` for integers or for floats, as `number_format` is, by rising bits."""
        entries = self.schema.operations.stated(operation)
        family = FLOATS if number_format in FLOATS else INTEGERS
        return {name: entries[name] for name in family if name in entries}

    def _bits(self, number_format: str) -> int:
        if number_format not in FORMATS:
            raise self._error("operations", unknown("format", number_format, FORMATS))
        return FORMATS[number_format]

    def _text(self, source: str) -> str:
        return self.schema.sources[source].text

    def _cost(self, entry: Entry) -> Cost:
        source = self.schema.sources[entry.source]
        return Cost(entry.value, source.text, join(entry.derived, source.derived))

    def _error(self, key: str, message: str) -> ConfigError:
        return ConfigError(Problem(message, file=self.file, key=key))


def load(name: str) -> Table:
    """Return the technology table called `name`, or the one in the file at that path.

    Raises ConfigError with every problem of the table together, each at its line.
    """
    schema, file = _schema(name, stamp("energy", name))
    return Table(name, file, schema)


@lru_cache(maxsize=16)
def _schema(name: str, files: tuple[tuple[str, int], ...]) -> tuple[Schema, str]:
    return load_schema(name)


def names() -> list[str]:
    """Return the names of the bundled tables, sorted."""
    return library.names("energy")


def beside(input_format: str, other: str) -> str:
    """Return the format in which keys, values or activations meet an input: floats become integers beside one."""
    mixed = element_of(other) in FLOATS and element_of(input_format) in INTEGERS
    return input_format if mixed else other


def _operands(*formats: str) -> tuple[tuple[str, ...], str | None]:
    """Return the formats that a multiplier sees, one where they are alike, and a note on what is converted."""
    floating = [name for name in formats if name in FLOATS]
    whole = [name for name in formats if name in INTEGERS]
    if floating and whole:
        return (floating[0],), f"{whole[0]} converted to {floating[0]}"
    return tuple(sorted(set(formats))), None


def _sum(*parts: tuple[int, Cost]) -> Cost:
    """Return the Cost of so many of each part together."""
    pj = math.fsum(count * cost.pj for count, cost in parts)
    costs = [cost for _, cost in parts]
    return Cost(pj, join(*(c.source for c in costs)) or "", join(*(c.derived for c in costs)))


def join(*texts: str | None) -> str | None:
    """Return the texts there are, each once, in order; None where there is none."""
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None
