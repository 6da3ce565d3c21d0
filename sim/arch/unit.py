"""What a unit of a chip is: a schema with a `kind`, in a file of its own in `units/`."""

from __future__ import annotations

from pydantic import Field

from sim.registry import Registry
from sim.yamlfile import Strict


class Unit(Strict):
    """Base of all units. A kind says `kind: Literal["its name"]` and registers itself under that name."""

    kind: str = Field(description="which kind it is")


UNITS: Registry[type[Unit]] = Registry("unit kind", "sim.arch.units")
