"""Whether an expression compares and adds like with like: sizes with sizes, plain numbers with plain numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from itertools import pairwise

from sim.sweep.formula import Formula
from sim.units import EXAMPLES

Kinds = frozenset[str] | None
"""What a value may be: dimensions, '' for a plain number, 'text'; None where that is not known."""

PLAIN = frozenset({""})
TEXT = frozenset({"text"})


def check(formula: Formula, of_name: Callable[[str], Kinds]) -> Kinds:
    """Return what a formula computes to; `of_name` tells what a name is.

    Raises ValueError where it compares or adds what is of different kinds.
    """
    try:
        return _Checker(formula, of_name).kinds(ast.parse(formula.marked.removeprefix("="), mode="eval").body)
    except RecursionError:
        return None  # it cannot be computed either, which is told there


def alike(one: Kinds, other: Kinds) -> bool:
    """Return whether two values may be compared: figures are plain numbers of their unit, too."""
    if one is None or other is None:
        return True
    return bool((one - PLAIN) & (other - PLAIN)) or (PLAIN in (one, other) and "" in one & other)


def word(kinds: frozenset[str]) -> str:
    """Return what a value is, in words."""
    name = max(kinds)
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}" if name else "a plain number"


class _Checker:
    """Works out what every part of one formula is."""

    def __init__(self, formula: Formula, of_name: Callable[[str], Kinds]) -> None:
        self.formula, self.of_name = formula, of_name

    def kinds(self, node: ast.expr) -> Kinds:
        """Return what a part may be, and look into all that it is made of."""
        if isinstance(node, ast.Name | ast.Attribute):
            written = self.formula.quantities.get(ast.unparse(node))
            return frozenset({written[1]}) if written else self.of_name(ast.unparse(node))
        if isinstance(node, ast.Constant):
            return _constant(node.value)
        if isinstance(node, ast.UnaryOp):
            found = self.kinds(node.operand)
            return None if isinstance(node.op, ast.Not) else found
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.IfExp):
            self.kinds(node.test)
            return self._same([node.body, node.orelse])
        if isinstance(node, ast.Call):
            one = isinstance(node.func, ast.Name) and node.func.id not in ("min", "max")
            return self._same(node.args[:1] if one else node.args)
        if isinstance(node, ast.List):
            return self._same(node.elts)
        for child in node.values if isinstance(node, ast.BoolOp) else ():
            self.kinds(child)
        return None

    def _binary(self, node: ast.BinOp) -> Kinds:
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mod):
            return self._same([node.left, node.right])
        left, right = self.kinds(node.left), self.kinds(node.right)
        if isinstance(node.op, ast.Mult) and PLAIN in (left, right):
            return right if left == PLAIN else left
        if isinstance(node.op, ast.Div | ast.FloorDiv) and left is not None and right is not None:
            return left if right == PLAIN else PLAIN if (left - PLAIN) & (right - PLAIN) else None
        return PLAIN if isinstance(node.op, ast.Pow) and left == right == PLAIN else None

    def _compare(self, node: ast.Compare) -> Kinds:
        parts = [(part, self.kinds(part)) for part in (node.left, *node.comparators)]
        for one, other in pairwise(parts):
            self._alike(one, other)
        return None

    def _same(self, nodes: Sequence[ast.expr]) -> Kinds:
        """Return what all of these are; ValueError where they are not alike."""
        parts = [(node, self.kinds(node)) for node in nodes]
        for one, other in pairwise(parts):
            self._alike(one, other)
        known = [kinds for _, kinds in parts if kinds is not None]
        return max(known, key=lambda kinds: (kinds != PLAIN, -len(kinds))) if known else None

    def _alike(self, *sides: tuple[ast.expr, Kinds]) -> None:
        (one, kinds), (other, others) = sorted(sides, key=lambda side: side[1] == PLAIN)
        if alike(kinds, others) or kinds is None or others is None:
            return
        if isinstance(other, ast.Constant) and others == PLAIN and max(kinds) in EXAMPLES:
            example = EXAMPLES[max(kinds)]
            told = f"'{self._text(one)}' is {word(kinds)}: give {self._text(other)} a unit, as in '{example}'"
            raise ValueError(told)
        told = f"'{self._text(one)}' is {word(kinds)} and '{self._text(other)}' {word(others)}"
        raise ValueError(f"{told}: compare like with like")

    def _text(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        for mark, (written, _) in self.formula.quantities.items():
            text = text.replace(mark, written)
        return text


def _constant(value: object) -> Kinds:
    if isinstance(value, str):
        return TEXT
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return PLAIN if number and value else None  # nothing is nothing of everything
