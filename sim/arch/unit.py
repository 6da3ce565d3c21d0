"""What a unit of a chip is: a schema with a `kind`, in a file of its own in `units/`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

from pydantic import Field

from sim.registry import Registry
from sim.yamlfile import Strict


class Unit(Strict):
    """Base of all units. A kind says `kind: Literal["its name"]` and registers itself under that name.

    `family` names the units whose layers run in one program: "array" for arrays and lanes, and what works with them.
    `does` tells whether a unit computes layers with products of matrices ("products"), and layers without
    ("elements").
    """

    family: ClassVar[str] = "array"
    does: ClassVar[frozenset[str]] = frozenset()

    kind: str = Field(description="which kind it is")

    def own_clock(self, chip: int) -> int:
        """Return its clock in hertz on a chip whose clock is `chip`: the same, where it has none of its own."""
        return chip

    def told(self, chip: int) -> dict[str, Any]:
        """Return what a result says of it on a chip whose clock is `chip`: its kind, and its clock in hertz."""
        return {"kind": self.kind, "clock_hz": self.own_clock(chip)}

    def pace(self, chip: int) -> Fraction | int:
        """Return the cycles of the chip's clock (`chip`, in hertz) in one of its own: 1 where they are the same."""
        own = self.own_clock(chip)
        return 1 if own == chip else Fraction(chip, own)


UNITS: Registry[type[Unit]] = Registry("unit kind", "sim.arch.units")
