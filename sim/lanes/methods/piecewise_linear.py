"""Piecewise linear interpolation: a table of slopes and intercepts, and one multiply-accumulate."""

from __future__ import annotations

from math import log, sqrt, tanh
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.lanes.method import METHODS, Array, Method, Steps, shifted, split

REACH = 4.0
"""Beyond it the tangent is taken for 1."""


@METHODS.register("piecewise_linear")
class PiecewiseLinear(Method):
    """Chords over equal segments: of e^p behind a split x = p - z ln 2, or of tanh from 0 to 4."""

    stands_for: ClassVar[tuple[str, ...]] = ("exp", "tanh")
    source: ClassVar[str] = (
        "chords of equal segments are off by h²/8 max |f''| at most (de Boor, A practical guide to splines, 1978, "
        "chapter III); the table is read with the operand, in no time of its own"
    )

    method: Literal["piecewise_linear"] = Field(description="a table of chords over equal segments")
    segments: int = Field(16, ge=1, le=65536, description="segments of the table")

    def steps(self, operation: str) -> Steps:
        """Return split, chord and shift of exp; |x|, clamp, chord and sign of tanh."""
        return {"mul": 1, "mac": 2, "add": 1} if operation == "exp" else {"max": 2, "mac": 1, "mul": 1}

    def compute(self, operation: str, x: Array) -> Array:
        """Return the chord's value."""
        if operation == "exp":
            shift, p = split(x)
            knots = np.linspace(-log(2), 0, self.segments + 1)
            return shifted(np.interp(p, knots, np.exp(knots)), shift)
        knots = np.linspace(0, REACH, self.segments + 1)
        return np.asarray(np.sign(x) * np.where(np.abs(x) >= REACH, 1.0, np.interp(np.abs(x), knots, np.tanh(knots))))

    def error(self, operation: str) -> tuple[float, str]:
        """Return h²/8 max |f''|: 1 for e^p, 4 / (3 sqrt 3) for tanh, beyond whose reach 1 - tanh 4 is missing."""
        if operation == "exp":
            return (log(2) / self.segments) ** 2 / 8, "of e^x for x <= 0"
        chord = 4 / (3 * sqrt(3)) * (REACH / self.segments) ** 2 / 8
        return max(chord, 1 - tanh(REACH)), "of tanh"
