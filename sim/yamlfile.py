"""Strict YAML: 1.2 scalars, no duplicate keys, a line number for every key, and models checked all at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sim import textfile
from sim.errors import ConfigError, Problem, unknown

Path_ = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Base of every schema: no coercion, no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """PyYAML with the YAML 1.2 core schema, so that 1e9 is a number, 012 is twelve and NO is a word."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     list("-+.0123456789")),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


@dataclass
class Document:
    """A parsed file: plain `data`, and for each key path the file and line where it stands."""

    file: str
    data: dict[str, Any]
    places: dict[Path_, tuple[str, int | None]] = field(default_factory=dict)

    def problem(self, path: Path_, message: str) -> Problem:
        """Return a Problem at `path`, or at the nearest enclosing key that has a line."""
        known = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.places), ())
        file, line = self.places.get(known, (self.file, None))
        return Problem(message, file=file, line=line, key=dotted(path))

    def error(self, path: Path_, message: str) -> ConfigError:
        """Return a ConfigError with the one problem at `path`."""
        return ConfigError(self.problem(path, message))

    def over(self, base: Document) -> Document:
        """Return `base` with this document laid over it: mappings merge, everything else replaces."""
        merged = _merge(base.data, self.data)
        places = {p: place for p, place in base.places.items() if _holds(merged, p)}
        return Document(self.file, merged, places | self.places)

    def with_override(self, path: Path_, value: Any) -> Document:
        """Return a copy with `value` at `path`, its place named as the --set that put it there."""
        data: dict[str, Any] = _merge(self.data, {})
        place: Any = data
        for key in path[:-1]:
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        place[path[-1]] = value
        return Document(self.file, data, self.places | {path: (f"--set {dotted(path)}", None)})

    def digest(self) -> str:
        """Return the SHA-256 of the data, independent of key order and comments."""
        return hashlib.sha256(json.dumps(self.data, sort_keys=True, default=str).encode()).hexdigest()


def dotted(path: Path_) -> str:
    """Write a key path as users do: units.array.rows, layers[3].pad."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _holds(data: Any, path: Path_) -> bool:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {k: _merge(v, {}) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def scalar(text: str) -> Any:
    """Read one value as it would be read from a file: '16' is a number, 'ws' a word, '[1, 2]' a list."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return text
    return None if node is None else _build(node, (), Document("", {}), [])


def _build(node: yaml.Node, path: Path_, document: Document, problems: list[Problem]) -> Any:
    document.places[path] = (document.file, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str):
                problems.append(Problem("a key must be a plain word", document.file, line, dotted(path)))
                continue
            if key in result:
                first = document.places[(*path, key)][1]
                message = f"duplicate key '{key}' (first on line {first})"
                problems.append(Problem(message, document.file, line, dotted((*path, key))))
                continue
            result[key] = _build(value_node, (*path, key), document, problems)
            document.places[(*path, key)] = (document.file, line)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), document, problems) for i, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text, kind = node.value, node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def read(path: Path, shown: str | None = None) -> Document:
    """Return the Document in `path`, called `shown` in errors.

    Raises ConfigError where it cannot be read, is no YAML, or repeats a key.
    """
    return parse(textfile.read(path, shown), shown or str(path))


def parse(text: str, file: str) -> Document:
    """Return the Document that `text` is; `file` is the name its errors carry."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError(Problem(f"is not valid YAML: {error.problem}", file, line)) from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(Problem(f"is not valid YAML: {error.reason}", file)) from None
    if node is None:
        raise ConfigError(Problem("is empty", file=file))
    document, problems = Document(file, {}), list[Problem]()
    try:
        data = _build(node, (), document, problems)
    except RecursionError:
        raise ConfigError(Problem("is nested too deeply, or holds itself (&anchor, *alias)", file)) from None
    if problems:
        raise ConfigError(*problems)
    if not isinstance(data, dict):
        raise ConfigError(Problem("must hold keys and values at its top level", file=file, line=1))
    document.data = data
    return document


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
    location, value, kind = item["loc"], item.get("input"), item["type"]
    where = (*path, *_without_tags(location, document.data, path))
    if kind == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        message = unknown("key", location[-1], owner.model_fields if owner else [])
    elif kind == "missing":
        message = f"missing key '{location[-1]}'"
    elif kind == "literal_error":
        message = _choice("value", value, item["ctx"]["expected"])
    elif kind == "union_tag_invalid":
        message = _choice("kind", item["ctx"]["tag"], item["ctx"]["expected_tags"])
    elif kind == "union_tag_not_found":
        message = "missing key 'kind'"
    elif kind == "too_short":
        message = "must not be empty"
    elif kind in ("value_error", "assertion_error"):
        message = str(item["ctx"]["error"])
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        message = f"{value} is out of range: {item['msg'].removeprefix('Input should be ')}"
    else:
        wanted = item["msg"].removeprefix("Input should be ").removeprefix("a valid ")
        message = f"expected {wanted}, not {_kind(value)}"
    return document.problem(where, message)


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
