"""Map: one token in, a function of it out."""

from __future__ import annotations

from typing import ClassVar, Literal

from sim.streaming.kinds import UNITS, Patterned


@UNITS.register("map")
class Map(Patterned):
    """Pops a token of one channel and pushes what `compute` makes of it."""

    kind: Literal["map"] = "map"
    pops: ClassVar[tuple[int, int | None]] = (1, 1)
