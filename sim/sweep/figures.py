"""The figures of a design: what a result says in numbers, the mean over networks, and the objectives among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sim.errors import unknown
from sim.result import Result

Figures = dict[str, float]

SHORT = {"energy": "energy_pj", "area": "area_mm2", "latency": "seconds", "time": "seconds", "EDP": "edp"}
"""Other words for a figure."""

OWN = ("energy_pj", "edp", "area_mm2")
"""Figures that a sweep adds: energy in total in pJ, energy times time in J s, area in mm2."""

_TEXT = {"layers", "not_modelled", "provenance", "schema", "arch", "workload", "convention"}
_ENDS = {"seconds": "time", "_pj": "energy", "_mm2": "area", "_bytes": "size", "_hz": "frequency"}
"""How the names of figures with a unit end, and what they are figures of."""
_NUMBERS = [field.name for field in fields(Result) if field.name not in _TEXT]
"""Fields of a result in which there are numbers."""


@dataclass(frozen=True)
class Objective:
    """A figure to be as small as it can be, or (`sign` -1) as large."""

    figure: str
    sign: int = 1
    title: str = ""

    def cost(self, figures: Mapping[str, float]) -> float:
        """Return the figure so that less is better."""
        return self.sign * figures[self.figure]


def objective(text: str) -> Objective:
    """Return the Objective that a text such as 'cycles' or 'max utilization' means; ValueError where it is none."""
    goal, _, name = text.strip().rpartition(" ")
    if goal not in ("", "min", "max"):
        raise ValueError(f"'{text}' is no objective; write a figure, or 'max' before it")
    figure = SHORT.get(name, name)
    if not is_figure(figure):
        raise ValueError(unknown("figure", name, [*_NUMBERS, *OWN, *SHORT]))
    return Objective(figure, -1 if goal == "max" else 1, text.strip())


def is_figure(name: str) -> bool:
    """Return whether a result may have a figure of that name."""
    plain = SHORT.get(name, name)
    return plain in OWN or plain.split(".")[0] in _NUMBERS


def figure_kinds(name: str) -> frozenset[str]:
    """Return what a figure is compared with: plain numbers, which are of its unit, and quantities where it has one."""
    parts = SHORT.get(name, name).split(".")
    return frozenset({""} | {kind for end, kind in _ENDS.items() for part in parts if part.endswith(end)})


def figures_of(result: Result, area_mm2: float | None) -> Figures:
    """Return every number of a result by dotted name, layers left out, with energy in total, EDP and area."""
    found: Figures = {}
    _walk({name: getattr(result, name) for name in _NUMBERS}, "", found)
    found["energy_pj"] = result.energy_pj["total"]
    found["edp"] = found["energy_pj"] * 1e-12 * result.seconds
    if area_mm2 is not None:
        found["area_mm2"] = area_mm2
    return found


def _walk(data: Mapping[str, Any], prefix: str, found: Figures) -> None:
    for key, value in data.items():
        if isinstance(value, Mapping):
            _walk(value, f"{prefix}{key}.", found)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = value


def mean(parts: Sequence[tuple[float, Figures]]) -> Figures:
    """Return the mean of each figure by weight; EDP is that of mean energy and mean time.

    A figure that a part lacks counts as 0. One part is returned as it is, so that whole numbers stay whole.
    """
    if len(parts) == 1:
        return parts[0][1]
    total = sum(weight for weight, _ in parts)
    names = dict.fromkeys(name for _, figures in parts for name in figures)
    found = {name: sum(w * f.get(name, 0.0) for w, f in parts) / total for name in names}
    found["edp"] = found["energy_pj"] * 1e-12 * found["seconds"]
    return found
