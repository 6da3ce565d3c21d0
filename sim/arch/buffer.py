"""On-chip buffers: what they hold, how fast, and how many tiles at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sim.arch.quantities import Count, Operand, Rate, Size
from sim.yamlfile import Clash, Strict


class Buffer(Strict):
    """An on-chip memory, shared by the operands that it holds."""

    capacity: Size = Field(description="bytes it holds")
    holds: Annotated[list[Operand], Field(min_length=1, description="operands that it holds; it is the only one to")]
    bandwidth: Rate | None = Field(None, description="bytes a cycle through each port, for all users; none: no limit")
    ports: Literal[1, 2] = Field(2, description="read and write one at a time (1), or at once (2)")
    banks: Count = Field(1, description="parts that share its bandwidth evenly")
    interleave: Size | None = Field(
        None, description="bytes in one bank before the next goes on; none: accesses are spread evenly over banks"
    )
    buffering: Literal["single", "double"] = Field("double", description="whether tiles load behind compute")
    keep: Size | None = Field(None, description="part set aside for activations that stay between layers")
    granule: Size | None = Field(None, description="loads bring whole granules of this many bytes")
    port_width: Size = Field("8 B", validate_default=True, description="bytes of one access, for its energy")

    @model_validator(mode="after")
    def _fits(self) -> Buffer:
        if self.keep is not None and self.keep >= self.capacity:
            message = f"{self.keep} B must be less than the capacity ({self.capacity} B)"
            raise Clash(message, ("keep",), ("capacity",))
        if self.keep is not None and "input" not in self.holds:
            message = "keeps activations for the layers that read them, so the buffer that holds input has it"
            raise Clash(message, ("keep",), ("holds",))
        if self.interleave is not None and self.banks == 1:
            message = "goes over several banks, and there is one; give banks, or leave it out"
            raise Clash(message, ("interleave",), ("banks",))
        if self.interleave is not None and self.bandwidth is None:
            message = "makes banks collide for a bandwidth, and there is no limit; give bandwidth, or leave it out"
            raise Clash(message, ("interleave",), ("bandwidth",))
        return self

    @property
    def tile_capacity(self) -> int:
        """Bytes for tiles: the capacity less what is set aside to keep."""
        return self.capacity - (self.keep or 0)

    @property
    def slots(self) -> int:
        """Tiles of an operand that are there at once: 2 where buffering is double."""
        return 2 if self.buffering == "double" else 1
