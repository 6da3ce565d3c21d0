"""How much each axis of a sweep decides: the geometric mean of an objective at each of its values."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.sweep.axes import number
from sim.sweep.report import Report


@dataclass(frozen=True)
class Sensitivity:
    """One key: its values with the mean of each objective there, and the ratio of worst to best mean."""

    key: str
    values: tuple[Any, ...]
    means: tuple[tuple[float, ...], ...]
    """Geometric mean at each value, for each objective."""
    ratios: tuple[float, ...]
    best: Any
    worst: Any


def sensitivities(report: Report) -> list[Sensitivity]:
    """Return the Sensitivity of each key with more than one value, the most decisive for the first objective first.

    Means are over the points that are done; where a constraint or a bound leaves points out, values may meet
    different company. Figures of zero count as the smallest positive number.
    """
    logs = np.log(np.maximum(np.abs(report.costs()), np.finfo(float).tiny))
    done, found = report.done, []
    for key in report.rows[0].settings if report.rows else ():
        places: dict[Hashable, list[int]] = {}
        for place, row in enumerate(done):
            places.setdefault(_hashable(row.settings[key]), []).append(place)
        if len(places) > 1:
            values = sorted(places, key=order)
            means = np.exp([logs[places[value]].mean(axis=0) for value in values])
            found.append(_sensitivity(key, values, means, [o.sign for o in report.objectives]))
    return sorted(found, key=lambda entry: -entry.ratios[0])


def _sensitivity(key: str, values: list[Any], means: Any, signs: list[int]) -> Sensitivity:
    ratios = means.max(axis=0) / means.min(axis=0)
    best, worst = means[:, 0].argmin(), means[:, 0].argmax()
    if signs[0] < 0:
        best, worst = worst, best
    return Sensitivity(key, tuple(values), tuple(map(tuple, means.T.tolist())), tuple(ratios.tolist()),
                       values[best], values[worst])  # fmt: skip


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


def order(value: Any) -> tuple[bool, Any]:
    """Return what values are sorted by: numbers and quantities by amount, then words."""
    amount = number(value)
    return (False, amount) if isinstance(amount, int | float) else (True, str(amount))
