"""What may be fitted: a key of the chip with the values that it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Any

from pydantic import BaseModel

from sim import arch as chips
from sim import units
from sim.arch import Arch
from sim.errors import ConfigError, Problem
from sim.yamlfile import dotted, scalar

SPAN = 16
"""How far a quantity is sought above and below its value in the file, as a factor, where nobody says."""
MOST_INTEGER = 8
"""The least upper end of the range of an integer where nobody says; twice its value in the file if that is more."""
BASE = {"bandwidth": "B/s", "time": "s", "frequency": "Hz", "size": "B", "rate": "B/cycle"}
CONTINUOUS = ("bandwidth", "time", "frequency")
"""Dimensions that vary without steps; sizes and rates are tried at their value times powers of two."""


@dataclass(frozen=True)
class Parameter:
    """A key to fit: one of `values`, or where `values` is empty a quantity of `dimension` from `low` to `high`."""

    key: str
    start: Any
    values: tuple[Any, ...] = ()
    dimension: str = ""
    low: float = 0.0
    high: float = 0.0

    @property
    def continuous(self) -> bool:
        """Whether it varies without steps."""
        return not self.values

    @property
    def logarithmic(self) -> bool:
        """Whether it is sought on a logarithmic scale: everywhere but where it may be zero."""
        return self.low > 0

    def at(self, place: float) -> float:
        """Return the quantity at a `place` from 0 (low) to 1 (high)."""
        if self.logarithmic:
            return exp(log(self.low) + place * (log(self.high) - log(self.low)))
        return self.low + place * (self.high - self.low)

    def place(self, value: float) -> float:
        """Return where a quantity lies between low (0) and high (1), cut to that range."""
        if self.logarithmic:
            found = (log(max(value, self.low)) - log(self.low)) / (log(self.high) - log(self.low))
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, found))

    def written(self, value: Any) -> Any:
        """Return a value as it stands in a file: a quantity with its unit."""
        if not self.dimension:
            return value
        number = f"{value:.9g}" if self.dimension == "time" else str(round(value))
        return f"{number} {BASE[self.dimension]}"

    def shown(self, value: Any) -> str:
        """Return a value for reading."""
        if not self.dimension:
            return str(value)
        if self.dimension == "size":
            return units.show_bytes(value)
        return units.show_si(value, BASE[self.dimension]) if value else f"0 {BASE[self.dimension]}"


def parameters(texts: list[str], arch: str, overrides: Mapping[str, Any]) -> list[Parameter]:
    """Return what each KEY, KEY=LOW..HIGH or KEY=A,B,C of --fit means on the chip `arch`.

    Without values a key takes all of its choices; an integer from its least to MOST_INTEGER or twice its value; a
    quantity SPAN times less to SPAN times more. ConfigError where a key is none of the chip or its values are wrong.
    """
    document = chips.override(chips.read_arch(arch), dict(overrides))
    chip = chips.build(document)
    found = []
    for text in texts:
        key, _, wanted = text.partition("=")
        paths = chips.resolve(document, key)
        if len(paths) != 1:
            chips.override(document, {key: None})  # says that there is none, or which there are
        owner, start = _look(chip, paths[0], key)
        schema = _schema(owner, paths[0][-1])
        found.append(_parameter(dotted(paths[0]), start, schema, wanted))
    keys = [parameter.key for parameter in found]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(Problem(f"{', '.join(twice)} is given twice", "--fit"))
    return found


def _look(chip: Arch, path: tuple[str, ...], key: str) -> tuple[BaseModel, Any]:
    """Return the model that holds the last word of `path`, and its value."""
    owner: Any = chip
    for word in path[:-1]:
        owner = owner.get(word) if isinstance(owner, dict) else getattr(owner, word, None)
    value = getattr(owner, path[-1], None)
    if not isinstance(owner, BaseModel) or isinstance(value, dict | list | tuple | BaseModel):
        raise ConfigError(Problem("is no single value of the chip, so it cannot be fitted", f"--fit {key}"))
    return owner, value


def _schema(owner: BaseModel, name: str) -> dict[str, Any]:
    """Return the JSON Schema of a field; of one that may be left out, that of its value."""
    schema: dict[str, Any] = type(owner).model_json_schema()["properties"][name]
    return next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)


def _parameter(key: str, start: Any, schema: dict[str, Any], wanted: str) -> Parameter:
    example = next(iter(schema.get("examples", [])), None)
    dimension = next((d for d, text in units.EXAMPLES.items() if text == example), "")
    try:
        if wanted:
            return _asked(key, start, dimension, wanted)
        if "enum" in schema or "const" in schema:
            return Parameter(key, start, tuple(schema.get("enum", [schema.get("const")])))
        if schema.get("type") == "boolean":
            return Parameter(key, start, (False, True))
        if dimension:
            return _quantity(key, start, dimension)
        if schema.get("type") == "integer":
            least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            return Parameter(key, start, tuple(range(least, max(MOST_INTEGER, 2 * start) + 1)))
    except ValueError as error:
        raise ConfigError(Problem(str(error), f"--fit {key}")) from None
    raise ConfigError(Problem("needs the values to try: KEY=A,B,C", f"--fit {key}"))


def _quantity(key: str, start: Any, dimension: str) -> Parameter:
    if start is None:
        raise ValueError("is not set in the file; give a range: KEY=LOW..HIGH")
    if dimension not in CONTINUOUS:
        steps = sorted({max(1, round(start * 2.0**step)) for step in range(-4, 5)})
        return Parameter(key, start, tuple(steps), dimension)
    if not start:
        raise ValueError("is 0 in the file; give a range: KEY=LOW..HIGH, as in 0 ns..200 ns")
    return Parameter(key, start, (), dimension, start / SPAN, start * SPAN)


def _asked(key: str, start: Any, dimension: str, wanted: str) -> Parameter:
    """Return the parameter with the values that the user gave; ValueError where they make no range."""

    def value(text: str) -> Any:
        return float(units.parse(dimension, text.strip())) if dimension else scalar(text.strip())

    low, dots, high = wanted.partition("..")
    if not dots:
        return Parameter(key, start, tuple(value(text) for text in wanted.split(",")), dimension)
    ends = value(low), value(high)
    if not all(isinstance(end, int | float) for end in ends) or ends[0] >= ends[1]:
        raise ValueError(f"'{wanted}' is no range; write LOW..HIGH, as in 1..8 or 1 GB/s..40 GB/s")
    if dimension in CONTINUOUS:
        return Parameter(key, start, (), dimension, *ends)
    if dimension or not all(isinstance(end, int) for end in ends):
        raise ValueError(f"'{wanted}' is no range of whole numbers; write the values to try: A,B,C")
    return Parameter(key, start, tuple(range(ends[0], ends[1] + 1)))

