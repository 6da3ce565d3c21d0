"""Params, expressions and --set of a graph's file: every value computed, and which setting is behind it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from sim.errors import Problem, unknown
from sim.expressions import evaluate
from sim.yamlfile import SETTING, Document, Path_

PARTS = ("units", "channel", "channels", "ports", "memories")
WORDS = {"units": "unit", "ports": "port", "memories": "memory"}


def overridden(document: Document, overrides: Mapping[str, object], problems: list[Problem]) -> Document:
    """Return the document with every override in it, its place the setting as it was typed; those that name nothing
    are problems."""
    for key, value in overrides.items():
        try:
            path = _target(document.data, key)
            document = document.with_override(path, value)
            document.places[path] = (f"{SETTING}{key}", None)
        except ValueError as error:
            problems.append(Problem(str(error), file=f"{SETTING}{key}"))
    return document


def _target(data: Mapping[str, Any], key: str) -> Path_:
    """Return the place that the key of an override means; ValueError where it means none."""
    params = data.get("params", {})
    part, name, *inner = key.split(".") if "." in key else (key, "")
    if key.removeprefix("params.") in params:
        return "params", key.removeprefix("params.")
    if part in WORDS and inner and name not in data.get(part, {}):
        raise ValueError(unknown(WORDS[part], name, data.get(part, {})))
    if part in (*WORDS, "channels") and inner:
        return part, name, *inner
    if part in ("clock", "technology") and not name:
        return (part,)
    if part == "channel" and name and not inner:
        return part, name
    raise ValueError(unknown("key", key, [*params, "units.NAME.KEY", "channels.NAME.KEY"]))


def resolved(document: Document, problems: list[Problem]) -> Document:
    """Return the document with every expression computed; a param may use those before it.

    What a setting is behind has the setting as its place. Nothing is computed from a wrong param.
    """
    made = _Expressions(document, problems)
    for key, written in document.data.get("params", {}).items():
        value = made.param(key, written)
        if written is None:
            problems.append(document.problem(("params", key), f"has no value: give it one with --set {key}=..."))
        elif not isinstance(value, int) or isinstance(value, bool):
            problems.append(document.problem(("params", key), f"expected a whole number, not {value!r}"))
        if problems:
            return document
    parts: dict[str, Any] = {
        part: made.value((part,), document.data[part]) for part in PARTS if part in document.data
    }
    return Document(document.file, {**document.data, **parts, "params": made.names}, document.places | made.places)


class _Expressions:
    """Computes the expressions of a document. `places`: those of expressions that a setting is behind."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document, self.problems = document, problems
        self.names: dict[str, Any] = {}
        self.behind: dict[str, tuple[str, int | None]] = {}
        self.places: dict[Path_, tuple[str, int | None]] = {}

    def param(self, key: str, written: Any) -> Any:
        """Return the value of a param, which the next may use."""
        path = ("params", key)
        self.names[key] = value = self.value(path, written)
        if self.document.is_set(path):
            self.behind[key] = self.document.places[path]
        elif path in self.places:
            self.behind[key] = self.places[path]
        return value

    def value(self, path: Path_, written: Any) -> Any:
        """Return what is written with every expression in it computed; None in place of one that is wrong."""
        if isinstance(written, dict):
            return {key: self.value((*path, key), value) for key, value in written.items()}
        if isinstance(written, list):
            return [self.value((*path, i), value) for i, value in enumerate(written)]
        if not isinstance(written, str) or not written.startswith("="):
            return written
        used = [self.behind[name] for name in _names(written) if name in self.behind]
        if used and not self.document.is_set(path):
            self.places[path] = used[0]
        try:
            return evaluate(written, self.names)
        except ValueError as error:
            self.problems.append(self.document.problem(path, str(error)))
            return None


def _names(expression: str) -> list[str]:
    """Return the names that an expression uses, none where it is none."""
    try:
        tree = ast.parse(expression[1:].strip(), mode="eval")
    except SyntaxError:
        return []
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
