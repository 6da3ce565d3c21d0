"""SRAM between the points of a table: straight lines in log-log over capacity, and ratios over port width."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby

from sim.energy.schema import Point, Port, SramCurve
from sim.units import show_bytes


def loglog(points: Sequence[tuple[float, float]], x: float, growth: float) -> float:
    """Return y at `x` on straight lines in log-log through `points`, whose x ascend; all above zero.

    The end slopes go on beyond the ends; a single point grows with x to the power `growth`.
    """
    if len(points) == 1:
        (x0, y0), power = points[0], growth
    else:
        after = bisect_right([px for px, _ in points], x)
        (x0, y0), (x1, y1) = points[max(0, min(after - 1, len(points) - 2)) :][:2]
        power = math.log(y1 / y0) / math.log(x1 / x0)
    return y0 * math.pow(x / x0, power)


def energy_at(curve: SramCurve, action: str, capacity: float, width_bits: float) -> float:
    """Return pJ of one `action` ("read", "write") on `capacity` bytes through a port of `width_bits`.

    The table's points give the capacity at their own width; its ports give the ratio to any other width.
    Beyond the capacities of the ports the ratio of the nearest holds: going on, those of two widths would cross.
    """
    base = loglog([(p.capacity, getattr(p, action)) for p in curve.points], capacity, 0.0)
    if width_bits == curve.width_bits:
        return base
    if curve.ports is None:
        return base * width_bits / curve.width_bits
    groups = groupby(curve.ports.points, key=lambda port: port.capacity)
    ratios = [(size, _ratio(list(ports), action, curve.width_bits, width_bits)) for size, ports in groups]
    return base * loglog(ratios, min(max(capacity, ratios[0][0]), ratios[-1][0]), 0.0)


def _ratio(ports: list[Port], action: str, base_bits: int, width_bits: float) -> float:
    """Return the energy at `width_bits` over that at `base_bits`; beyond the widest, ports stand side by side."""
    points = [(float(port.width_bits), float(getattr(port, action))) for port in ports]
    widest = points[-1][0]
    inside = loglog(points, min(width_bits, widest), 1.0) * max(1.0, width_bits / widest)
    return inside / dict(points)[base_bits]


def at_capacity(points: Sequence[Point], what: str, capacity: float) -> float | None:
    """Return "leakage" (W) or "area" (mm2) at `capacity` bytes, None where a point does not state it."""
    known = [(point.capacity, getattr(point, what)) for point in points]
    return None if any(y is None for _, y in known) else loglog(known, capacity, 1.0)


def capacity_note(curve: SramCurve, capacity: float) -> str | None:
    """Say how the figure at `capacity` bytes comes from the points, None where it is one of them."""
    sizes = [point.capacity for point in curve.points]
    if capacity in sizes:
        return None
    first, last = show_bytes(sizes[0]), show_bytes(sizes[-1])
    if len(sizes) == 1:
        return f"the one figure there is ({first}) for every capacity"
    if capacity < sizes[0]:
        return f"extrapolated below {first} by the end slope in log-log"
    if capacity > sizes[-1]:
        return f"extrapolated above {last} by the end slope in log-log"
    after = bisect_right(sizes, capacity)
    return f"log-log in capacity between {show_bytes(sizes[after - 1])} and {show_bytes(sizes[after])}"


def width_note(curve: SramCurve, width_bits: float, ports_source: str) -> str | None:
    """Say how the figure at `width_bits` comes from the ports, None where the points have that width."""
    if width_bits == curve.width_bits:
        return None
    if curve.ports is None:
        return f"{width_bits:g} bits in proportion to {curve.width_bits}"
    widths = [port.width_bits for port in curve.ports.points]
    if width_bits > max(widths):
        how = f", side by side above {max(widths)} bits"
    else:
        how = f", extrapolated below {min(widths)} bits" if width_bits < min(widths) else ""
    return f"{width_bits:g} bits by the ratio to {curve.width_bits} bits of {ports_source}{how}"
