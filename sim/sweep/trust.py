"""How far simple counts can be trusted: their rank correlation with simulated cycles and energy over networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import library
from sim.errors import ConfigError, Problem
from sim.graph import Graph
from sim.kernel import Contraction
from sim.report.table import Column, table
from sim.simulate import open_both, simulate

_BETA_GAMMA = {1: (0.02, 0.99)}
_BETA_GAMMA_WIDE = (0.001, 0.56)
"""Parameters of α-FLOPs for kernels of 1x1 and for wider ones, fitted to a GPU (Asperti, Evangelista and Marzolla,
Dissecting FLOPs along input dimensions for GreenAI cost estimations, LOD 2021, arXiv:2107.11949; the form is re-read,
the four numbers are recalled)."""


@dataclass(frozen=True)
class Trust:
    """Each count to its Spearman rank correlation with cycles and with energy, and what was counted and simulated."""

    with_cycles: dict[str, float]
    with_energy: dict[str, float]
    networks: tuple[str, ...]
    counts: dict[str, tuple[float, ...]]
    cycles: tuple[int, ...]
    energy_pj: tuple[float, ...]

    def table(self, width: int = 100) -> str:
        """Return both correlations of each count as text, the most telling of cycles first."""
        order = sorted(self.with_cycles, key=lambda name: -abs(self.with_cycles[name]))
        lines = [[name, f"{self.with_cycles[name]:+.2f}", f"{self.with_energy[name]:+.2f}"] for name in order]
        columns = [Column(f"over {len(self.networks)} networks", right=False), Column("cycles"), Column("energy")]
        return table(columns, lines, width)


def correlate(
    arch: str, workloads: Sequence[str] | None = None, overrides: Mapping[str, Any] | None = None,
    weight_share: float = 0.8,
) -> Trust:  # fmt: skip
    """Return how well counts rank the networks that `arch` simulates: `workloads`, or all of the library.

    Counts: MACs, activations (elements of all outputs), arithmetic intensity (MACs an element of weights and
    activations, each once), the same with weights counted `weight_share` and activations 1 - `weight_share` (Jha
    and Mittal, Modeling data reuse in deep neural networks by taking data-types into cognizance, IEEE TC 2020,
    arXiv:2008.02565, weigh data types unequally; the share is the caller's), α-FLOPs. More intensity should cost
    less, so that its correlation is expected to be negative. Raises ConfigError for fewer than 3 networks.
    """
    workloads = sorted(library.names("workload")) if workloads is None else workloads
    if len(workloads) < 3:
        raise ConfigError(Problem(f"a rank correlation needs at least 3 workloads, not {len(workloads)}"))
    counters = _counters(weight_share)
    counts: dict[str, list[float]] = {name: [] for name in counters}
    cycles, energy, names = list[int](), list[float](), list[str]()
    for workload in workloads:
        chip, graph, digests = open_both(arch, workload, overrides or {})
        result = simulate(chip, graph, digests)
        names.append(graph.name)
        cycles.append(result.cycles)
        energy.append(result.energy_pj["total"])
        for name, count in counters.items():
            counts[name].append(count(graph))
    return Trust(
        {name: spearman(values, cycles) for name, values in counts.items()},
        {name: spearman(values, energy) for name, values in counts.items()},
        tuple(names), {name: tuple(values) for name, values in counts.items()}, tuple(cycles), tuple(energy),
    )  # fmt: skip


def _counters(weight_share: float) -> dict[str, Callable[[Graph], float]]:
    return {
        "MACs": lambda graph: float(graph.macs),
        "activations": activations,
        "arithmetic intensity": lambda graph: graph.macs / (graph.parameters + activations(graph)),
        "weighted intensity": lambda graph: (
            graph.macs / (weight_share * graph.parameters + (1 - weight_share) * activations(graph))
        ),
        "alpha-FLOPs": alpha_flops,
    }


def activations(graph: Graph) -> float:
    """Return the elements of the outputs of all layers that do work."""
    return float(sum(prod(shape) for node in graph.nodes if node.kernels for shape in node.output_shapes))


def alpha_flops(graph: Graph) -> float:
    """Return the α-FLOPs of the products: 2 MACs times ((1 + β (S - 1)) / S)^γ, S the output positions of an image."""
    total = 0.0
    for node in graph.nodes:
        for kernel in node.kernels:
            if isinstance(kernel, Contraction):
                size, taps = max(1, kernel.positions), max((axis.kernel for axis in kernel.axes), default=1)
                beta, gamma = _BETA_GAMMA.get(taps, _BETA_GAMMA_WIDE)
                total += 2 * kernel.macs * ((1 + beta * (size - 1)) / size) ** gamma
    return total


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation, equal values sharing their mean rank; 0 where one does not vary."""
    a, b = ranks(one), ranks(other)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the rank of each value from 1, equal ones at the mean of theirs."""
    data = np.asarray(values, dtype=float)
    less, equal = (data[:, None] > data).sum(axis=1), (data[:, None] == data).sum(axis=1)
    return np.asarray(less + (equal + 1) / 2)
