"""What each unit did over time: the cycles of every cause in windows of equal length."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from sim.timeline import CAUSES, REPEATS, Ledger

Vector = NDArray[np.float64]

MOST = 200
"""Windows of a run; fewer where it has fewer cycles."""


def edges_of(cycles: int, most: int = MOST) -> Vector:
    """Return the edges of windows of equal length from 0 to `cycles`."""
    return np.linspace(0.0, cycles, max(1, min(most, cycles)) + 1)


def by_window(ledger: Ledger, edges: Vector) -> dict[str, Vector]:
    """Return the cycles of each cause in each window; over all windows they are those of the ledger.

    Skipped iterations are taken apart by what the ledger has of their layer beyond its slices, spread evenly
    over them: inside a settled loop every iteration is like the others.
    """
    slices = ledger.slices or []
    ends = np.array([0, *(end for _, end, _, _ in slices)], float)
    mixes = _mixes(ledger)
    found = {}
    for cause in CAUSES:
        spent = [(end - start) * mixes[layer].get(cause, 0.0) if why == REPEATS else (end - start) * (why == cause)
                 for start, end, layer, why in slices]  # fmt: skip
        found[cause] = np.diff(np.interp(edges, ends, np.cumsum([0.0, *spent])))
    return found


def _mixes(ledger: Ledger) -> dict[int, dict[str, float]]:
    """Return for each layer the share of each cause in its skipped iterations."""
    hidden: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    length: dict[int, int] = defaultdict(int)
    for (layer, cause), cycles in ledger.cycles.items():
        hidden[layer][cause] += cycles
    for start, end, layer, cause in ledger.slices or ():
        if cause == REPEATS:
            length[layer] += end - start
        else:
            hidden[layer][cause] -= end - start
    return {layer: {cause: count / length[layer] for cause, count in hidden[layer].items()} for layer in length}
