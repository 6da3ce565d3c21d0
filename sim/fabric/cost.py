"""What a stage takes of a fabric: multipliers, look-up tables and memory blocks, by the published cost model of FINN-R.

Blott et al., FINN-R, ACM TRETS 11(3), 2018, section 3.3, as Xilinx/finn has it (matrixvectoractivation.py): a
matrix-vector unit takes 300 + 1.1·PE·(adder tree (W + A)·(2·SIMD - 1) + accumulator W + A + log2 K) look-up tables,
and its weights a memory of K·N / (PE·SIMD) words of PE·SIMD·W bits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from math import ceil, log2

from sim.arch import Arch, Fabric
from sim.errors import ConfigError, Problem
from sim.streaming.sizing import bram18

URAM_WORDS, URAM_BITS = 4096, 72
"""A block of UltraRAM (AMD UG573)."""
BRAM18_BITS = 18432
UNIT_LUT, LUT_FACTOR = 300, 1.1
LUTRAM_WORDS = 64
"""Words by one bit of a look-up table as memory."""
PACKED = ((4, 4), (8, 2), (18, 1))
"""Widest operand in bits, and its products a DSP48E2: four of 4 bits, two of 8 (FINN's RTL units; AMD WP486, WP521),
else one of 27 x 18 (UG579)."""


@dataclass(frozen=True)
class Cost:
    """Blocks of a fabric."""

    dsp: int = 0
    lut: int = 0
    bram18: int = 0
    uram: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


NOTHING = Cost()


@dataclass(frozen=True)
class Formats:
    """Widths in bits, and products a multiplier block does a cycle."""

    weight: int
    input: int
    packed: int

    @classmethod
    def of(cls, chip: Arch, fabric: Fabric) -> Formats:
        """Return those of a chip; ConfigError for formats whose products no cited packing covers."""
        weight, inputs = ceil(chip.bits("weight")), ceil(chip.bits("input"))
        if fabric.macs_per_dsp is not None:
            return cls(weight, inputs, fabric.macs_per_dsp)
        names = (chip.precision.weight, chip.precision.input)
        widest = max(weight, inputs)
        packed = next((count for bits, count in PACKED if widest <= bits), 0)
        if not packed or not all(name.startswith("int") for name in names):
            message = (f"it is not known how many {' x '.join(names)} products a multiplier block does in a cycle; "
                       "set macs_per_dsp")  # fmt: skip
            raise ConfigError(Problem(message, chip.name, key=f"units.{chip.unit_name(Fabric)}"))
        return cls(weight, inputs, packed)


@lru_cache(maxsize=1 << 17)
def multiply(pe: int, simd: int, depth: int, packed: int, weight: int, inputs: int, operations: int) -> Cost:
    """Return the logic of a unit of `pe` outputs by `simd` inputs a cycle, `operations` on lanes behind each output.

    A lane operation takes a look-up table a bit of the accumulator: an adder or comparator on the carry chain (UG574).
    """
    bits = weight + inputs
    accumulator = bits + ceil(log2(max(2, depth)))
    tree = bits * (2 * simd - 1)
    lut = UNIT_LUT + LUT_FACTOR * pe * (tree + accumulator * (1 + operations))
    return Cost(dsp=simd * ceil(pe / packed), lut=ceil(lut))


def lanes(count: int, operations: int, bits: int) -> Cost:
    """Return the logic of `count` lanes that do `operations` on an element of `bits` each cycle."""
    return Cost(lut=ceil(UNIT_LUT + LUT_FACTOR * count * max(1, operations) * bits))


@lru_cache(maxsize=1 << 17)
def memory(words: int, bits: int) -> Cost:
    """Return what a memory of `words` of `bits` takes: look-up tables where it is tiny, else memory blocks."""
    if not words or not bits:
        return Cost()
    blocks = bram18(words, bits)
    return Cost(bram18=blocks) if blocks else Cost(lut=bits * ceil(words / LUTRAM_WORDS))


@lru_cache(maxsize=1 << 17)
def large(words: int, bits: int) -> int:
    """Return the UltraRAM blocks of a memory of `words` of `bits`."""
    return ceil(words / URAM_WORDS) * ceil(bits / URAM_BITS)
