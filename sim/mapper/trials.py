"""What candidates took when the engine ran them, remembered for chips to come that differ in capacities alone.

A candidate alone takes the same cycles on every chip with the same units, memory, link and buffers, however
large those are, as long as no buffer is ever short: room is granted in the order of the plan, and capacity
enters nowhere else. So a run holds for every capacity that is no smaller than the most it claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sim.arch import Arch
from sim.engine import Engine
from sim.frontend import Read, Stage
from sim.hardware.unit import TooSlow
from sim.kernel import Contraction
from sim.mapping import Mapping, Tiling
from sim.plan import Plan
from sim.planner import Surroundings, plan_contraction

MOST = 200_000
"""Runs remembered at most, some 100 MB; then all are forgotten, which costs time and changes no result."""

_WORDS = {"name", "description", "source", "technology", "mapping"}
"""Keys of a chip that say nothing about the time of a given plan."""


@dataclass(frozen=True)
class Trial:
    """The cycles of a candidate alone, or the limit at which it was given up, and the room that it took."""

    cycles: int
    ended: bool
    claimed: tuple[tuple[str, int], ...]
    short: bool

    def answers(self, arch: Arch, limit: int | None) -> bool:
        """Return whether a run on `arch` up to `limit` would go the same way."""
        room = [(arch.buffers[name].tile_capacity, claimed) for name, claimed in self.claimed]
        alike = all(there == claimed if self.short else there >= claimed for there, claimed in room)
        return alike and (self.ended or (limit is not None and limit <= self.cycles))


class Trials:
    """The runs that are known. One object serves any number of searches in a process."""

    def __init__(self, most: int = MOST) -> None:
        self.most, self.made, self.reused = most, 0, 0
        self.known: dict[tuple[int, Mapping], Trial] = {}
        self.numbers: dict[Any, int] = {}

    def number(self, kernel: Contraction, arch: Arch, around: Surroundings) -> int:
        """Return a number for all that a candidate's time depends on but its mapping and the capacities."""
        chip = arch.model_dump(exclude=_WORDS)
        for buffer in chip["buffers"].values():
            del buffer["capacity"], buffer["keep"]
        bare = replace(around, epilogue=tuple(replace(work, name="") for work in around.epilogue))
        return self.numbers.setdefault((repr(chip), replace(kernel, name=""), bare), len(self.numbers))

    def remember(self, key: tuple[int, Mapping], trial: Trial) -> None:
        """Know one more run."""
        if len(self.known) >= self.most:
            self.known.clear()
        self.known[key] = trial
        self.made += 1


class Bench:
    """Runs the candidates of one search, each only where no known run answers."""

    def __init__(
        self, kernel: Contraction, arch: Arch, unit: str, around: Surroundings, trials: Trials | None
    ) -> None:
        self.kernel, self.arch, self.unit, self.around, self.trials = kernel, arch, unit, around, trials
        self.number = trials.number(kernel, arch, around) if trials else 0

    def plan(self, mapping: Mapping) -> Plan:
        """Return the plan of a candidate."""
        return plan_contraction(Tiling(self.kernel, mapping), self.arch, self.unit, self.around)

    def cycles(self, mapping: Mapping, limit: int | None) -> int | None:
        """Return the cycles of a candidate alone; None where they exceed `limit`."""
        key = (self.number, mapping)
        trial = self.trials.known.get(key) if self.trials else None
        if trial is None or not trial.answers(self.arch, limit):
            trial = self._run(mapping, limit)
            if self.trials:
                self.trials.remember(key, trial)
        elif self.trials:
            self.trials.reused += 1
        return trial.cycles if trial.ended and (limit is None or trial.cycles <= limit) else None

    def _run(self, mapping: Mapping, limit: int | None) -> Trial:
        engine = Engine(self.arch)
        try:
            cycles, ended = engine.run(alone(self.plan(mapping), self.around), limit=limit).cycles, True
        except TooSlow:
            cycles, ended = int(limit or 0), False
        buffers = engine.buffers
        claimed = buffers.claimed
        if buffers.short:  # as the places of others were taken, only the same capacities give the same run
            claimed = {name: self.arch.buffers[name].tile_capacity for name in self.arch.buffers}
        return Trial(cycles, ended, tuple(claimed.items()), buffers.short)


def alone(plan: Plan, around: Surroundings) -> list[Stage]:
    """Return the plan as a run of its own, with nothing to wait for."""
    return [Stage(plan, 0, tuple(Read(o, o, True) for o in sorted(around.on_chip) if o != "output"))]
