"""Taylor series of the exponential, a multiply-accumulate a term: 6 in FuseMax (Nayak et al., MICRO 2024)."""

from __future__ import annotations

from math import factorial, log
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.lanes.method import METHODS, Array, Method, Steps, shifted, split


@METHODS.register("taylor")
class Taylor(Method):
    """The series up to p^terms / terms!, by Horner's rule, behind a split x = p - z ln 2."""

    stands_for: ClassVar[tuple[str, ...]] = ("exp",)
    source: ClassVar[str] = (
        "Nayak et al., FuseMax, MICRO 2024: an exponential is 6 multiply-accumulates (after Nilsson et al., NORCHIP "
        "2014); what splits the exponent off is not counted there, nor here. Bound: Lagrange's remainder"
    )

    method: Literal["taylor"] = Field(description="Taylor series, a multiply-accumulate a term")
    terms: int = Field(6, ge=1, le=20, description="multiply-accumulates: the degree of the polynomial")

    def steps(self, operation: str) -> Steps:
        """Return a multiply-accumulate a term."""
        return {"mac": self.terms}

    def compute(self, operation: str, x: Array) -> Array:
        """Return the polynomial, shifted."""
        shift, p = split(x)
        found = np.ones_like(p)
        for term in range(self.terms, 0, -1):
            found = 1 + found * p / term
        return shifted(found, shift)

    def error(self, operation: str) -> tuple[float, str]:
        """Return the remainder at the end of the interval, (ln 2)^(n+1) / (n+1)!."""
        return log(2) ** (self.terms + 1) / factorial(self.terms + 1), "of e^x for x <= 0"
