"""Families of chips: how a network runs on a chip that a kind of unit makes something else than arrays and lanes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.arch import Arch
from sim.graph import Graph
from sim.layers import Lowered
from sim.registry import Registry
from sim.result import Result


@dataclass(frozen=True)
class Request:
    """One run: the lowered network (only the layers that were picked), and what a result must repeat.

    `record`: keep who did what when, where the family can.
    """

    chip: Arch
    graph: Graph
    lowered: Lowered
    missing: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]
    progress: Callable[[int, int, str], None] | None = None
    record: bool = False


FAMILIES: Registry[Callable[[Request], Result]] = Registry("family of chips", "sim.families")
"""Kind of unit to what runs a network on a chip that has one, "several" for a chip of several families; a chip without
any is one of arrays and lanes."""


def family_of(chip: Arch) -> Callable[[Request], Result] | None:
    """Return what runs a network on `chip`, None for a chip of arrays and lanes.

    Families are looked for only where a chip has one: they bring a part of the package with them.
    """
    if chip.families <= {"array"}:
        return None
    if len(chip.families) > 1:
        return FAMILIES["several"]
    return next((FAMILIES[unit.kind] for unit in chip.units.values() if unit.kind in FAMILIES), None)
