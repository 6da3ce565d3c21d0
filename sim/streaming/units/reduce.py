"""Reduce: a group of tokens in, one out."""

from __future__ import annotations

from typing import ClassVar, Literal

from sim.streaming.formula import Formulas
from sim.streaming.kinds import UNITS, Patterned
from sim.streaming.patterns import When

BY = {"add": ("0", "{x} + {y}"), "max": ("-inf", "maximum({x}, {y})"), "min": ("inf", "minimum({x}, {y})")}
"""Each way to reduce, to its neutral value and how a token is taken in."""


@UNITS.register("reduce")
class Reduce(Patterned):
    """Pops in every firing and pushes the reduced value in the last of each group.

    `by` reduces the values of `compute` (or of the one channel it pops); or `state`, `update` and `compute` say it all.
    """

    kind: Literal["reduce"] = "reduce"
    by: Literal["add", "max", "min"] | None = None
    push_when: ClassVar[When] = "last"

    def formulas(self, pops: tuple[str, ...], pushes: tuple[str, ...]) -> Formulas | None:
        """Return how it computes: `by` what, or as any other unit."""
        if self.by is None:
            return super().formulas(pops, pushes)
        if isinstance(self.compute, dict) or self.state:
            raise ValueError("with 'by', 'compute' is one expression, and there is no 'state'")
        neutral, taken = BY[self.by]
        update = taken.format(x="total", y=f"({self.compute or pops[0]})")
        return Formulas.of(dict.fromkeys(pushes, "total"), pushes, pops, {"total": neutral}, {"total": update})
