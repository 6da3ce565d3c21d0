"""The Pareto front: the designs that no other beats in one objective without losing in another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


def front(costs: Costs) -> list[int]:
    """Return the rows that no other row dominates (nowhere worse, somewhere better), in order of the first cost.

    `costs` has a row a design and a column an objective, less being better. Equal rows are all on the front.
    """
    if not len(costs):
        return []
    order = np.lexsort([np.arange(len(costs)), *costs.T[::-1]])
    kept: list[int] = []
    best = np.empty((0, costs.shape[1]))
    for row in order:
        if not dominated(costs[row], best):
            kept.append(int(row))
            best = np.vstack([best, costs[row]])
    return kept


def dominated(cost: Costs, by: Costs) -> bool:
    """Return whether a row of `by` is nowhere worse than `cost` and somewhere better."""
    return bool(((by <= cost).all(axis=1) & (by < cost).any(axis=1)).any())
