"""Broadcast: one token in, the same out on several channels."""

from __future__ import annotations

from typing import ClassVar, Literal

from sim.streaming.kinds import UNITS, Patterned


@UNITS.register("broadcast")
class Broadcast(Patterned):
    """Pops a token and pushes it into each of its channels, in the order written."""

    kind: Literal["broadcast"] = "broadcast"
    pops: ClassVar[tuple[int, int | None]] = (1, 1)
    pushes: ClassVar[tuple[int, int | None]] = (2, None)
