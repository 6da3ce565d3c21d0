"""Action counts times costs, and leakage times time: the energy of a run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sim.energy.table import Cost
from sim.errors import ConfigError, Problem

Action = tuple[str, str]


@dataclass(frozen=True)
class Energy:
    """Energy in pJ, in total, by component, and by action ("component.action"), each sorted by name."""

    total_pj: float
    by_component: dict[str, float]
    by_action: dict[str, float]


def account(
    counts: Mapping[Action, float],
    costs: Mapping[Action, Cost],
    leakage_watts: Mapping[str, float],
    seconds: float,
) -> Energy:
    """Return the Energy of `counts` by (component, action) plus each component's leakage over `seconds`.

    Raises ConfigError for every count that has no cost: nothing is free by omission. The order of the
    mappings does not matter; sums are exactly rounded (fsum).
    """
    missing = sorted(key for key in counts if key not in costs)
    if missing:
        known = ", ".join(sorted(".".join(key) for key in costs)) or "none"
        raise ConfigError(*(
            Problem(f"{counts[key]:g} counted, but no energy is given for it; there is energy for: {known}",
                    key=".".join(key))
            for key in missing
        ))  # fmt: skip
    terms: dict[Action, list[float]] = defaultdict(list)
    for key, count in counts.items():
        terms[key].append(count * costs[key].pj)
    for component, watts in leakage_watts.items():
        terms[component, "leakage"].append(watts * seconds * 1e12)
    by_action = {key: math.fsum(terms[key]) for key in sorted(terms)}
    parts: dict[str, list[float]] = defaultdict(list)
    for (component, _), pj in by_action.items():
        parts[component].append(pj)
    return Energy(
        math.fsum(by_action.values()),
        {component: math.fsum(values) for component, values in parts.items()},
        {".".join(key): pj for key, pj in by_action.items()},
    )
