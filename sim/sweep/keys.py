"""What the keys of a sweep mean: a place in the chip's file, or a setting of the networks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim import arch as arch_module
from sim.errors import ConfigError, Problem, nearest
from sim.sweep.dimensions import PLAIN, TEXT, Kinds
from sim.workload import open_workload
from sim.yamlfile import Document, Path_, dotted


@dataclass(frozen=True)
class Target:
    """Where a key points to: a path in the chip's document, or (no path) a setting of the networks."""

    key: str
    path: Path_ = ()

    @property
    def of_chip(self) -> bool:
        """Whether it is a key of the chip."""
        return bool(self.path)


@dataclass(frozen=True)
class Subject:
    """What a sweep is about: the chip's document, and the networks by name."""

    chip: Document
    workloads: tuple[str, ...]

    def target(self, key: str) -> Target:
        """Return what `key` means; ValueError where it means nothing, or more than one thing."""
        setting = key.removeprefix("workload.")
        if not key.startswith(("workload.", "params.", "layers.")):
            found = arch_module.resolve(self.chip, key)
            if len(found) > 1:
                raise ValueError(f"could be {' or '.join(map(dotted, found))}; write it out")
            if found:
                return Target(key, found[0])
        if setting.startswith("layers.") or setting.removeprefix("params.") in self.params():
            return Target(setting)
        guess = nearest(key, [*self.params(), *arch_module.keys(self.chip)])
        hint = f"; did you mean '{guess}'?" if guess else ""
        name = self.chip.data.get("name")
        raise ValueError(f"neither chip '{name}' nor the networks have a key '{key}'{hint}")

    def params(self) -> dict[str, Any]:
        """Return the params that all networks have, with the values of the first."""
        graphs = [open_workload(name) for name in self.workloads]
        return {k: v for k, v in graphs[0].params.items() if all(k in graph.params for graph in graphs)}

    def kinds(self, target: Target) -> Kinds:
        """Return what a key takes: a quantity of some dimension, a plain number or text; None where it takes others."""
        value: Any = self.params().get(target.key.removeprefix("params."))
        if target.of_chip:
            told = " ".join(self.problems_of(target, 7))
            wanted = re.search(r"(\w+) 7 needs a unit", told)  # the words of sim.units
            if wanted is not None:
                return frozenset({wanted[1]})
            value = arch_module.build(self.chip).model_dump()
            for key in target.path:
                value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str):
            return TEXT
        return PLAIN if isinstance(value, int | float) and not isinstance(value, bool) else None

    def problems_of(self, target: Target, value: Any) -> list[str]:
        """Return what is wrong with a value by itself, whatever the other axes have."""
        try:
            if target.of_chip:
                arch_module.build(self.chip.with_override(target.path, value))
            else:
                for name in self.workloads:
                    open_workload(name, {target.key: value})
        except ConfigError as error:
            return [p.message for p in error.problems if not target.of_chip or _meant(p, target)]
        return []

    def settings(self, targets: Sequence[tuple[Target, Any]]) -> tuple[Document, dict[str, Any]]:
        """Return the chip's document and the networks' settings with each target at its value."""
        chip, settings = self.chip, dict[str, Any]()
        for target, value in targets:
            if target.of_chip:
                chip = chip.with_override(target.path, value)
            else:
                settings[target.key] = value
        return chip, settings


def _meant(problem: Problem, target: Target) -> bool:
    """Return whether a problem of the chip's schema is about the target itself, not about how values go together."""
    return problem.key == dotted(target.path)
