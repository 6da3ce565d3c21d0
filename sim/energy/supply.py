"""What an action costs a unit at the supply voltage at which it runs."""

from __future__ import annotations

from sim.arch.dvfs import Scaled
from sim.arch.unit import Unit
from sim.energy.table import Cost, join


def at_point(unit: Unit, cost: Cost) -> Cost:
    """Return what an action of a unit costs at its point: by the square of the voltage (see sim.arch.dvfs)."""
    points = unit.dvfs if isinstance(unit, Scaled) else None
    if points is None or points.energy == 1:
        return cost
    told = f"x ({points.now.voltage:g} V / {points.points[points.nominal].voltage:g} V)^2 at point {points.name}"
    return Cost(cost.pj * points.energy, cost.source, join(cost.derived, told))
