"""Schemas, and every way in which data does not follow one told in the words of a user."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from sim.errors import Problem, unknown
from sim.yamlfile.document import Document, Path_, dotted

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Base of every schema: no coercion, no unknown keys, immutable. Validators are built when first used: few are."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Clash(ValueError):
    """What a validator raises where keys do not go together: those that it is about, from the validated model on."""

    def __init__(self, message: str, *keys: Path_) -> None:
        self.keys = keys
        super().__init__(message)


def check(model: type[M], document: Document, path: Path_ = ()) -> tuple[M | None, list[Problem]]:
    """Return the part of `document` at `path` as a `model`, or None and every problem found in it."""
    data: Any = document.data
    for key in path:
        data = data[key]
    if not isinstance(data, dict):
        return None, [document.problem(path, f"must hold keys and values, not {_kind(data)}")]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [_problem(model, document, path, item) for item in error.errors()]


def in_order(problems: list[Problem]) -> list[Problem]:
    """Return the problems in the order in which they stand in their file."""
    return sorted(problems, key=lambda p: (p.file, p.line or 0))


def _problem(model: type[BaseModel], document: Document, path: Path_, item: Any) -> Problem:
    location, kind, error = item["loc"], item["type"], item.get("ctx", {}).get("error")
    where = (*path, *_without_tags(location, document.data, path))
    if isinstance(error, Clash):
        owner = (*path, *_without_tags((*location, ""), document.data, path)[:-1])
        about = [(*owner, *key) for key in error.keys]
        return document.problem(about[0], str(error), about)
    tag = (*(where if kind.startswith("union_tag") else where[:-1]), "kind")
    if kind == "union_tag_invalid" and tag in document.places:
        where = tag
    message = _message(model, location, item)
    if kind in ("missing", "extra_forbidden") and document.is_set(tag):
        return document.problem(where, f"{message}; to change the kind, set {dotted(tag[:-1])} whole", [tag])
    return document.problem(where, message)


def _message(model: type[BaseModel], location: Path_, item: Any) -> str:
    value, kind, context = item.get("input"), item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        message = unknown("key", location[-1], owner.model_fields if owner else [])
        beside = ", ".join(getattr(owner, "beside", ()))
        return f"{message}; beside these there are: {beside}" if beside and "did you mean" not in message else message
    if kind == "missing":
        return f"missing key '{location[-1]}'"
    if kind == "literal_error":
        return _choice("value", value, context["expected"])
    if kind == "union_tag_invalid":
        return _choice("kind", context["tag"], context["expected_tags"])
    if kind in ("value_error", "assertion_error"):
        return str(context["error"])
    if kind in _RANGES:
        return f"{value} is out of range: {_plain(item['msg'])}"
    return _FIXED.get(kind) or f"expected {_EXPECTED.get(kind) or _plain(item['msg'])}, not {_kind(value)}"


_RANGES = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_FIXED = {"union_tag_not_found": "missing key 'kind'", "too_short": "must not be empty"}
_EXPECTED = {
    "model_type": "keys and values", "model_attributes_type": "keys and values", "dict_type": "keys and values",
    "bool_type": "true or false",
}  # fmt: skip


def _plain(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("a valid ")


def _choice(what: str, value: Any, expected: str) -> str:
    return unknown(what, value, re.findall(r"'([^']*)'", expected) or re.findall(r"\d+", expected))


def _without_tags(location: Path_, data: Any, path: Path_) -> Path_:
    """Return `location` without the names of union members, which stand in no file."""
    for key in path:
        data = data[key]
    keys: list[str | int] = []
    for index, key in enumerate(location):
        inside = isinstance(data, list) or (isinstance(data, dict) and key in data)
        if inside or index == len(location) - 1:
            keys.append(key)
            data = data[key] if inside and not (isinstance(data, list) and not isinstance(key, int)) else None
    return tuple(keys)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _model_at(model: type[BaseModel], location: Path_) -> type[BaseModel] | None:
    """Return the schema that rules the keys at `location` inside `model`."""
    candidates = [model]
    for key in location:
        tagged = [m for m in candidates if key in _tags(m)]
        held = [m.model_fields[str(key)].annotation for m in candidates if str(key) in m.model_fields]
        candidates = tagged or ([found for a in held for found in _schemas(a)] if held else candidates)
    return candidates[0] if candidates else None


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()


def _schemas(annotation: Any) -> list[type[BaseModel]]:
    """Return the schemas inside Optional, dict, list and union annotations."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _schemas(argument)]
