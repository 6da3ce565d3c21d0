"""What units compute, as text: arithmetic on numpy values, a few functions, and nothing else within reach."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
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
PLACE = ("i", "first", "last")
"""The position of the firing in its group, and whether it is the first or the last of it."""
PREVIOUS = "prev_"
"""What comes before the name of a state in an `update` or a `compute` that wants it as it was."""

_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Load, ast.Constant, ast.Call, ast.Subscript,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.MatMult, ast.USub, ast.UAdd,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


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
        return eval(self.code, {"__builtins__": {}}, {**FUNCTIONS, **CONSTANTS, **values})


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
        for channel in pushes:
            if channel not in compute:
                raise ValueError(f"'compute' does not say what is pushed into '{channel}'")
        for channel in (c for c in compute if c not in tuple(pushes)):
            raise ValueError(unknown("output", channel, pushes))
        for name in (n for n in update if n not in state):
            raise ValueError(unknown("state", name, state))
        names = [*pops, *PLACE, *state, *(PREVIOUS + name for name in state)]
        return cls(
            {name: Formula.of(str(text), ()) for name, text in state.items()},
            {name: Formula.of(text, names) for name, text in update.items()},
            {channel: Formula.of(text, names) for channel, text in compute.items()},
        )

    def start(self) -> dict[str, Any]:
        """Return the state with which a group of firings begins."""
        return {name: formula({}) for name, formula in self.state.items()}

    def step(self, state: Mapping[str, Any], popped: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the state after a firing, and every value that may be pushed."""
        now = {**popped, **state, **{PREVIOUS + name: value for name, value in state.items()}}
        for name, formula in self.update.items():
            now[name] = formula(now)
        return {name: now[name] for name in state}, {channel: f(now) for channel, f in self.outputs.items()}
