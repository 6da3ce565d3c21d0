"""Number formats: bits of an element, scales of blocks included, and the plain format that a product is made in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A format in which `size` elements share a scale of `scale_bits`; products are made in `element`."""

    element: str
    bits: int
    size: int
    scale_bits: int


PLAIN = {
    "int4": 4, "int8": 8, "int16": 16, "int32": 32, "fp4": 4, "fp6": 6, "fp8": 8, "fp16": 16, "bf16": 16, "fp32": 32,
}  # fmt: skip
"""Formats without shared scales, to the bits of an element."""

BLOCKS = {
    "mxint8": Block("int8", 8, 32, 8), "mxfp8": Block("fp8", 8, 32, 8), "mxfp6": Block("fp6", 6, 32, 8),
    "mxfp4": Block("fp4", 4, 32, 8), "nvfp4": Block("fp4", 4, 16, 8), "msfp12": Block("int4", 4, 16, 8),
    "msfp16": Block("int8", 8, 16, 8), "q4_0": Block("int4", 4, 32, 16), "q8_0": Block("int8", 8, 32, 16),
}  # fmt: skip
"""mx: OCP Microscaling Formats v1.0, 2023, table 1. nvfp4: NVIDIA Blackwell, an E4M3 scale of 16 (PTX ISA 8.6).
msfp: Rouhani et al., NeurIPS 2020 (sign and mantissa an element, an 8-bit exponent of 16). q4_0, q8_0: GGML, an fp16
scale of 32."""

BITS: dict[str, float] = PLAIN | {name: block.bits + block.scale_bits / block.size for name, block in BLOCKS.items()}
"""Every format to the bits of an element with its share of the scale: exact sixteenths."""


def element_of(number_format: str) -> str:
    """Return the plain format in which the elements of `number_format` are multiplied."""
    return BLOCKS[number_format].element if number_format in BLOCKS else number_format
