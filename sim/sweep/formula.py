"""Conditions and computed values of a sweep: expressions over dotted keys, with quantities such as 64 KiB in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.expressions import evaluate, names_in
from sim.sweep.axes import dimension_of, number
from sim.units import UNITS

_UNITS = sorted({unit for table in UNITS.values() for unit in table}, key=len, reverse=True)
_QUANTITY = re.compile(
    r"(?<![\w.'\"])(\d+\.?\d*(?:[eE][-+]?\d+)?)\s*(" + "|".join(map(re.escape, _UNITS)) + r")(?![\w/'\"])"
)


@dataclass(frozen=True)
class Formula:
    """An expression as it was written, the same with quantities in base units, and the names that it reads."""

    text: str
    expression: str
    names: tuple[str, ...]
    marked: str
    """The same with a name for each quantity in it."""
    quantities: dict[str, tuple[str, str]]
    """What each of these names stands for: the quantity as it was written, and its dimension."""

    @property
    def dimension(self) -> str | None:
        """What its first quantity is, None where it has none."""
        return next((dimension for _, dimension in self.quantities.values()), None)

    def value(self, names: Mapping[str, Any]) -> Any:
        """Return what it computes to; ValueError where it cannot be computed."""
        return evaluate(self.expression, names)


def formula(text: str) -> Formula:
    """Return the Formula that `text` is, a '=' before it or not; ValueError where it is none."""
    quantities: dict[str, tuple[str, str]] = {}

    def marked(match: re.Match[str]) -> str:
        mark = f"_quantity_{len(quantities)}_"
        quantities[mark] = match.group(), dimension_of(match.group()) or ""
        return mark

    plain = _QUANTITY.sub(lambda match: repr(number(match.group())), text)
    expression = _expression(plain)
    return Formula(text, expression, tuple(names_in(expression)), _expression(_QUANTITY.sub(marked, text)), quantities)


def _expression(text: str) -> str:
    return f"={text.strip().removeprefix('=').strip()}"
