"""Flatmap: one token in, some out: as many each time, or as many as its value says."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sim.streaming.formula import PLACE, Expansion, Formula
from sim.streaming.graph import Phase, Unit
from sim.streaming.kinds import UNITS, Patterned
from sim.streaming.patterns import When, ports


@UNITS.register("flatmap")
class Flatmap(Patterned):
    """Pops a token in the first firing of a group and pushes one in every firing of it.

    With `count`, an expression of the token's value, a token makes as many as that says, none included, each in a
    firing of its own; then `firings` counts the tokens popped, and what follows must take as many as are made.
    """

    kind: Literal["flatmap"] = "flatmap"
    count: str | None = Field(None, description="tokens that a token makes, an expression of its value")
    pops: ClassVar[tuple[int, int | None]] = (1, 1)
    pushes: ClassVar[tuple[int, int | None]] = (1, 1)
    pop_when: ClassVar[When] = "first"

    def build(self, name: str) -> Unit:
        """Return the unit; ValueError where its keys do not fit together."""
        if self.count is None:
            return super().build(name)
        if self.group != 1:
            raise ValueError("with 'count' there is no 'group'")
        pops, pushes = tuple(ports(self.pop, "each")), tuple(ports(self.push, "each"))
        if len(pops) != 1 or len(pushes) != 1:
            raise ValueError(f"a flatmap has one channel to pop and one to push, not {len(pops)} and {len(pushes)}")
        if isinstance(self.compute, dict):
            raise ValueError("with 'count', 'compute' is one expression")
        each = Formula.of(self.compute or pops[0], (*pops, *PLACE))
        phase = Phase.of(1, pops, pushes, interval=self.interval)
        behaviour = Expansion(Formula.of(self.count, (*pops, *PLACE)), each)
        return Unit(name, self.kind, (phase,), self.firings, self.latency, behaviour=behaviour, dynamic=True)
