"""The streaming fabric: a budget of multipliers, logic and memory blocks, in which layers are pipeline stages."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import ClassVar, Literal

from pydantic import Field

from sim.arch.quantities import Count, Seconds, Size
from sim.arch.unit import UNITS, Unit
from sim.yamlfile import Strict


class FabricPort(Strict):
    """The port to off-chip memory. Defaults: AXI in Vitis HLS (LightningSim, Sarkar and Hao, FCCM 2023; UG1399)."""

    width: Size = Field("64 B", validate_default=True, description="bytes of a word, a word a cycle at most")
    read_latency: Count = Field(12, description="cycles of the interface from a request to its first word")
    write_latency: Count = Field(7, description="the same of a write")
    outstanding: Count = Field(16, description="bursts of one reader or writer that are under way at once")
    burst: int = Field(16, ge=1, le=256, description="most words of a burst")


@UNITS.register("fabric")
class Fabric(Unit):
    """Logic on which each layer is a unit of its own, as wide as the budget allows; units are joined by FIFOs."""

    family: ClassVar[str] = "fabric"
    does: ClassVar[frozenset[str]] = frozenset({"products", "elements"})

    kind: Literal["fabric"] = Field(description="a budget of logic that layers share in space")
    dsp: Count = Field(description="multiplier blocks")
    macs_per_dsp: Count | None = Field(None, description="products of one block a cycle; left out: by the formats")
    lut: Count | None = Field(None, description="look-up tables; left out: no limit")
    bram18: Count | None = Field(None, description="memory blocks of 18 Kib; left out: no limit")
    uram: int = Field(0, ge=0, description="memory blocks of 288 Kib")
    pattern: Literal["pipeline", "layers", "hybrid"] = Field(
        "pipeline", description="all layers at once, one at a time, or cut where it is fastest"
    )
    weights: Literal["auto", "on_chip", "streamed"] = Field(
        "auto", description="where weights lie: on chip, off chip, or off chip where they do not fit"
    )
    reconfiguration: Seconds = Field("0 s", validate_default=True, description="to change from one part to the next")
    fifo: Count = Field(2, description="tokens of a FIFO; those where branches join are as deep as they need to be")
    channel: Literal["default", "hls"] = Field("default", description="how a FIFO is built, as in streaming graphs")
    port: FabricPort = Field(FabricPort(), description="the port to off-chip memory")

    def change(self, clock: int) -> int:
        """Return the cycles of a clock (hertz) in which one part gives way to the next."""
        return ceil(Fraction(self.reconfiguration).limit_denominator(10**15) * clock)
