"""I-BERT: polynomials of second degree for the exponential and for GELU's error function (Kim et al., ICML 2021)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.lanes.method import METHODS, Array, Method, Steps, shifted, split


@METHODS.register("ibert")
class Ibert(Method):
    """exp: 0.358 p² + 0.970 p + 1 behind a split x = p - z ln 2. erf: ±(a (min(|x|, -b) + b)² + 1)."""

    stands_for: ClassVar[tuple[str, ...]] = ("exp", "erf")
    source: ClassVar[str] = (
        "Kim et al., I-BERT, ICML 2021, algorithms 2 and 3, coefficients of exp as in its code (kssteven418/I-BERT); "
        "gaps of 1.9e-3 and 1.8e-2 as rounded there"
    )

    method: Literal["ibert"] = Field(description="I-BERT's polynomials of second degree")

    def steps(self, operation: str) -> Steps:
        """Return split, two terms by Horner's rule and shift; or |x|, min, b, square, scale and sign."""
        if operation == "exp":
            return {"mul": 1, "mac": 3, "add": 1}
        return {"max": 2, "add": 1, "mul": 2, "mac": 1}

    def compute(self, operation: str, x: Array) -> Array:
        """Return the polynomial."""
        if operation == "exp":
            shift, p = split(x)
            return shifted((0.35815147 * p + 0.96963238) * p + 1, shift)
        a, b = -0.2888, -1.769
        return np.asarray(np.sign(x) * (a * (np.minimum(np.abs(x), -b) + b) ** 2 + 1))

    def error(self, operation: str) -> tuple[float, str]:
        """Return the gaps that the paper states, up to its rounding."""
        return (1.95e-3, "of e^x for x <= 0") if operation == "exp" else (1.85e-2, "of GELU from -4 to 4")
