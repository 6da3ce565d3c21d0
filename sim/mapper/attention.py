"""The search over mappings of attention: every plan bounded by the work of its units, the best run by the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.arch import Arch, Systolic
from sim.arch.choices import MappingChoice
from sim.attention.mapping import MAPPINGS, Wish
from sim.engine import Engine
from sim.errors import MappingError
from sim.frontend import Stage
from sim.hardware.unit import TooSlow, Unit
from sim.kernel import Attention
from sim.plan import Compute, Load, Plan, Process, Store, steps


def search_attention(
    kernel: Attention, arch: Arch, choice: MappingChoice, on_chip: frozenset[str] = frozenset(),
    limit: int | None = None,
) -> Plan:  # fmt: skip
    """Return the plan of attention that takes the least cycles, then the least off-chip bytes; ties: in order.

    MappingError where no plan of the mappings asked for fits the chip, or none takes at most `limit` cycles.
    """
    names = list(MAPPINGS) if choice.attention == "auto" else [choice.attention]
    wish = Wish(kernel, arch.seen(kernel.right_is), choice, on_chip)
    plans = [replace(p, unit=arch.unit_name(Systolic)) for name in names for p in MAPPINGS[name](wish)]
    if not plans:
        message = (
            f"{kernel.name}: no tiles of attention ({', '.join(names)}) fit the buffers of '{arch.name}'; "
            "enlarge them, set smaller mapping.tile.m and mapping.tile.n, or mapping.attention to layers"
        )
        raise MappingError(message)
    units = Engine(arch).units
    limits = [_limits(plan, units) for plan in plans]
    order = sorted(range(len(plans)), key=lambda i: (limits[i][0], moved(plans[i]), i))
    most = limits[order[0]][1] if limit is None else -1
    if all(limits[index][0] >= most for index in order[1:]) and most >= 0:
        return plans[order[0]]
    best = _fastest([plans[index] for index in order], [limits[index][0] for index in order], arch, limit)
    if best is None:
        raise MappingError(f"{kernel.name}: no plan of attention ({', '.join(names)}) takes at most {limit} cycles")
    return best


def _fastest(plans: Sequence[Plan], least: Sequence[int], arch: Arch, limit: int | None) -> Plan | None:
    """Return the first of the fastest plans, which come by rising lower bounds `least`; None if all exceed `limit`."""
    best: Plan | None = None
    for plan, bound in zip(plans, least, strict=True):
        if limit is not None and bound > limit:
            break
        try:
            limit = Engine(arch).run([Stage(plan, 0)], limit=limit).cycles - 1
        except TooSlow:
            continue
        best = plan
    return best


def _limits(plan: Plan, units: dict[str, Unit]) -> tuple[int, int]:
    """Return the least cycles of a plan, the work of its busiest unit, and the most: all work and latency in turn."""
    kinds = {Load: "channel", Store: "channel", Process: "vector", Compute: "systolic"}
    busy: dict[str, int] = {}
    late = 0
    for step, times in steps(plan.body):
        unit = next((u for u in units.values() if u.kind == kinds.get(type(step))), None)
        if unit is not None:
            cycles, behind = unit.least(step)
            busy[unit.name] = busy.get(unit.name, 0) + cycles * times
            late += max(0, behind) * times
    return max(busy.values()), sum(busy.values()) + late


def moved(plan: Plan) -> int:
    """Return the bytes that a plan moves to and from memory."""
    return sum(step.bytes * times for step, times in steps(plan.body) if isinstance(step, Load | Store))
