"""What a method of lanes is: a schema with its name, in a file of its own in `methods/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.registry import Registry
from sim.yamlfile import Strict

Array = NDArray[Any]
Steps = Mapping[str, int]
"""Lane operations to how many of them; "mac" is a product and an addition in one, and takes a lane as long as "mul"."""

REPLACED = ("exp", "div", "sqrt", "tanh", "erf")
"""The lane operations that a method may stand for."""


class Method(Strict):
    """Base of all methods. A method says `method: Literal["its name"]` and registers itself under that name."""

    stands_for: ClassVar[tuple[str, ...]] = ()
    """The lane operations that it can do."""
    source: ClassVar[str] = ""

    method: str = Field(description="how a function is computed")

    def steps(self, operation: str) -> Steps:
        """Return the lane operations of one result."""
        raise NotImplementedError

    def compute(self, operation: str, x: Array) -> Array:
        """Return what it makes of each element of `x`; of "div" the reciprocal."""
        raise NotImplementedError

    def error(self, operation: str) -> tuple[float, str]:
        """Return by how much a result is off at most, and of what that is a bound."""
        raise NotImplementedError


METHODS: Registry[type[Method]] = Registry("method of lanes", "sim.lanes.methods")


def split(x: Array) -> tuple[Array, Array]:
    """Return z and p of x = p - z ln 2, p in (-ln 2, 0], so that e^x = e^p shifted right by z bits."""
    x = np.maximum(x, -1e4)  # e^x is zero long before
    shift = np.floor(-x / np.log(2))
    return shift, x + shift * np.log(2)


def shifted(mantissa: Array, shift: Array) -> Array:
    """Return mantissa · 2^-shift; zero where that is too small for any number."""
    return np.asarray(np.ldexp(mantissa, -np.clip(shift, -1000, 2000).astype(np.int64)))
