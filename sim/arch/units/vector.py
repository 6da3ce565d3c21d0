"""The vector unit."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sim.arch.dvfs import Scaled
from sim.arch.quantities import Count, Format
from sim.arch.rates import Rates
from sim.arch.unit import UNITS
from sim.errors import unknown
from sim.kernel import LANE_OPERATIONS
from sim.lanes import Functions
from sim.yamlfile import Clash


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
    functions: Functions = Field(
        {}, description="how lanes compute exp, div, sqrt, tanh and erf where that is not one exact operation: a "
        "method, or one with its settings, as {method: newton, iterations: 3}"
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

    @model_validator(mode="after")
    def _costs_once(self) -> Vector:
        for operation in self.functions:
            if operation in self.cycles_per:
                told = f"{operation} takes the operations of its method; remove one of functions and cycles_per"
                raise Clash(told, ("cycles_per", operation), ("functions", operation))
        return self

    def cycles(self, operation: str) -> int:
        """Return the cycles of a lane operation in a lane: its own, or those of all steps of its method."""
        method = self.functions.get(operation)
        if method is None:
            return self.cycles_per.get(operation, 1)
        steps = method.steps(operation).items()
        return sum(count * self.cycles_per.get("mul" if step == "mac" else step, 1) for step, count in steps)
