"""Parameters of a chip from measurements: the values that predict best, how sure they are, and what cannot be told.

Errors are relative. Values in steps (choices, register stages) are tried in every combination, and quantities fitted
within each by bounded least squares (SciPy, trust region reflective) from the best points of a coarse scan; where
the combinations are too many, differential evolution picks one. A mapping that changes with a quantity makes valleys
of its own, so that the best is sought once more all over (SciPy, DIRECT). Some layers are held out of the fit to
judge it.

Intervals: what predicts no worse than a 95 % confidence region (Beale, J. Royal Statistical Society B 22, 1960, eq.
2.6) or half a cycle a layer, among all that was simulated; of quantities at least what the curvature at the optimum
says (linearised, Student's t).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.stats import qmc

from sim.errors import ConfigError, MappingError, Problem
from sim.validate.parameters import Parameter

Vector = NDArray[np.float64]
Point = tuple[Any, ...]
"""A value for each parameter."""

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
STEP = 0.02
"""Step of finite differences as a part of a quantity's range: wide enough to cross the whole cycles of a layer."""
COLLINEAR = 30.0
"""Condition index from which parameters count as one (Belsley, Kuh and Welsch, Regression Diagnostics, 1980)."""
CONFIDENCE = 0.95
HOPELESS = 1e3
"""The relative error of a chip that cannot run the network."""

Progress = Callable[[int, int, str], None]

Predict = Callable[[Mapping[str, Any]], Sequence[float]]
"""Settings by dotted key to the predicted cycles of the measured rows."""


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


@dataclass(frozen=True)
class Fit:
    """The outcome: errors are MAPE in percent, before and after, of the layers that were fitted and held out."""

    parameters: tuple[Fitted, ...]
    settings: dict[str, Any]
    fitted_layers: tuple[str, ...]
    held_out_layers: tuple[str, ...]
    fitted_mape: tuple[float, float]
    held_out_mape: tuple[float, float] | None
    warnings: tuple[str, ...]
    runs: int


class Objective:
    """Relative errors of the rows by point, each point simulated once."""

    def __init__(
        self, parameters: Sequence[Parameter], predict: Predict, measured: Vector, used: NDArray[np.bool_],
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.parameters, self.predict, self.measured, self.used = parameters, predict, measured, used
        self.progress = progress
        quantities = sum(p.continuous for p in parameters)
        self.expected = min(MOST_RUNS, _combinations(parameters)[1]) + REFINED * quantities
        self.errors: dict[tuple[Any, ...], Vector] = {}
        self.points: dict[tuple[Any, ...], Point] = {}

    def settings(self, point: Point) -> dict[str, Any]:
        """Return the settings that a point stands for."""
        return {p.key: p.written(value) for p, value in zip(self.parameters, point, strict=True)}

    def all_errors(self, point: Point) -> Vector:
        """Return the relative error of every row."""
        settings = self.settings(point)
        key = tuple(settings.values())
        if key not in self.errors:
            if self.progress:
                self.progress(min(len(self.errors), self.expected), self.expected, "fit")
            try:
                predicted = np.asarray(self.predict(settings), float)
                self.errors[key] = (predicted - self.measured) / self.measured
            except MappingError:
                self.errors[key] = np.full(self.measured.shape, HOPELESS)
            self.points[key] = point
        return self.errors[key]

    def __call__(self, point: Point) -> Vector:
        """Return the relative errors of the rows that are fitted."""
        return self.all_errors(point)[self.used]

    def cost(self, point: Point) -> float:
        """Return the sum of squared relative errors of the rows that are fitted."""
        return float(np.sum(self(point) ** 2))

    @property
    def floor(self) -> float:
        """The cost of half a cycle in every row: what no measurement in whole cycles resolves."""
        return float(np.sum((0.5 / self.measured[self.used]) ** 2))


def fit(
    parameters: Sequence[Parameter], names: Sequence[str], measured: Sequence[float], predict: Predict,
    start: Sequence[float], held_out: float = 0.25, seed: int = 0, progress: Progress | None = None,
) -> Fit:  # fmt: skip
    """Return the values of `parameters` that predict `measured` best.

    `start` are the predictions before. A share `held_out` of the rows is kept aside, where there are five or more.
    ConfigError where there is nothing to fit to.
    """
    if not len(measured):
        raise ConfigError(Problem("needs measured layers; the measurements match none", "--fit"))
    cycles = np.asarray(measured, float)
    used = _split(len(cycles), held_out, seed)
    objective = Objective(parameters, predict, cycles, used, progress)
    best = _search(objective, seed)
    if objective.cost(best) >= HOPELESS:
        raise ConfigError(Problem("no values in these ranges give a chip that can run the network", "--fit"))
    errors, before = objective.all_errors(best), (np.asarray(start, float) - cycles) / cycles
    found, warnings = _intervals(objective, best)
    if int(used.sum()) <= len(parameters):
        warnings.append(f"{int(used.sum())} layers are too few to tell {len(parameters)} parameters apart")
    return Fit(
        parameters=tuple(found), settings=objective.settings(best),
        fitted_layers=tuple(n for n, u in zip(names, used, strict=True) if u),
        held_out_layers=tuple(n for n, u in zip(names, used, strict=True) if not u),
        fitted_mape=(_mape(before[used]), _mape(errors[used])),
        held_out_mape=None if used.all() else (_mape(before[~used]), _mape(errors[~used])),
        warnings=tuple(warnings), runs=len(objective.errors),
    )  # fmt: skip


def _mape(errors: Vector) -> float:
    return float(100 * np.mean(np.abs(errors)))


def _split(count: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Return which rows are fitted; fewer than five all are."""
    used = np.ones(count, bool)
    if count >= 5 and share > 0:
        aside = np.random.default_rng(seed).permutation(count)[: max(1, round(share * count))]
        used[aside] = False
    return used


def _search(objective: Objective, seed: int) -> Point:
    """Return the best point found."""
    steps, runs = _combinations(objective.parameters)
    if runs <= MOST_RUNS:
        combinations: list[Point] = list(product(*steps))
    else:
        combinations = [_evolve(objective, seed)]
    points = [_polish(objective, combination, seed) for combination in combinations]
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
    corners = np.clip([start, *(start + STEP / 2 * unit for unit in np.eye(len(places)))], 0, 1)
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


def _combinations(parameters: Sequence[Parameter]) -> tuple[list[tuple[Any, ...]], int]:
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


def _intervals(objective: Objective, best: Point) -> tuple[list[Fitted], list[str]]:
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
