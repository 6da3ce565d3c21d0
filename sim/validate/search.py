"""The values that predict best: every combination of steps, and quantities by descents and a search all over.

Values in steps (choices, register stages) are tried in every combination, and quantities fitted within each by bounded
least squares (SciPy, trust region reflective) from the best points of a coarse scan; where the combinations are too
many, differential evolution picks one. A mapping that changes with a quantity makes valleys of its own, so that the
best is sought once more all over (SciPy, DIRECT), and a small simplex ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from scipy import optimize
from scipy.stats import qmc

from sim.validate.objective import STEP, Objective, Point, Vector
from sim.validate.parameters import Parameter

MOST_RUNS = 3000
"""Evaluations of the whole network that a fit may take before it no longer tries every combination."""
SCAN = 32
"""Points of the coarse scan over the quantities; a power of two, as Sobol sequences want."""
POLISH = 40
"""Evaluations that a polished combination is reckoned to take beyond its scan."""
REFINED = 60
"""Evaluations, for each quantity, of the search all over that follows."""
VALLEYS, APART = 3, 0.05
"""Best points from which least squares go in the end, and what parts them, as a part of a quantity's range."""


def expected(parameters: Sequence[Parameter]) -> int:
    """Return about how many runs a search takes."""
    quantities = sum(p.continuous for p in parameters)
    return min(MOST_RUNS, combinations(parameters)[1]) + REFINED * quantities


def search(objective: Objective, seed: int) -> Point:
    """Return the best point found."""
    steps, runs = combinations(objective.parameters)
    tried: list[Point] = list(product(*steps)) if runs <= MOST_RUNS else [_evolve(objective, seed)]
    points = [_polish(objective, values, seed) for values in tried]
    best = min(points, key=lambda point: (objective.cost(point), _changes(objective, point)))
    return _refined(objective, best)


def _refined(objective: Objective, best: Point) -> Point:
    """Return the best point with the values in steps of `best`, its quantities sought in all of their ranges."""
    places = [i for i, p in enumerate(objective.parameters) if p.continuous]
    if not places or objective.cost(best) <= objective.floor:
        return best
    steps = tuple(value for i, value in enumerate(best) if i not in places)
    optimize.direct(
        lambda at: objective.cost(_join(objective, steps, at)), [(0.0, 1.0)] * len(places),
        maxfun=REFINED * len(places), locally_biased=True, vol_tol=0, len_tol=1e-4,
    )  # fmt: skip
    best = min((_descend(objective, steps, at) for at in _valleys(objective, steps, places)), key=objective.cost)
    return _settled(objective, steps, best, places)


def _settled(objective: Objective, steps: Point, best: Point, places: Sequence[int]) -> Point:
    """Return the best point that a small simplex finds from `best`: differences that cross a jump mislead descents."""
    start = np.array([objective.parameters[i].place(float(best[i])) for i in places])
    inward = np.where(start > 0.5, -STEP / 2, STEP / 2)
    corners = np.vstack([start, start + np.diag(inward)])
    limits = {"maxfev": POLISH * len(start), "xatol": 1e-4, "fatol": objective.floor / 10}
    done = optimize.minimize(
        lambda at: objective.cost(_join(objective, steps, at)), start, method="Nelder-Mead",
        bounds=[(0, 1)] * len(start), options={"initial_simplex": corners, **limits},
    )  # fmt: skip
    return min(best, _join(objective, steps, done.x), key=objective.cost)


def _valleys(objective: Objective, steps: Point, places: Sequence[int]) -> list[Vector]:
    """Return the best simulated places of the quantities, none near a better one."""
    quantities = [objective.parameters[i] for i in places]
    found: list[Vector] = []
    for point in sorted(objective.points.values(), key=objective.cost):
        at = np.array([p.place(float(point[i])) for p, i in zip(quantities, places, strict=True)])
        same = tuple(value for i, value in enumerate(point) if i not in places) == steps
        if same and all(np.max(np.abs(at - other)) > APART for other in found):
            found.append(at)
        if len(found) == VALLEYS:
            break
    return found


def combinations(parameters: Sequence[Parameter]) -> tuple[list[tuple[Any, ...]], int]:
    """Return the values of the parameters in steps, and the runs that all their combinations take."""
    steps = [p.values for p in parameters if not p.continuous]
    return steps, prod(map(len, steps)) * (1 if len(steps) == len(parameters) else SCAN + POLISH)


def _changes(objective: Objective, point: Point) -> int:
    """Return how many values in steps differ from those in the file: of points that fit alike, the nearest is taken."""
    return sum(not p.continuous and v != p.start for p, v in zip(objective.parameters, point, strict=True))


def _join(objective: Objective, steps: Point, places: Sequence[float] | Vector) -> Point:
    """Return the point of values in steps and places of quantities, in the order of the parameters."""
    left, right = iter(steps), iter(places)
    return tuple(p.at(float(next(right))) if p.continuous else next(left) for p in objective.parameters)


def _polish(objective: Objective, steps: Point, seed: int) -> Point:
    """Return the best point with these values in steps."""
    quantities = [p for p in objective.parameters if p.continuous]
    if not quantities:
        return _join(objective, steps, ())
    scan = np.linspace(0, 1, SCAN)[:, None]
    if len(quantities) > 1:
        scan = qmc.Sobol(len(quantities), seed=seed).random(SCAN)
    own = [p.place(float(p.start)) if isinstance(p.start, int | float) else 0.5 for p in quantities]
    starts = sorted([*map(tuple, scan), tuple(own)], key=lambda x: objective.cost(_join(objective, steps, x)))[:2]
    return min((_descend(objective, steps, x) for x in starts), key=objective.cost)


def _descend(objective: Objective, steps: Point, start: Sequence[float] | Vector) -> Point:
    """Return the better of a start and where least squares go from it, quantities by their places."""
    done = optimize.least_squares(
        lambda place: objective(_join(objective, steps, place)), np.clip(start, 1e-6, 1 - 1e-6), bounds=(0, 1),
        diff_step=STEP, xtol=1e-5, ftol=1e-9, max_nfev=POLISH,
    )  # fmt: skip
    return min(_join(objective, steps, start), _join(objective, steps, done.x), key=objective.cost)


def _evolve(objective: Objective, seed: int) -> Point:
    """Return the values in steps of the best point that differential evolution finds."""
    parameters = objective.parameters

    def point(x: Vector) -> Point:
        return tuple(p.at(float(v)) if p.continuous else p.values[round(float(v))]
                     for p, v in zip(parameters, x, strict=True))  # fmt: skip

    ends = [(0.0, 1.0) if p.continuous else (0.0, float(len(p.values) - 1)) for p in parameters]
    population = 10
    done = optimize.differential_evolution(
        lambda x: objective.cost(point(x)), ends, integrality=[not p.continuous for p in parameters], seed=seed,
        popsize=population, maxiter=max(5, MOST_RUNS // (population * len(parameters)) - 1), tol=1e-8, polish=False,
    )  # fmt: skip
    return tuple(v for p, v in zip(parameters, point(done.x), strict=True) if not p.continuous)
