"""Loops that settle: when iterations repeat with one shift, and what skipping the rest of them books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from sim.hardware.unit import Iteration, Unit


def period_of(seen: Sequence[Iteration], layers: int = 0) -> int | None:
    """Return by how much all times of each iteration differ from the one before; None where they do not agree.

    Where iterations are blocks of a network, each is so many `layers` behind the one before.
    """
    period = _shift_between(seen[-2], seen[-1], layers)  # the newest pair differs first where nothing has settled
    if period is None or any(_shift_between(a, b, layers) != period for a, b in pairwise(seen)):
        return None
    return period


def _shift_between(earlier: Iteration, later: Iteration, layers: int) -> int | None:
    """Return by how much all times of two iterations differ; None where these, or what was booked, differ otherwise."""
    if len(earlier.jobs) != len(later.jobs) or not later.jobs or len(earlier.skipped) != len(later.skipped):
        return None
    for (unit, layer, cause, amount), skipped in zip(earlier.skipped, later.skipped, strict=True):
        if skipped != (unit, layer + layers, cause, amount):
            return None
    shift = later.jobs[0].start + later.jobs[0].shift - earlier.jobs[0].start - earlier.jobs[0].shift
    for a, b in zip(earlier.jobs, later.jobs, strict=True):
        by = shift + a.shift - b.shift
        moved = (b.start - a.start, b.end - a.end, b.released.time - a.released.time)
        if b.step is not a.step or moved != (by, by, by) or a.booked != b.booked:
            return None
    return shift


def book_skipped(units: Mapping[str, Unit], last: Iteration, times: int, shift: int, period: int) -> None:
    """Book `times` more iterations like `last` on its units, and in the loops around it.

    What follows on these units is moved by `period` an iteration once jobs with `shift` come.
    """
    booked = [(j.unit, j.layer - back, cause, n) for j in last.jobs for cause, n, back in j.booked] + last.skipped
    worked = [(j.unit, j.work) for j in last.jobs] + last.worked
    booked = [(unit, layer, cause, amount * times) for unit, layer, cause, amount in booked]
    worked = [(unit, work * times) for unit, work in worked]
    for unit, layer, cause, amount in booked:
        units[unit].ledger.add(layer, cause, amount)
    for unit, work in worked:
        units[unit].ledger.work += work
    for name in {job.unit for job in last.jobs}:
        units[name].jumps.append((shift, period * times))
    for iteration in last.around:
        iteration.skipped += booked
        iteration.worked += worked
