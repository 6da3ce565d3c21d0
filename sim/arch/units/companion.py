"""The companion of a PIM device: adders, multipliers and an SRAM for all that is no product with a matrix."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sim.arch.quantities import Count, Hertz
from sim.arch.unit import UNITS, Unit


@UNITS.register("companion")
class Companion(Unit):
    """Adders and multipliers behind the channels: softmax, norms, activations, additions, sums of partial results.

    What is neither an addition nor a product is made of both, by the recipes of the energy tables.
    """

    family: ClassVar[str] = "pim"
    does: ClassVar[frozenset[str]] = frozenset({"elements"})

    kind: Literal["companion"] = Field(description="adders and multipliers behind the channels of a PIM device")
    clock: Hertz | None = Field(None, description="its own clock; left out: the chip's")
    adders: Count = Field(description="additions (subtractions, comparisons) a cycle of its clock")
    multipliers: Count = Field(description="products a cycle of its clock")
    latency: int = Field(4, ge=0, description="cycles of its clock from the operands of a kind of step to its results")
