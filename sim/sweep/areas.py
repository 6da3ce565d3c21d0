"""The area of every point of a sweep at once: what varies is added up from its parts, a chip is built for the rest."""

from __future__ import annotations

from math import fsum

import numpy as np
from numpy.typing import NDArray

from sim.arch import Arch, build
from sim.area import buffer_area, load, unit_area
from sim.errors import TiletickError
from sim.sweep.axes import number
from sim.sweep.keys import Subject
from sim.sweep.space import Column, Space

Vector = NDArray[np.float64]
_SIDES = ("rows", "cols")


def areas(subject: Subject, space: Space) -> Vector:
    """Return the mm2 of every point; 0 where the chip cannot be built, or its buffers have no limit."""
    found = np.zeros(space.size)
    first, which = space.distinct([c for c in space.columns if _decides(c)])
    for group, point in enumerate(first):
        rows = np.flatnonzero(which == group)
        try:
            chip = build(subject.settings(space.targets(point))[0])
        except TiletickError:
            continue  # its points will say themselves what is wrong with them
        if chip.bounded:
            found[rows] = _alike(chip, space.take(rows))
    return found


def _decides(column: Column) -> bool:
    path = column.target.path
    return path[:1] in (("units",), ("precision",), ("technology",), ("memory",)) and path[-1] not in _SIDES


def _alike(chip: Arch, space: Space) -> Vector:
    """Return the mm2 of chips that differ in the sides of their arrays and in capacities alone."""
    values = {column.target.path: _values(column) for column in space.columns}
    total = np.zeros(space.size)
    for name, unit in chip.units.items():
        ratio = np.ones(space.size)
        for side in _SIDES:
            if ("units", name, side) in values:
                ratio = ratio * values["units", name, side] / getattr(unit, side)
        total = total + unit_area(unit, chip.precision, chip.technology) * ratio
    for name, buffer in chip.buffers.items():
        sizes = values.get(("buffers", name, "capacity"), np.full(space.size, float(buffer.capacity)))
        distinct, index = np.unique(sizes, return_inverse=True)
        total = total + np.array([buffer_area(int(size), chip.technology) for size in distinct])[index.reshape(-1)]
    return total * fsum((1.0, load().control.share))


def _values(column: Column) -> Vector:
    amounts = [number(value) for value in column.values]
    return np.array([a if isinstance(a, int | float) else np.nan for a in amounts], dtype=np.float64)[column.index]
