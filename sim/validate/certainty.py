"""How sure fitted values are, and what the measurements cannot tell.

Intervals: what predicts no worse than a 95 % confidence region (Beale, J. Royal Statistical Society B 22, 1960, eq.
2.6) or half a cycle a layer, among all that was simulated; of quantities at least what the curvature at the optimum
says (linearised, Student's t).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sim.validate.objective import STEP, Objective, Point, Vector

COLLINEAR = 30.0
"""Condition index from which parameters count as one (Belsley, Kuh and Welsch, Regression Diagnostics, 1980)."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Fitted:
    """A parameter with its value, and the values that fit as well: an interval (ends in it), or the choices."""

    key: str
    start: Any
    value: Any
    low: Any
    high: Any
    choices: tuple[Any, ...] = ()
    sure: bool = True


def intervals(objective: Objective, best: Point) -> tuple[list[Fitted], list[str]]:
    """Return each parameter with what fits as well, and warnings of what cannot be told apart."""
    alike = _region(objective, best)
    spans, warnings = _curvature(objective, best)
    found = []
    for index, (parameter, value) in enumerate(zip(objective.parameters, best, strict=True)):
        if parameter.continuous:
            low, high, sure = spans[parameter.key]
            seen = [point[index] for point in alike]
            low, high = min(low, *seen), max(high, *seen)
            found.append(Fitted(parameter.key, parameter.start, value, low, high, sure=sure))
            continue
        there = {point[index] for point in alike}
        choices = tuple(v for v in parameter.values if v in there)
        found.append(Fitted(parameter.key, parameter.start, value, choices[0], choices[-1], choices, len(choices) == 1))
    return found, [*_ambiguous(objective, best, alike), *warnings]


def _region(objective: Objective, best: Point) -> list[Point]:
    """Return the simulated points that fit as well as the best, the best first."""
    rows, unknowns = int(objective.used.sum()), len(objective.parameters)
    least, free = objective.cost(best), rows - unknowns
    factor = 1 + unknowns / free * float(stats.f.ppf(CONFIDENCE, unknowns, free)) if free > 0 else 1.0
    limit = least * factor + objective.floor
    others = [p for p in objective.points.values() if p != best and objective.cost(p) <= limit]
    return [best, *sorted(others, key=objective.cost)]


def _ambiguous(objective: Objective, best: Point, alike: list[Point]) -> list[str]:
    """Return a warning where combinations of values in steps fit as well as the best one."""
    places = [i for i, p in enumerate(objective.parameters) if not p.continuous]
    others = list(dict.fromkeys(tuple(point[i] for i in places) for point in alike))[1:]
    if not others:
        return []
    loose = [i for j, i in enumerate(places) if any(other[j] != best[i] for other in others)]
    keys = " and ".join(objective.parameters[i].key for i in loose)
    shown = [
        ", ".join(f"{objective.parameters[i].key.rpartition('.')[2]}={objective.parameters[i].shown(v)}"
                  for i, v in zip(places, other, strict=True) if i in loose)
        for other in others[:3]
    ]  # fmt: skip
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return [f"the measurements do not tell {keys} for sure; as good: {'; '.join(shown)}{more}"]


def _curvature(objective: Objective, best: Point) -> tuple[dict[str, tuple[float, float, bool]], list[str]]:
    """Return the interval of each quantity and whether it is sure, and warnings of what cannot be told apart."""
    quantities = [i for i, p in enumerate(objective.parameters) if p.continuous]
    if not quantities:
        return {}, []
    slopes = np.stack([_slope(objective, best, i) for i in quantities], axis=1)
    parameters = [objective.parameters[i] for i in quantities]
    size = np.linalg.norm(slopes, axis=0)
    blind = size < np.sqrt(objective.floor)
    tied = _collinear(slopes, blind)
    loose = blind | tied
    warnings = [f"no fitted layer depends on {parameters[i].key} near this value" for i in np.flatnonzero(blind)]
    if tied.any():
        keys = " and ".join(parameters[i].key for i in np.flatnonzero(tied))
        warnings.append(f"{keys} cannot be told apart: changing them together changes no layer much")
    free = max(1, len(slopes) - len(objective.parameters))
    variance = max(objective.cost(best), objective.floor) / free
    deviation = np.sqrt(np.diag(np.linalg.pinv(slopes.T @ slopes)) * variance)
    spread = deviation * float(stats.t.ppf((1 + CONFIDENCE) / 2, free))
    spans = {}
    for parameter, i, width, unsure in zip(parameters, quantities, spread, loose, strict=True):
        place = parameter.place(float(best[i]))
        ends = (0.0, 1.0) if unsure else (max(0.0, place - width), min(1.0, place + width))
        spans[parameter.key] = (parameter.at(ends[0]), parameter.at(ends[1]), not unsure)
    return spans, warnings


def _slope(objective: Objective, best: Point, index: int) -> Vector:
    """Return the change of the errors with the place of one quantity: of each row on the side where it changes less.

    So a jump within a step, on one side, does not make a quantity look surer than it is.
    """
    parameter = objective.parameters[index]
    place = parameter.place(float(best[index]))
    sides = [at for at in (place - STEP, place + STEP) if 0 <= at <= 1]
    here = objective(best)
    slopes = np.array([
        (objective((*best[:index], parameter.at(at), *best[index + 1 :])) - here) / (at - place) for at in sides
    ])  # fmt: skip
    least = np.argmin(np.abs(slopes), axis=0)
    return np.asarray(slopes[least, np.arange(slopes.shape[1])])


def _collinear(slopes: Vector, blind: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which quantities take part in a near dependency of their effects."""
    part = np.zeros(len(blind), bool)
    seen = np.flatnonzero(~blind)
    if len(seen) < 2:
        return part
    scaled = slopes[:, seen] / np.linalg.norm(slopes[:, seen], axis=0)
    _, values, directions = np.linalg.svd(scaled, full_matrices=False)
    for value, direction in zip(values, directions, strict=True):
        if values[0] > COLLINEAR * value:
            part[seen[np.abs(direction) > 0.3]] = True
    return part
