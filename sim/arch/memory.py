"""What an off-chip memory is to a chip: a schema with a `kind`, in a file of its own in `memories/`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import ClassVar

from pydantic import Field

from sim.registry import Registry
from sim.yamlfile import Strict


@dataclass(frozen=True)
class Channel:
    """The off-chip channel in cycles: whole bursts, at the rate that clock and bandwidth give."""

    cycles_per_burst: Fraction
    burst: int
    latency: int

    def cycles(self, byte_count: int) -> int:
        """Return the cycles for which a transfer of `byte_count` bytes occupies the channel."""
        return ceil(-(-byte_count // self.burst) * self.cycles_per_burst)


class Memory(Strict):
    """Base of all memories. A kind says `kind: Literal["its name"]` and registers itself under that name.

    `bounded` is False for a kind that lifts every limit, those of the buffers too.
    """

    kind: str = Field(description="which kind it is")
    bounded: ClassVar[bool] = True

    def channel(self, clock: int) -> Channel | None:
        """Return the channel in cycles of a chip at `clock` hertz; None where nothing is ever waited for."""
        raise NotImplementedError(f"memory kind '{self.kind}' has no channel")


MEMORIES: Registry[type[Memory]] = Registry("memory kind", "sim.arch.memories")
