"""What a unit of a chip is: a schema with a `kind`, in a file of its own in `units/`."""

from __future__ import annotations

from typing import ClassVar

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


UNITS: Registry[type[Unit]] = Registry("unit kind", "sim.arch.units")
