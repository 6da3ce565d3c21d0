"""Whether an expression compares and adds like with like: sizes with sizes, plain numbers with plain numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from sim.sweep.formula import Formula
from sim.units import EXAMPLES

Kinds = frozenset[str] | None
"""The dimensions that a value may be of ('' for a plain number); None where that is not known."""

PLAIN = frozenset({""})


def check(formula: Formula, of_name: Callable[[str], Kinds]) -> None:
    """Raise ValueError where a formula compares or adds what is of different dimensions; `of_name` tells a name's."""
    _Checker(formula, of_name).kinds(ast.parse(formula.marked.removeprefix("="), mode="eval").body)


class _Checker:
    """Works out the dimensions of every part of one formula."""

    def __init__(self, formula: Formula, of_name: Callable[[str], Kinds]) -> None:
        self.formula, self.of_name = formula, of_name

    def kinds(self, node: ast.AST) -> Kinds:
        """Return what a part may be, and look into all that it is made of."""
        if isinstance(node, ast.Name | ast.Attribute):
            written = self.formula.quantities.get(ast.unparse(node))
            return frozenset({written[1]}) if written else self.of_name(ast.unparse(node))
        if isinstance(node, ast.Constant):
            number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
            return PLAIN if number and node.value else None  # nothing is nothing of everything
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            for left, right, operator in zip(parts, parts[1:], node.ops, strict=False):
                if not isinstance(operator, ast.In | ast.NotIn):
                    self._alike(left, right)
        for child in _parts(node):
            self.kinds(child)
        return None

    def _binary(self, node: ast.BinOp) -> Kinds:
        if isinstance(node.op, ast.Add | ast.Sub):
            return self._alike(node.left, node.right)
        left, right = self.kinds(node.left), self.kinds(node.right)
        if isinstance(node.op, ast.Mult) and PLAIN in (left, right):
            return right if left == PLAIN else left
        if isinstance(node.op, ast.Div | ast.FloorDiv) and left is not None:
            return left if right == PLAIN else PLAIN if left == right else None
        return None

    def _alike(self, left: ast.expr, right: ast.expr) -> Kinds:
        """Return what both sides are; ValueError where nothing is."""
        one, other = self.kinds(left), self.kinds(right)
        if one is None or other is None:
            return one or other
        if not one & other:
            raise ValueError(self._unlike((left, one), (right, other)))
        return one & other

    def _unlike(self, *sides: tuple[ast.expr, frozenset[str]]) -> str:
        (quantity, kinds), (plain, others) = sorted(sides, key=lambda side: side[1] == PLAIN)
        if isinstance(plain, ast.Constant):
            example = EXAMPLES[max(kinds)]
            return f"'{self._text(quantity)}' is {_word(kinds)}: give {self._text(plain)} a unit, as in '{example}'"
        told = f"'{self._text(quantity)}' is {_word(kinds)} and '{self._text(plain)}' {_word(others)}"
        return f"{told}: compare like with like"

    def _text(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        for mark, (written, _) in self.formula.quantities.items():
            text = text.replace(mark, written)
        return text


def _parts(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        yield from node.args
    elif not isinstance(node, ast.Compare):
        yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _word(kinds: frozenset[str]) -> str:
    name = max(kinds)
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}" if name else "a plain number"
