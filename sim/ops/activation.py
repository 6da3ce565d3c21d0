"""Activation functions: one element in, one element out."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from sim import lanes
from sim.op import Array, op
from sim.ops._vector import Unary


def _sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return lanes.divide(1, 1 + lanes.exp(-x))


@op("relu")
class Relu(Unary):
    """max(x, 0)."""

    per_element = {"max": 1}

    def apply(self, x: Array) -> Array:
        """Return max(x, 0)."""
        return np.maximum(x, 0)


@op("relu6")
class Relu6(Unary):
    """min(max(x, 0), 6)."""

    per_element = {"max": 2}

    def apply(self, x: Array) -> Array:
        """Return x clamped to [0, 6]."""
        return np.clip(x, 0, 6)


@op("leaky_relu")
class LeakyRelu(Unary):
    """max(x, slope·x), for a slope between 0 and 1."""

    per_element = {"mul": 1, "max": 1}

    slope: float = Field(0.01, ge=0, le=1, description="factor of negative values")

    def apply(self, x: Array) -> Array:
        """Return max(x, slope·x)."""
        return np.maximum(x, self.slope * x)


@op("hardsigmoid")
class HardSigmoid(Unary):
    """clamp(x + 3, 0, 6) / 6 (Howard et al., MobileNetV3, ICCV 2019)."""

    per_element = {"add": 1, "max": 2, "mul": 1}

    def apply(self, x: Array) -> Array:
        """Return clamp(x + 3, 0, 6) / 6."""
        return np.asarray(np.clip(x + 3, 0, 6) / 6)


@op("hardswish")
class HardSwish(Unary):
    """x · clamp(x + 3, 0, 6) / 6 (Howard et al., MobileNetV3, ICCV 2019)."""

    per_element = {"add": 1, "max": 2, "mul": 2}

    def apply(self, x: Array) -> Array:
        """Return x · clamp(x + 3, 0, 6) / 6."""
        return np.asarray(x * np.clip(x + 3, 0, 6) / 6)


@op("sigmoid")
class Sigmoid(Unary):
    """1 / (1 + exp(-x))."""

    per_element = {"exp": 1, "add": 1, "div": 1}

    def apply(self, x: Array) -> Array:
        """Return 1 / (1 + exp(-x)), which is zero where the exponential overflows."""
        return _sigmoid(x)


@op("silu", "swish")
class Silu(Unary):
    """x / (1 + exp(-x)): no multiplication beyond the division."""

    per_element = {"exp": 1, "add": 1, "div": 1}

    def apply(self, x: Array) -> Array:
        """Return x · sigmoid(x)."""
        return np.asarray(x * _sigmoid(x))


@op("tanh")
class Tanh(Unary):
    """The hyperbolic tangent, counted as one operation of its own kind."""

    per_element = {"tanh": 1}

    def apply(self, x: Array) -> Array:
        """Return tanh(x)."""
        return lanes.tanh(x)


@op("gelu")
class Gelu(Unary):
    """x · (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel, 2016): three products, by constants and by x."""

    per_element = {"mul": 3, "add": 1, "erf": 1}

    def apply(self, x: Array) -> Array:
        """Return x · (1 + erf(x / sqrt 2)) / 2."""
        return np.asarray(x * (1 + lanes.erf(x / np.sqrt(2))) / 2)
