"""Off-chip memory as bandwidth and latency."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Literal

from pydantic import Field

from sim.arch.memory import MEMORIES, Channel, Memory
from sim.arch.quantities import Bandwidth, Seconds, Size


@MEMORIES.register("simple")
class Simple(Memory):
    """Off-chip memory as bandwidth and latency: one channel, shared by all operands, served in order."""

    kind: Literal["simple"] = Field(description="bandwidth and latency")
    bandwidth: Bandwidth = Field(description="bytes a second, reads and writes together")
    latency: Seconds = Field("0 s", validate_default=True, description="from request to first byte, reads")
    burst: Size = Field("64 B", validate_default=True, description="a transfer occupies whole bursts")
    technology: str = Field("lpddr4", description="the DRAM entry of the energy table")

    def channel(self, clock: int) -> Channel | None:
        """Return the channel in cycles of a chip at `clock` hertz."""
        per_burst = Fraction(self.burst * clock, self.bandwidth)
        return Channel(per_burst, self.burst, ceil(Fraction(self.latency).limit_denominator(10**15) * clock))
