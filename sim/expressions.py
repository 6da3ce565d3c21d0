"""Expressions in workload files: a string that begins with '=' is computed from named values, and only that."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sim.errors import unknown

_LARGEST_BASE, _LARGEST_EXPONENT = 2**32, 64
"""A power beyond these has no place in a layer's shape, and could take all memory to compute."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min, "max": max, "int": int, "round": round, "ceil": math.ceil,
}  # fmt: skip

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def resolve(value: Any, names: Mapping[str, Any]) -> Any:
    """Return `value` with every '=' string in it, however deep, replaced by what it computes to."""
    if isinstance(value, str):
        return evaluate(value, names) if value.startswith("=") else value
    if isinstance(value, list):
        return [resolve(item, names) for item in value]
    if isinstance(value, dict):
        return {key: resolve(item, names) for key, item in value.items()}
    return value


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """Return the value of `text` ("=2 * width") where each name stands for its value in `names`.

    There are arithmetic, comparison, and/or/not, a if c else b, lists and their indexing, and min, max,
    int, round, ceil; nothing else can be reached. Raises ValueError, in the user's words.
    """
    try:
        return _value(_tree(text), names)
    except (TypeError, ArithmeticError, LookupError, RecursionError) as error:
        raise ValueError(f"'{text}' cannot be computed: {error}") from None


@lru_cache(maxsize=4096)
def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text[1:].strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"'{text}' is not an expression") from None


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise ValueError(f"'{ast.unparse(node)}' is not allowed in an expression")
    return handler(node, names)


def _constant(node: ast.Constant, names: Mapping[str, Any]) -> Any:
    return node.value


def _name(node: ast.Name, names: Mapping[str, Any]) -> Any:
    if node.id not in names:
        raise ValueError(unknown("name", node.id, names))
    return names[node.id]


def _dotted(node: ast.Attribute, names: Mapping[str, Any]) -> Any:
    key = ast.unparse(node)
    if key not in names:  # a key of a chip, where the caller offers them; attributes of values are none
        raise ValueError(f"'{key}' is not allowed in an expression")
    return names[key]


def names_in(text: str) -> list[str]:
    """Return the names that an expression reads, dotted ones whole, functions left out; ValueError where it is none."""
    found, left = list[str](), [_tree(text)]
    while left:
        node = left.pop(0)
        if isinstance(node, ast.Name | ast.Attribute):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Call):
            left += node.args
        else:
            left += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return list(dict.fromkeys(found))


def _binary(node: ast.BinOp, names: Mapping[str, Any]) -> Any:
    left, right = _value(node.left, names), _value(node.right, names)
    apply = _BINARY.get(type(node.op))
    if apply is None or not isinstance(left, int | float) or not isinstance(right, int | float):
        raise ValueError(f"'{ast.unparse(node)}' is no arithmetic on numbers")
    if apply is operator.pow and (abs(left) > _LARGEST_BASE or abs(right) > _LARGEST_EXPONENT):
        raise ValueError(f"'{ast.unparse(node)}' is too large a power")
    return apply(left, right)


def _unary(node: ast.UnaryOp, names: Mapping[str, Any]) -> Any:
    apply = _UNARY.get(type(node.op))
    if apply is None:
        raise ValueError(f"'{ast.unparse(node)}' is not allowed in an expression")
    return apply(_value(node.operand, names))


def _boolean(node: ast.BoolOp, names: Mapping[str, Any]) -> Any:
    stop_at = isinstance(node.op, ast.Or)
    value: Any = None
    for operand in node.values:
        value = _value(operand, names)
        if bool(value) is stop_at:
            break
    return value


def _compare(node: ast.Compare, names: Mapping[str, Any]) -> bool:
    left = _value(node.left, names)
    for comparison, operand in zip(node.ops, node.comparators, strict=True):
        apply, right = _COMPARE.get(type(comparison)), _value(operand, names)
        if apply is None:
            raise ValueError(f"'{ast.unparse(node)}' is not allowed in an expression")
        if not apply(left, right):
            return False
        left = right
    return True


def _conditional(node: ast.IfExp, names: Mapping[str, Any]) -> Any:
    return _value(node.body if _value(node.test, names) else node.orelse, names)


def _call(node: ast.Call, names: Mapping[str, Any]) -> Any:
    if not isinstance(node.func, ast.Name) or node.keywords:
        raise ValueError(f"'{ast.unparse(node)}' is not allowed in an expression")
    if node.func.id not in FUNCTIONS:
        raise ValueError(unknown("function", node.func.id, FUNCTIONS))
    return FUNCTIONS[node.func.id](*(_value(argument, names) for argument in node.args))


def _list(node: ast.List, names: Mapping[str, Any]) -> list[Any]:
    return [_value(item, names) for item in node.elts]


def _subscript(node: ast.Subscript, names: Mapping[str, Any]) -> Any:
    return _value(node.value, names)[_value(node.slice, names)]


_HANDLERS: dict[type[ast.expr], Callable[[Any, Mapping[str, Any]], Any]] = {
    ast.Constant: _constant, ast.Name: _name, ast.BinOp: _binary, ast.UnaryOp: _unary,
    ast.BoolOp: _boolean, ast.Compare: _compare, ast.IfExp: _conditional, ast.Call: _call,
    ast.List: _list, ast.Subscript: _subscript, ast.Attribute: _dotted,
}  # fmt: skip
