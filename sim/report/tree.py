"""A checked file as a tree: every key, defaults included, its value with its unit, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from sim.report.table import GAP, wrap
from sim.units import EXAMPLES, show_bytes, show_si

Line = tuple[str, str, str]
"""Indented key, value, and what the key means."""

DEFAULT = "default"
FEW = 4
"""Choices that are named beside a key; the schema has them all."""

SHOWS: dict[str, Callable[[Any], str]] = {
    "size": show_bytes,
    "rate": lambda value: f"{show_bytes(value)}/cycle",
    "bandwidth": lambda value: show_si(value, "B/s"),
    "frequency": lambda value: show_si(value, "Hz"),
    "time": lambda value: show_si(value, "s") if value else "0 s",
    "voltage": lambda value: f"{value:g} V",
}
"""How a value in the base unit of its dimension is written."""


def tree(model: BaseModel, width: int, leave_out: frozenset[str] = frozenset()) -> str:
    """Return the tree of `model`, each line wrapped to `width`; keys in `leave_out` stand elsewhere."""
    lines = [line for line in _fields(model, 0) if line[0] not in leave_out]
    key_size = max((len(key) for key, _, _ in lines), default=0)
    value_size = min(max((len(value) for _, value, _ in lines), default=0), 28)
    shown = []
    for key, value, meaning in lines:
        first = f"{key:{key_size}}{GAP}{value:{value_size}}{GAP}"
        rest = " " * (key_size + len(GAP) + value_size + len(GAP))
        if len(first) > width:  # a sentence: what it means follows on a line of its own
            short = first[: key_size + len(GAP)]
            shown.append(wrap(value, width, short, " " * len(short)))
            first = rest
        shown.append(wrap(meaning, width, first, rest) if meaning else first.rstrip() + "\n")
    return "".join(shown)


def _fields(model: BaseModel, depth: int) -> Iterator[Line]:
    for name, field in type(model).model_fields.items():
        unset = name not in model.model_fields_set
        yield from _entry(name, getattr(model, name), field, depth, unset)


def _entry(name: str, value: Any, field: FieldInfo | None, depth: int, unset: bool) -> Iterator[Line]:
    key = "  " * depth + name
    meaning = [DEFAULT] if unset else []
    if field is not None and field.description:
        meaning.append(field.description)
    if field is not None and (choices := _choices(field.annotation)):
        meaning.append(f"one of {', '.join(choices)}")
    if isinstance(value, BaseModel):
        yield key, "", "; ".join(meaning)
        yield from _fields(value, depth + 1)
    elif isinstance(value, dict) and value:
        yield key, "", "; ".join(meaning)
        for each, inner in value.items():
            yield from _entry(each, inner, None, depth + 1, False)
    else:
        yield key, _shown(value, field), "; ".join(meaning)


def _choices(annotation: Any) -> list[str]:
    """Return the words of a field that takes one of a few."""
    words = [word for word in get_args(annotation) if isinstance(word, str)]
    return words if get_origin(annotation) is Literal and 1 < len(words) <= FEW else []


def _shown(value: Any, field: FieldInfo | None) -> str:
    if value is None or value == {}:
        return "none"
    dimension = _dimension(field) if field is not None else None
    if dimension is not None and isinstance(value, int | float):
        return SHOWS[dimension](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _dimension(field: FieldInfo) -> str | None:
    """Return the dimension whose example the field's JSON Schema gives, None for a plain value."""
    notes = [*field.metadata, *_notes(field.annotation)]
    schemas = [note.json_schema or {} for note in notes if isinstance(note, WithJsonSchema)]
    examples = [example for schema in schemas for example in schema.get("examples", [])]
    return next((d for d, example in EXAMPLES.items() if example in examples and d in SHOWS), None)


def _notes(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in getattr(annotation, "__args__", ()):
        yield from _notes(argument)
