"""The companion of a PIM device: adders, multipliers and an SRAM for all that is no product with a matrix."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sim.arch.dvfs import Scaled
from sim.arch.quantities import Count, Hertz
from sim.arch.unit import UNITS
from sim.yamlfile import Clash


@UNITS.register("companion")
class Companion(Scaled):
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

    @model_validator(mode="after")
    def _one_clock(self) -> Companion:
        if self.clock is not None and self.dvfs is not None:
            raise Clash("its clock is that of its point; remove clock or dvfs", ("clock",), ("dvfs",))
        return self

    def own_clock(self, chip: int) -> int:
        """Return its clock in hertz on a chip whose clock is `chip`."""
        return self.clock or super().own_clock(chip)
