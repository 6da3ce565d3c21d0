"""The layers of a workload file written out: blocks unfolded, expressions computed, names made unique."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sim.errors import Problem, nearest, unknown
from sim.expressions import resolve
from sim.op import Op
from sim.yamlfile import Document, Path_

_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
MOST_REPEATS = 10_000
"""Uses of a block by one layer; more is a slip, and would take all memory to write out."""
USE_KEYS = ("name", "block", "in", "repeat", "with", "when")


def unknown_name(what: str, value: object, choices: Sequence[str]) -> str:
    """Say that `value` is no known `what` and which is nearest; list the choices only where they are few."""
    if len(choices) <= 16:
        return unknown(what, value, choices)
    guess = nearest(value, choices)
    return f"unknown {what} '{value}'" + (f"; did you mean '{guess}'?" if guess else "")


@dataclass
class Scope:
    """Where names are looked up: the whole file, or one use of a block."""

    prefix: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    tensors: dict[str, Ref] = field(default_factory=dict)
    inside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ref:
    """A tensor as it was written, and the scope it was written in."""

    scope: Scope
    name: str


@dataclass(frozen=True)
class Layer:
    """One operator of the file: its full name, its parameters computed, its inputs not yet looked up."""

    name: str
    op: str
    inputs: tuple[Ref, ...]
    parameters: dict[str, Any]
    path: Path_
    document: Document

    def problem(self, message: str, *key: str | int) -> Problem:
        """Return a Problem of this layer, at its `key` in the file."""
        return self.document.problem((*self.path, *key), message)


class Expansion:
    """Walks a workload document once; `layers` in file order and `problems` are what it finds.

    `root` is the scope of the file, with its params as values and its inputs; `overrides` maps the full name of a layer
    to values for its keys.
    """

    def __init__(self, document: Document, root: Scope, overrides: Mapping[str, dict[str, Any]]) -> None:
        self.layers: dict[str, Layer] = {}
        self.problems: list[Problem] = []
        self._lines: dict[str, int | None] = {}
        self._document = document
        self._blocks: dict[str, Any] = document.data.get("blocks", {})
        self._root, self._overrides = root, overrides
        first = Ref(root, root.inputs[0]) if len(root.inputs) == 1 else None
        self._entries(document.data["layers"], ("layers",), root, first)

    def _report(self, message: str, path: Path_) -> None:
        self.problems.append(self._document.problem(path, message))

    def _entries(self, entries: list[Any], path: Path_, scope: Scope, before: Ref | None) -> Ref | None:
        """Write out the entries one behind the other; return the output of the last one."""
        for index, entry in enumerate(entries):
            at = (*path, index)
            try:
                if self._wanted(entry, scope):
                    kind = self._use if "block" in entry else self._layer
                    before = kind(entry, at, scope, before)
            except _Wrong as wrong:
                self._report(str(wrong), (*at, *wrong.key))
        return before

    def _wanted(self, entry: dict[str, Any], scope: Scope) -> bool:
        if not isinstance(entry.get("name"), str) or not _NAME.fullmatch(entry["name"]):
            raise _Wrong("a layer needs a name of letters, digits, '_', '-' and '.'", "name")
        if ("op" in entry) == ("block" in entry):
            raise _Wrong(f"'{entry['name']}' needs either 'op' or 'block'")
        wanted = _resolved(entry.get("when", True), scope, "when")
        if not isinstance(wanted, bool):
            raise _Wrong(f"expected true or false, not '{wanted}'", "when")
        return wanted

    def _claim(self, name: str, path: Path_, scope: Scope) -> None:
        """Take a name within `scope`; an input or an earlier layer or block may have it already."""
        full = scope.prefix + name
        if full in self._lines:
            raise _Wrong(f"duplicate layer '{full}' (first on line {self._lines[full]})", "name")
        if name in scope.inputs:
            raise _Wrong(f"'{name}' is the name of an input already", "name")
        self._lines[full] = self._document.problem(path, "").line

    def _layer(self, entry: dict[str, Any], path: Path_, scope: Scope, before: Ref | None) -> Ref:
        self._claim(entry["name"], path, scope)
        name = scope.prefix + entry["name"]
        parameters = {k: _resolved(v, scope, k) for k, v in entry.items() if k not in Op.beside}
        document = self._document
        for key, value in self._overrides.get(name, {}).items():
            parameters[key] = value
            place = {(*path, key): (f"--set layers.{name}.{key}", None)}
            document = replace(document, places=document.places | place)
        op = _resolved(entry["op"], scope, "op")
        self.layers[name] = Layer(name, str(op), _wires(entry, scope, before), parameters, path, document)
        return Ref(self._root, name)

    def _use(self, entry: dict[str, Any], path: Path_, scope: Scope, before: Ref | None) -> Ref:
        for key in entry:
            if key not in USE_KEYS:
                raise _Wrong(unknown("key", key, USE_KEYS), key)
        block = entry["block"]
        if not isinstance(block, str) or block not in self._blocks:
            raise _Wrong(unknown("block", block, self._blocks), "block")
        if block in scope.inside:
            raise _Wrong(f"block uses itself: {' -> '.join([*scope.inside, block])}", "block")
        repeat = _resolved(entry.get("repeat", 1), scope, "repeat")
        if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
            raise _Wrong(f"expected a positive integer, not '{repeat}'", "repeat")
        if repeat > MOST_REPEATS:
            raise _Wrong(f"{repeat} is out of range: at most {MOST_REPEATS}", "repeat")
        inputs = _wires(entry, scope, before)
        self._claim(entry["name"], path, scope)
        for index in range(repeat):
            once = {} if "repeat" not in entry else {"i": index}
            name = f"{entry['name']}.{index}" if once else entry["name"]
            last = self._instance(entry, name, inputs, replace(scope, values={**scope.values, **once}), path)
            scope.tensors[name] = last
            inputs = (last, *inputs[1:])
        scope.tensors[entry["name"]] = inputs[0]
        return inputs[0]

    def _instance(
        self, entry: dict[str, Any], name: str, inputs: tuple[Ref, ...], outer: Scope, path: Path_
    ) -> Ref:
        """Write out one use of a block; return its output: its last layer, or its input where it has none."""
        block = self._blocks[entry["block"]]
        values = self._arguments(entry, outer, path)
        tensors = {"input": inputs[0], **{f"input.{n}": ref for n, ref in enumerate(inputs)}}
        inside = (*outer.inside, entry["block"])
        scope = Scope(f"{outer.prefix}{name}.", values, tuple(tensors), tensors, inside)
        where = ("blocks", entry["block"], "layers")
        return self._entries(block["layers"], where, scope, inputs[0]) or inputs[0]

    def _arguments(self, entry: dict[str, Any], outer: Scope, path: Path_) -> dict[str, Any]:
        """Return the values that the block's layers see: the file's params, `i`, and the block's own."""
        wanted: dict[str, Any] = self._blocks[entry["block"]].get("params", {})
        given = entry.get("with", {})
        if not isinstance(given, dict):
            raise _Wrong(f"expected keys and values, not '{given}'", "with")
        for key in given:
            if key not in wanted:
                raise _Wrong(unknown(f"parameter of block '{entry['block']}'", key, wanted), "with", key)
        values = {**self._root.values, "i": outer.values.get("i", 0)}
        for key, default in wanted.items():
            if key in given:
                values[key] = _resolved(given[key], outer, "with", key)
            elif default is None:
                raise _Wrong(f"block '{entry['block']}' needs '{key}': give it under 'with'", "with")
            else:
                values[key] = self._default(default, values, ("blocks", entry["block"], "params", key))
        return values

    def _default(self, value: Any, values: dict[str, Any], path: Path_) -> Any:
        try:
            return resolve(value, values)
        except ValueError as error:
            self._report(str(error), path)
            return value


class _Wrong(Exception):
    """Something wrong with one entry, at `key` within it."""

    def __init__(self, message: str, *key: str | int) -> None:
        super().__init__(message)
        self.key = key


def _resolved(value: Any, scope: Scope, *key: str) -> Any:
    try:
        return resolve(value, scope.values)
    except ValueError as error:
        raise _Wrong(str(error), *key) from None


def _wires(entry: dict[str, Any], scope: Scope, before: Ref | None) -> tuple[Ref, ...]:
    """Return the tensors an entry reads: those under `in`, else the one made before it."""
    if "in" not in entry:
        if before is None:
            raise _Wrong(f"'{entry['name']}' needs 'in': there is no layer before it")
        return (before,)
    written = _resolved(entry["in"], scope, "in")
    names = written if isinstance(written, list) else [written]
    if not names or not all(isinstance(name, str) for name in names):
        raise _Wrong(f"expected the name of a tensor or a list of them, not {written}", "in")
    return tuple(Ref(scope, name) for name in names)
