"""Types of the fields of a chip: operands, number formats, and quantities written with their unit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from sim import units

OPERANDS = ("weight", "input", "output")
Operand = Literal["weight", "input", "output"]
Format = Literal[
    "int4", "int8", "int16", "int32", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32",
    "mxint8", "mxfp8", "mxfp6", "mxfp4", "nvfp4", "msfp12", "msfp16", "q4_0", "q8_0",
]  # fmt: skip


def quantity(dimension: str) -> Any:
    """Return the note of a field that is written as a number with a unit of `dimension`: its JSON Schema."""
    note = f"number and unit, as in '{units.EXAMPLES[dimension]}'"
    return WithJsonSchema({"type": "string", "description": note, "examples": [units.EXAMPLES[dimension]]})


def _positive(dimension: str, text: object) -> int:
    if units.parse(dimension, text) <= 0:
        raise ValueError(f"{dimension} '{text}' must be greater than zero")
    return units.parse_whole(dimension, text)


def _seconds(text: object) -> float:
    value = units.parse("time", text)
    if value < 0:
        raise ValueError(f"time '{text}' must not be less than zero")
    return float(value)


def _volts(text: object) -> float:
    value = units.parse("voltage", text)
    if value <= 0:
        raise ValueError(f"voltage '{text}' must be greater than zero")
    return float(value)


Count = Annotated[int, Field(gt=0)]
Size = Annotated[int, BeforeValidator(lambda v: _positive("size", v)), quantity("size")]
Hertz = Annotated[int, BeforeValidator(lambda v: _positive("frequency", v)), quantity("frequency")]
Bandwidth = Annotated[int, BeforeValidator(lambda v: _positive("bandwidth", v)), quantity("bandwidth")]
Rate = Annotated[int, BeforeValidator(lambda v: _positive("rate", v)), quantity("rate")]
Volts = Annotated[float, BeforeValidator(_volts), quantity("voltage")]
Seconds = Annotated[float, BeforeValidator(_seconds), quantity("time")]
