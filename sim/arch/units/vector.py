"""The vector unit."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from sim.arch.dvfs import Scaled
from sim.arch.quantities import Count, Format
from sim.arch.rates import Rates
from sim.arch.unit import UNITS
from sim.errors import unknown
from sim.kernel import LANE_OPERATIONS


@UNITS.register("vector")
class Vector(Scaled):
    """Lanes for what is no contraction: activations, pooling, norms, additions, data movement."""

    does: ClassVar[frozenset[str]] = frozenset({"elements"})

    kind: Literal["vector"] = Field(description="lanes that work element by element")
    lanes: Count = Field(description="lane operations a cycle")
    latency: int = Field(4, ge=0, description="cycles from an operand to its result")
    cycles_per: dict[str, Count] = Field({}, description="cycles of one lane operation where it is not 1")
    number_format: Format | None = Field(None, description="what lanes compute in; left out: as partial sums")
    rates: Rates = Field(
        {}, description="elements a lane and cycle by the format that lanes compute in; left out: one of any format"
    )  # fmt: skip
    fused_subtract: bool = Field(
        False, description="whether exp subtracts the max of a whole row on its way, with no add of its own"
    )

    @field_validator("cycles_per")
    @classmethod
    def _operations(cls, cycles: dict[str, int]) -> dict[str, int]:
        for operation in cycles:
            if operation not in LANE_OPERATIONS:
                raise ValueError(unknown("lane operation", operation, LANE_OPERATIONS))
        return cycles
