"""Repeat: one token in, a group of copies out."""

from __future__ import annotations

from typing import ClassVar, Literal

from sim.streaming.kinds import UNITS, Patterned
from sim.streaming.patterns import When


@UNITS.register("repeat")
class Repeat(Patterned):
    """Pops a token in the first firing of a group and pushes it in every one."""

    kind: Literal["repeat"] = "repeat"
    pops: ClassVar[tuple[int, int | None]] = (1, 1)
    pop_when: ClassVar[When] = "first"
