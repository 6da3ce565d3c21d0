"""Chips that are bounded at once: what may differ between them, as vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.arch import OPERANDS, Arch, Ideal

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Designs:
    """Chips that differ in the sides of the array, in capacities and in bandwidth: a value a chip in each vector.

    `rows` and `cols` in PEs, `room` in bytes for tiles by operand, `bandwidth` in bytes a cycle.
    """

    rows: Vector
    cols: Vector
    room: dict[str, Vector]
    bandwidth: Vector

    @classmethod
    def of(cls, arch: Arch) -> Designs:
        """Return the one design that a chip is."""
        array = arch.array
        memory: Any = arch.memory
        rate = np.inf if isinstance(memory, Ideal) else memory.bandwidth / arch.clock
        room: dict[str, int] = {o: b.tile_capacity for o in OPERANDS for b in arch.buffers.values() if o in b.holds}
        return cls(
            np.array([float(array.rows if array else 1)]), np.array([float(array.cols if array else 1)]),
            {o: np.array([float(room.get(o, np.inf)) if arch.bounded else np.inf]) for o in OPERANDS},
            np.array([float(rate)]),
        )  # fmt: skip
