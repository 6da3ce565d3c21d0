"""The systolic array."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from sim.arch.dvfs import Scaled
from sim.arch.quantities import Count
from sim.arch.rates import Rates
from sim.arch.unit import UNITS
from sim.dataflow import DATAFLOWS
from sim.errors import TiletickError, unknown
from sim.yamlfile import Clash, Strict


def _dataflow(name: str) -> str:
    try:
        return DATAFLOWS.canonical(name)
    except TiletickError as error:
        raise ValueError(str(error)) from None


DataflowName = Annotated[str, AfterValidator(_dataflow)]


IN_PLACE = ("max", "add", "exp")
"""What a softmax asks of PEs that hold scores."""


class Scratchpads(Strict):
    """What a PE of a row-stationary array holds, in words. Defaults: Eyeriss (Chen et al., JSSC 52(1), 2017)."""

    inputs: Count = Field(12, description="window of inputs: q channels x kernel columns")
    weights: Count = Field(224, description="p filters x q channels x kernel columns")
    sums: Count = Field(24, description="p partial sums")


class Buses(Strict):
    """Words a cycle between the buffers and the PEs of a row-stationary array. Defaults: Eyeriss, as above."""

    weights: Count = Field(4, description="weights in")
    inputs: Count = Field(1, description="inputs in")
    sums: Count = Field(4, description="partial sums in, and as many out")


@UNITS.register("systolic")
class Systolic(Scaled):
    """A grid of multiply-accumulate PEs, with the micro-architecture knobs that decide its cycles."""

    does: ClassVar[frozenset[str]] = frozenset({"products"})

    kind: Literal["systolic"] = Field(description="a grid of PEs through which operands flow")
    rows: Count = Field(16, description="PEs in a column; K (ws, is) or M (os) lies here")
    cols: Count = Field(16, description="PEs in a row; N (ws, os) or M (is) lies here")
    dataflow: DataflowName = Field("ws", description="what stays in the PEs: ws, os, is, rs or the long names")
    sram_read_latency: int = Field(1, ge=0, description="cycles from an accepted address to the operand")
    output_register: int = Field(1, ge=0, description="registers behind the last PE of a column")
    pe_pipeline: Count = Field(1, description="cycles of one multiply-accumulate; 1 is a single-cycle PE")
    weight_buffers: Literal[1, 2] = Field(1, description="weight registers a PE (ws, is); 2 loads behind compute")
    swap: Literal["wave", "global"] = Field("wave", description="how two weight registers exchange roles")
    drain: Literal["serial", "overlap", "stream"] = Field(
        "serial", description="os: folds start behind the drain, beside it, or without a gap"
    )
    convention: Literal["rtl", "scalesim"] = Field("rtl", description="how cycles of a fold are counted")
    scratchpads: Scratchpads = Field(Scratchpads(), description="words that a PE holds (rs)")
    buses: Buses = Field(Buses(), description="words a cycle between buffers and PEs (rs)")
    rates: Rates = Field(
        {}, description="precision-scalable PEs: products a PE and cycle by format, or by pair as int8xint4, along k; "
        "left out: one of any format"
    )  # fmt: skip
    count: Count = Field(1, description="how many such arrays work on a layer together")
    flexible: bool = Field(
        False, description="products of fused attention run in the dataflow in which they stream a head's features: "
        "scores stay where their sums are made, and weigh the values from there"
    )  # fmt: skip
    in_place: dict[str, Count] = Field(
        {}, description="what PEs do on the scores that they hold, by cycles: max, add, exp; needs flexible"
    )

    @field_validator("in_place")
    @classmethod
    def _operations(cls, cycles: dict[str, int]) -> dict[str, int]:
        for operation in cycles:
            if operation not in IN_PLACE:
                raise ValueError(unknown("operation of PEs", operation, IN_PLACE))
        missing = [operation for operation in IN_PLACE if operation not in cycles]
        if cycles and missing:
            raise ValueError(f"a softmax in place needs {', '.join(IN_PLACE)}; {', '.join(missing)} is missing")
        return cycles

    @model_validator(mode="after")
    def _in_place_is_flexible(self) -> Systolic:
        if self.in_place and not self.flexible:
            raise Clash("scores stay in place where the array is flexible; add flexible: true", ("in_place",))
        return self

    @model_validator(mode="after")
    def _rates_are_along_k(self) -> Systolic:
        if self.rates and self.flexible:
            raise Clash("PEs of a flexible array hold one score each, and run at one rate; remove rates", ("rates",))
        if self.rates and DATAFLOWS[self.dataflow].passes:
            told = f"PEs of dataflow '{self.dataflow}' take one word a cycle from their scratchpads"
            raise Clash(f"{told}; rates need ws, os or is", ("rates",), ("dataflow",))
        return self

    @property
    def pes(self) -> int:
        """PEs of all arrays: multiply-accumulates a cycle at most, at the native rate."""
        return self.rows * self.cols * self.count
