"""No memory but the banks of a PIM device."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sim.arch.memory import MEMORIES, Channel, Memory


@MEMORIES.register("banks")
class Banks(Memory):
    """The banks of the chip's PIM unit are its memory: what is not multiplied there is read over their pins."""

    kind: Literal["banks"] = Field(description="the banks of the PIM unit, which no other memory stands beside")

    def channel(self, clock: int) -> Channel | None:
        """Return None: the pins of the banks are part of the PIM unit, whose commands they serve."""
        return None
