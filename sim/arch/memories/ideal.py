"""No memory in the way."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sim.arch.memory import MEMORIES, Channel, Memory


@MEMORIES.register("ideal")
class Ideal(Memory):
    """No limit anywhere: operands are where they are needed, and every buffer is large enough."""

    kind: Literal["ideal"] = Field(description="no limit")
    bounded: ClassVar[bool] = False

    def channel(self, clock: int) -> Channel | None:
        """Return None: nothing is ever waited for."""
        return None
