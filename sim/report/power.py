"""Power over time: the energy of every layer's actions, where the units that did them were at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from sim.report.windows import edges_of, mixes
from sim.result import Result
from sim.timeline import REPEATS, Ledger

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """Watts of each component in windows of equal length; `edges` are those of the windows, in cycles."""

    edges: Vector
    watts: dict[str, Vector]

    @property
    def total(self) -> Vector:
        """Watts of all components together."""
        return np.sum([*self.watts.values()], axis=0) if self.watts else np.zeros(len(self.edges) - 1)

    @property
    def peak(self) -> float:
        """The most watts of a window."""
        return float(self.total.max(initial=0.0))

    @property
    def average(self) -> float:
        """Watts over the whole run."""
        return float(self.total.mean()) if len(self.total) else 0.0


def power(result: Result, windows: int = 200) -> Power | None:
    """Return the power of a recorded run in up to `windows` windows.

    None where nothing was recorded, or no layer says what its components took.

    What a layer's actions took in a unit is spread over the cycles in which the unit works on the layer, in a buffer
    over those of all units. What belongs to no layer (leakage, refresh, standby) is spread over the whole run. So the
    windows add up to the energy of the result.
    """
    if result.timeline is None or not result.cycles or not any(layer.energy_by_component for layer in result.layers):
        return None
    edges = edges_of(result.cycles, windows)
    seconds = (edges[1] - edges[0]) / result.clock_hz
    busy = {name: _Busy(ledger, len(result.layers)) for name, ledger in result.timeline.ledgers.items()}
    found = {}
    for component, whole in result.energy_pj["by_component"].items():
        mine = np.array([layer.energy_by_component.get(component, 0.0) for layer in result.layers])
        units = [busy[component]] if component in busy else [*busy.values()]
        spread, placed = _spread(mine, units, edges)
        rest = whole - fsum(mine[placed])
        found[component] = (spread + rest / (len(edges) - 1)) * 1e-12 / seconds
    return Power(edges, found)


class _Busy:
    """When a unit works: its slices with the share of them that is work, and how much work each layer is."""

    def __init__(self, ledger: Ledger, layers: int) -> None:
        slices, mix = ledger.slices or [], mixes(ledger)
        self.ends = np.array([0, *(end for _, end, _, _ in slices)], float)
        self.layer = np.array([layer if layer < layers else -1 for _, _, layer, _ in slices], int)
        shares = [mix[layer].get("compute", 0.0) if cause == REPEATS else float(cause == "compute")
                  for _, _, layer, cause in slices]  # fmt: skip
        self.work = np.diff(self.ends) * np.array(shares, float)
        inside = self.layer >= 0
        self.by_layer = np.bincount(self.layer[inside], self.work[inside], minlength=layers)


def _spread(energy: Vector, units: Sequence[_Busy], edges: Vector) -> tuple[Vector, NDArray[np.bool_]]:
    """Return the energy in each window, and which layers had work to spread theirs over."""
    work = np.sum([unit.by_layer for unit in units], axis=0)
    placed = work > 0
    rate = np.divide(energy, work, out=np.zeros_like(energy), where=placed)
    total = np.zeros(len(edges) - 1)
    for unit in units:
        spent = unit.work * np.where(unit.layer >= 0, rate[unit.layer], 0.0)
        total += np.diff(np.interp(edges, unit.ends, np.cumsum([0.0, *spent])))
    return total, placed

