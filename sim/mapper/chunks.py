"""The search over chunks of vector work: every count bounded, the best of them run by the engine."""

from __future__ import annotations

from sim.arch import Arch
from sim.engine import Engine
from sim.frontend import Stage
from sim.hardware.unit import TooSlow, Unit
from sim.kernel import VectorWork
from sim.mapper.scout import Scout
from sim.plan import Load, Plan, Process, Step, Store, steps
from sim.planner import chunk_counts, plan_vector


def search_chunks(work: VectorWork, arch: Arch, unit: str, on_chip: frozenset[str] = frozenset()) -> Plan:
    """Return the plan of vector work in the number of chunks that takes the least cycles, the fewest of those.

    Few chunks leave the lanes waiting for the first one, many pay for each. The counts tried depend on capacities
    only through what fits, so more room is never slower. CapacityError where not even chunks of one byte fit.
    """
    counts = chunk_counts(work, arch, on_chip)
    plans = [plan_vector(work, arch, unit, on_chip, count) for count in counts]
    if len(plans) == 1:
        return plans[0]
    scout = Scout(arch)
    units = scout.engine.units
    bounds = [_bound(plan, units) for plan in plans]
    best, least = 0, float("inf")
    for index in sorted(range(len(plans)), key=lambda i: (bounds[i], i)):
        if bounds[index] > least:
            break
        limit = None if least == float("inf") else int(least) - (index > best)
        cycles = _cycles(plans[index], scout, limit)
        if cycles is not None:
            best, least = index, cycles
    return plans[best]


def _cycles(plan: Plan, scout: Scout, limit: int | None) -> int | None:
    """Return the cycles of the plan alone; None where they exceed `limit`."""
    stage = Stage(plan, 0)
    try:
        cycles = scout.run(stage, limit)
        if not scout.exact and (limit is None or cycles <= limit):
            cycles = Engine(scout.arch).run([stage], limit=limit).cycles
    except TooSlow:
        return None
    return cycles if limit is None or cycles <= limit else None


def _bound(plan: Plan, units: dict[str, Unit]) -> int:
    """Return cycles that the plan takes at least.

    The lanes begin when the first chunk is loaded, and have all chunks to process; the channel has all transfers
    to do; behind its last load that chunk is processed; the last chunk is stored at the end.
    """
    loads = stores = lanes = lead = last = tail = lag = 0
    begun = False
    for step, times in steps(plan.body):
        busy, late = _cost(step, units)
        if isinstance(step, Load):
            loads, lag = loads + busy * times, late
            lead += 0 if begun else busy
        elif isinstance(step, Process):
            lanes, last, tail, begun = lanes + busy * times, busy, late, True
        elif isinstance(step, Store):
            stores, tail = stores + busy * times, tail + busy
    return max(lag + lead + lanes + tail, lag + loads + last + tail, loads + stores)


def _cost(step: Step, units: dict[str, Unit]) -> tuple[int, int]:
    """Return the least cycles of a step on its unit, and how much later its result is there."""
    kind = {Load: "channel", Store: "channel", Process: "vector"}.get(type(step))
    unit = next((u for u in units.values() if u.kind == kind), None)
    return unit.least(step) if unit else (0, 0)
