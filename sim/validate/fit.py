"""Parameters of a chip from measurements: the values that predict best, how sure they are, and what cannot be told.

Errors are relative. `search` finds the values, `certainty` says how sure they are; some layers are held out of the fit
to judge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError, Problem
from sim.validate.certainty import Fitted, intervals
from sim.validate.objective import HOPELESS, Objective, Predict, Progress, Vector
from sim.validate.parameters import Parameter
from sim.validate.search import expected, search


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
    objective = Objective(parameters, predict, cycles, used, progress, expected(parameters))
    best = search(objective, seed)
    if objective.cost(best) >= HOPELESS:
        raise ConfigError(Problem("no values in these ranges give a chip that can run the network", "--fit"))
    errors, before = objective.all_errors(best), (np.asarray(start, float) - cycles) / cycles
    found, warnings = intervals(objective, best)
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
