"""What a plan moves and computes in all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sim.plan import (
    Broadcast,
    Compute,
    Load,
    LocalWork,
    PassWork,
    Plan,
    Process,
    Reduce,
    Step,
    Store,
    TileWork,
    moves_of,
    steps,
)


@dataclass
class Totals:
    """What a whole plan moves and computes: bytes by operand, on-chip elements by operand, PE-slots."""

    macs: int = 0
    pe_cycles: int = 0
    used: int = 0
    slots: int = 0
    folds: int = 0
    load: dict[str, int] = field(default_factory=dict)
    store: dict[str, int] = field(default_factory=dict)
    partial: int = 0
    reads: dict[str, int] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    hops: dict[str, int] = field(default_factory=dict)
    moves: dict[tuple[str, str], int] = field(default_factory=dict)
    link: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    local: dict[str, int] = field(default_factory=dict)
    """Operations of the PEs beside products, by kind."""
    elements: int = 0


def totals(plan: Plan) -> Totals:
    """Return what the plan moves and computes in all, loops multiplied out."""
    total = Totals()
    for step, times in steps(plan.body):
        _COUNT.get(type(step), _count_nothing)(total, step, times)
        for operand, way, size in moves_of(step):
            total.moves[operand, way] = total.moves.get((operand, way), 0) + size * times
    return total


def _add(table: dict[str, int], key: str, amount: int) -> None:
    table[key] = table.get(key, 0) + amount


def _count_nothing(total: Totals, step: Step, times: int) -> None:
    """Claims and frees move nothing."""


def _count_load(total: Totals, step: Load, times: int) -> None:
    _add(total.load, step.operand, step.bytes * times)
    total.partial += step.bytes * times if step.partial else 0


def _count_store(total: Totals, step: Store, times: int) -> None:
    _add(total.store, "output", step.bytes * times)
    total.partial += step.bytes * times if step.partial else 0


def _count_compute(total: Totals, step: Compute, times: int) -> None:
    work = step.work
    total.macs += work.macs * times
    own = work.pe_cycles if isinstance(work, TileWork) else None
    total.pe_cycles += (work.macs if own is None else own) * times
    total.used += work.used * times
    total.slots += work.slots * times
    total.folds += work.folds * times
    for operation, count in work.operations if isinstance(work, LocalWork) else ():
        _add(total.local, operation, count * times)
    hops = work.hops if isinstance(work, PassWork) else ()
    for table, counts in ((total.reads, work.reads), (total.writes, work.writes), (total.hops, hops)):
        for operand, elements in counts:
            _add(table, operand, elements * times)


def _count_link(total: Totals, step: Broadcast | Reduce, times: int) -> None:
    total.link += step.bytes * times


def _count_process(total: Totals, step: Process, times: int) -> None:
    total.elements += step.elements * times
    for operation, count in step.operations:
        _add(total.operations, operation, count * times)


_COUNT: dict[type, Callable[..., None]] = {
    Load: _count_load,
    Store: _count_store,
    Compute: _count_compute,
    Broadcast: _count_link,
    Reduce: _count_link,
    Process: _count_process,
}
