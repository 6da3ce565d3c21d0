"""Sink: where results are taken; it counts when the last one is there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sim.streaming.kinds import UNITS, Patterned


@UNITS.register("sink")
class Sink(Patterned):
    """Pops a token a firing, in no time of its own; keeps its values."""

    kind: Literal["sink"] = "sink"
    latency: int = Field(0, ge=0, description="a sink pushes nothing, so that its latency delays nobody")
    interval: int = Field(0, ge=0, description="least cycles from a firing to the next")
    pushes: ClassVar[tuple[int, int | None]] = (0, 0)
