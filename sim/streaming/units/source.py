"""Source: where tokens come from."""

from __future__ import annotations

from typing import ClassVar, Literal

from sim.streaming.kinds import UNITS, Patterned


@UNITS.register("source")
class Source(Patterned):
    """Pushes one token a firing; its values are given from outside, by channel."""

    kind: Literal["source"] = "source"
    pops: ClassVar[tuple[int, int | None]] = (0, 0)
