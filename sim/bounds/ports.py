"""Bytes that pass the ports of buffers, and how long the busiest port needs for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sim.arch import Arch
from sim.bounds.designs import Vector

Passed = dict[tuple[str, str], Any]
"""Bytes on chip by operand and way ("read", "write"): a number, or one a design."""


def added(parts: Iterable[Passed]) -> Passed:
    """Return the sum of bytes by operand and way."""
    total: Passed = {}
    for part in parts:
        for way, amount in part.items():
            total[way] = total[way] + amount if way in total else amount
    return total


def busiest(passed: Passed, arch: Arch, zero: Vector) -> Vector:
    """Return the cycles that the busiest port needs."""
    slowest = zero
    for buffer in arch.buffers.values() if arch.bounded else ():
        if buffer.bandwidth is not None:
            ways = [sum((passed.get((o, way), 0.0) for o in buffer.holds), zero) for way in ("read", "write")]
            busy = np.maximum(*ways) if buffer.ports > 1 else ways[0] + ways[1]
            slowest = np.maximum(slowest, busy / buffer.bandwidth)
    return slowest
