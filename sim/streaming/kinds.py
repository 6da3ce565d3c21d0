"""What every kind of unit shares in a graph's file, and the table of the kinds (one file each in `units/`)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sim.registry import Registry
from sim.streaming.formula import Formulas
from sim.streaming.graph import Unit
from sim.streaming.patterns import Ports, When, phases, ports
from sim.yamlfile import Strict

MOST_STEPS = 10**7
"""Bursts, passes or windows of a unit that are listed one by one: some gigabytes."""


class UnitFile(Strict):
    """A unit as its file says it."""

    kind: str
    latency: int = Field(1, ge=0, description="cycles from a firing's inputs to its outputs")

    def build(self, name: str) -> Unit:
        """Return the unit; ValueError, in the user's words, where its keys do not fit together."""
        raise NotImplementedError


class Patterned(UnitFile):
    """A unit that does the same in every group of firings, whatever the values are.

    `compute` says what it pushes, an expression over what it has popped (`sim.streaming.formula`), one for all
    channels or one for each; `state` holds values from firing to firing, set to these at the start of each group,
    and `update` what they become before anything is pushed (`prev_x` is x as it was).
    """

    firings: int = Field(ge=1, description="how often it fires in the whole run")
    group: int = Field(1, ge=1, description="firings over which its patterns repeat")
    interval: int = Field(1, ge=0, description="least cycles from a firing to the next")
    pop: Ports = {}
    push: Ports = {}
    compute: str | dict[str, str] = ""
    state: dict[str, str | int | float] = {}
    update: dict[str, str] = {}

    pops: ClassVar[tuple[int, int | None]] = (1, None)
    pushes: ClassVar[tuple[int, int | None]] = (1, None)
    pop_when: ClassVar[When] = "each"
    push_when: ClassVar[When] = "each"

    def build(self, name: str) -> Unit:
        """Return the unit; ValueError where its patterns, its firings or its ports do not fit together."""
        if self.firings % self.group:
            raise ValueError(f"{self.firings} firings are no whole number of groups of {self.group}")
        pops, pushes = ports(self.pop, self.pop_when), ports(self.push, self.push_when)
        _few_or_many("pop", len(pops), *self.pops)
        _few_or_many("push", len(pushes), *self.pushes)
        made = phases(pops, pushes, self.group, self.interval)
        behaviour = self.formulas(tuple(pops), tuple(pushes))
        return Unit(name, self.kind, made, self.firings // self.group, self.latency, behaviour=behaviour)

    def formulas(self, pops: tuple[str, ...], pushes: tuple[str, ...]) -> Formulas | None:
        """Return how it computes its values, None where nothing says so."""
        if not pushes:
            return None
        compute = self.compute or (pops[0] if len(pops) == 1 and not self.state else "")
        if not compute:
            return None
        each = compute if isinstance(compute, dict) else dict.fromkeys(pushes, compute)
        return Formulas.of(each, pushes, pops, self.state, self.update)


def limited(what: str, count: int) -> None:
    """Make sure that a unit's list of `what` can be held; ValueError where it is too long."""
    if count > MOST_STEPS:
        raise ValueError(f"{count:,} {what} are more than can be held; at most {MOST_STEPS:,}")


def _few_or_many(what: str, count: int, least: int, most: int | None) -> None:
    if count < least or (most is not None and count > most):
        wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"at most {most}"
        raise ValueError(f"a unit of this kind has {wanted} channels to {what}, not {count}")


UNITS: Registry[type[UnitFile]] = Registry("unit kind", "sim.streaming.units")
"""Each kind of unit by its name in files."""
