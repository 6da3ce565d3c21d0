"""What units compute, as text: arithmetic on numpy values, a few functions, and nothing else within reach."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from sim.errors import unknown

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "abs": np.abs, "maximum": np.maximum,
    "minimum": np.minimum, "dot": np.dot, "sum": np.sum, "max": np.max, "where": np.where, "round": np.round,
}  # fmt: skip
"""What a formula may call, each as numpy defines it."""
CONSTANTS = {"inf": np.inf, "pi": np.pi}
PLACE = ("i", "first", "last", "firing")
"""The firing's position in its group, whether it is the first or the last there, and its number in the run."""
PREVIOUS = "prev_"
"""What comes before the name of a state in an `update` or a `compute` that wants it as it was."""

_GLOBALS = {"__builtins__": {}, **FUNCTIONS, **CONSTANTS}
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Load, ast.Constant, ast.Call, ast.Subscript,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.MatMult, ast.USub, ast.UAdd,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a firing stands: its number in the run, in its group, whether it is the last there, or pushes."""

    firing: int
    i: int
    last: bool
    pushes: bool

    def names(self) -> dict[str, Any]:
        """Return the PLACE by name."""
        return {"firing": self.firing, "i": self.i, "first": self.i == 0, "last": self.last}


@dataclass(frozen=True)
class Formula:
    """An expression that has been checked: it reads only names it was given, and calls only FUNCTIONS."""

    text: str
    code: CodeType

    @classmethod
    def of(cls, text: str, names: Iterable[str]) -> Formula:
        """Return the formula that `text` is; ValueError where it is none, or reads a name not in `names`."""
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"'{text}' is not an expression") from None
        known = {*names, *CONSTANTS}
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            _check(node, known, id(node) in called)
        return cls(text, compile(tree, "<formula>", "eval"))

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Return the value of the formula where each name has its value in `values`."""
        return eval(self.code, _GLOBALS, values)


def _check(node: ast.AST, known: set[str], called: bool) -> None:
    if not isinstance(node, _ALLOWED):
        shown = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
        raise ValueError(f"'{shown}' is not allowed in a formula")
    if isinstance(node, ast.Constant) and not isinstance(node.value, int | float):
        raise ValueError(f"{node.value!r} is no number")
    if isinstance(node, ast.Call) and (node.keywords or not isinstance(node.func, ast.Name)):
        raise ValueError(f"'{ast.unparse(node)}' is not allowed in a formula")
    if isinstance(node, ast.Name):
        choices = set(FUNCTIONS) if called else known
        if node.id not in choices:
            raise ValueError(unknown("function" if called else "name", node.id, choices))


@dataclass(frozen=True)
class Formulas:
    """What a unit computes in a firing: `state` at the start of each group, its `update`, and what it pushes."""

    state: Mapping[str, Formula]
    update: Mapping[str, Formula]
    outputs: Mapping[str, Formula]

    @classmethod
    def of(cls, compute: Mapping[str, str], pushes: Iterable[str], pops: Iterable[str],
           state: Mapping[str, str | int | float] = {}, update: Mapping[str, str] = {}) -> Formulas:  # fmt: skip
        """Return the formulas; ValueError where one reads a name there is not, or an output has none."""
        _same("output", compute, tuple(pushes))
        _same("state", update, tuple(state), some=True)
        taken = [*PLACE, *CONSTANTS]
        for name in (*pops, *state):
            if name in taken:
                raise ValueError(f"'{name}' means something else in a formula; give the channel or state another name")
            taken.append(name)
        names = [*pops, *PLACE, *state, *(PREVIOUS + name for name in state)]
        return cls(
            {name: Formula.of(str(text), ()) for name, text in state.items()},
            {name: Formula.of(text, names) for name, text in update.items()},
            {channel: Formula.of(text, names) for channel, text in compute.items()},
        )

    def start(self, parameter: Any) -> dict[str, Any]:
        """Return the state with which a group of firings begins; formulas need no parameter."""
        return {name: formula({}) for name, formula in self.state.items()}

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        """Update the state, which keeps what was taken for the rest of the group, and return what may be pushed."""
        before = {PREVIOUS + name: state[name] for name in self.state}
        state.update(taken)
        now = _Names({**place.names(), **state, **before})
        for name, formula in self.update.items():
            now[name] = state[name] = formula(now)
        return _Lazy(self.outputs, now)


def _same(what: str, written: Collection[str], wanted: Sequence[str], some: bool = False) -> None:
    """Make sure that every name written is wanted and, unless `some` are enough, every one wanted is written."""
    for name in written:
        if name not in wanted:
            raise ValueError(unknown(what, name, wanted))
    for name in wanted:
        if not some and name not in written:
            raise ValueError(f"'compute' does not say what is pushed into '{name}'")


class _Names(dict[str, Any]):
    """Values by name; what a group has not taken yet is 0."""

    def __missing__(self, name: str) -> Any:
        if name in FUNCTIONS or name in CONSTANTS:
            raise KeyError(name)
        return 0


class _Lazy(dict[str, Any]):
    """What each channel is pushed, computed when it is."""

    def __init__(self, formulas: Mapping[str, Formula], names: Mapping[str, Any]) -> None:
        super().__init__()
        self.formulas, self.names = formulas, names

    def __missing__(self, channel: str) -> Any:
        return self.formulas[channel](self.names)


@dataclass(frozen=True)
class Expansion:
    """How many tokens a token makes, and what each is: `i` counts those of one token."""

    count: Formula
    each: Formula

    def expand(self, taken: Mapping[str, Any], firing: int) -> list[Any]:
        """Return the tokens that one makes; ValueError where their number is none."""
        count = self.count({**taken, **Place(firing, 0, False, True).names()})
        if int(count) != count or count < 0:
            raise ValueError(f"'{self.count.text}' is {count}, no number of tokens")
        places = (Place(firing, i, i == count - 1, True) for i in range(int(count)))
        return [self.each({**taken, **place.names()}) for place in places]
