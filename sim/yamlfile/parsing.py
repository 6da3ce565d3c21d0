"""YAML 1.2 scalars, no duplicate keys, and a line number for every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from sim import textfile
from sim.errors import ConfigError, Problem
from sim.yamlfile.document import Document, Path_, dotted

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
