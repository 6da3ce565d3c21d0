"""Newton's iteration for the reciprocal, and for the reciprocal root from the constant of the fast inverse root."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.lanes.method import METHODS, Array, Method, Steps

MAGIC = 0x5F3759DF
FIRST = 0.0343758
"""Relative error of the first guess of the root (Lomont 2003)."""


@METHODS.register("newton")
class Newton(Method):
    """div: y (2 - d y) from 48/17 - 32/17 d, d in [1/2, 1). sqrt: d times y (3/2 - d/2 y²) from a guess in the bits."""

    stands_for: ClassVar[tuple[str, ...]] = ("div", "sqrt")
    source: ClassVar[str] = (
        "reciprocal: Ercegovac and Lang, Digital arithmetic, 2004, chapter 7; root: Lomont, Fast inverse square root, "
        "2003. Each step squares the relative error (the root: times 3/2)"
    )

    method: Literal["newton"] = Field(description="Newton's iteration")
    iterations: int = Field(2, ge=0, le=6, description="steps behind the first guess")

    def steps(self, operation: str) -> Steps:
        """Return the first guess, the iterations, and the product with the reciprocal."""
        if operation == "div":
            return {"mac": 1 + 2 * self.iterations, "mul": 1}
        return {"add": 1, "mul": 2 + 2 * self.iterations, "mac": self.iterations}

    def compute(self, operation: str, x: Array) -> Array:
        """Return 1 / x, or the root of x."""
        return self._reciprocal(x) if operation == "div" else self._root(x)

    def _reciprocal(self, x: Array) -> Array:
        part, exponent = np.frexp(np.abs(x))
        y = 48 / 17 - 32 / 17 * part
        for _ in range(self.iterations):
            y = y * (2 - part * y)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(x == 0, 1 / np.abs(x), np.sign(x) * np.ldexp(y, -exponent)))

    def _root(self, x: Array) -> Array:
        bits = x.astype(np.float32).view(np.int32)
        y = (np.int32(MAGIC) - (bits >> 1)).view(np.float32).astype(float)
        for _ in range(self.iterations):
            y = y * (1.5 - x / 2 * y * y)
        return np.asarray(x * y)

    def error(self, operation: str) -> tuple[float, str]:
        """Return the relative error: (1/17)^(2^n), or that of the guess carried through 3/2 e² + e³/2."""
        if operation == "div":
            return float((1 / 17) ** (2**self.iterations)) + 2**-50, "relative, of a quotient"
        error = FIRST
        for _ in range(self.iterations):
            error = 1.5 * error**2 + 0.5 * error**3
        return error + 2**-50, "relative, of a root of 1e-37 to 1e38"
