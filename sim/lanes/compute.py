"""The functions through which operators compute: exact, or as the lanes of a chip compute them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import numpy as np

from sim.lanes.method import Array, Method

_FUNCTIONS: ContextVar[Mapping[str, Method]] = ContextVar("functions", default=MappingProxyType({}))
_ERF = np.vectorize(math.erf, otypes=[float])


@contextmanager
def using(functions: Mapping[str, Method]) -> Iterator[None]:
    """Compute by these methods, operation by operation, until the block ends; what is not in it exactly."""
    token = _FUNCTIONS.set(functions)
    try:
        yield
    finally:
        _FUNCTIONS.reset(token)


def _approximate(operation: str, x: Any) -> Array | None:
    method = _FUNCTIONS.get().get(operation)
    return None if method is None else np.asarray(method.compute(operation, np.asarray(x, float)))


def exp(x: Any) -> Array:
    """Return e^x."""
    found = _approximate("exp", x)
    return np.asarray(np.exp(x)) if found is None else found


def divide(x: Any, y: Any) -> Array:
    """Return x / y; approximations multiply by the reciprocal of y."""
    found = _approximate("div", y)
    return np.asarray(x / y) if found is None else np.asarray(x * found)


def sqrt(x: Any) -> Array:
    """Return the root of x."""
    found = _approximate("sqrt", x)
    return np.asarray(np.sqrt(x)) if found is None else found


def tanh(x: Any) -> Array:
    """Return the hyperbolic tangent of x."""
    found = _approximate("tanh", x)
    return np.asarray(np.tanh(x)) if found is None else found


def erf(x: Any) -> Array:
    """Return the error function of x."""
    found = _approximate("erf", x)
    return np.asarray(_ERF(x)) if found is None else found
