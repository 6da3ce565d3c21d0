"""Banks of on-chip buffers: by how much accesses of one cycle crowd into too few of them.

A buffer's bandwidth is that of all its banks together. With `interleave` bytes in one bank before the next one goes
on, the words that an edge of the array reads or writes in a cycle may lie in some banks only: the fullest then sets
the pace, and all bytes count at the port as if every bank were as full. Registers and FIFOs at the edge even out
neighbouring cycles, so that it is the share that counts, not its rounding. (SCALE-Sim v3 models the same effect by
lines of banks: Raj et al., ISPASS 2025.) Transfers and lanes go through consecutive bytes, and use all banks.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

import numpy as np

from sim.arch import Arch, Buffer, Dram
from sim.dataflow import DATAFLOWS, Dim
from sim.mapping import RELEVANT, spans

NEIGHBOURS: dict[str, Dim] = {"weight": "k", "input": "k", "output": "n"}
"""The dimension along which elements of a tile lie together: channels last, filters by their reduction."""


def crowding(arch: Arch, sizes: Mapping[str, int]) -> tuple[tuple[str, Fraction], ...]:
    """Return by how much the bytes of each operand count more at its port, where they do, for a tile of `sizes`."""
    found = []
    for operand in RELEVANT:
        buffer = arch.buffers.get(arch.buffer_of(operand))
        if buffer is not None and buffer.interleave is not None and buffer.banks > 1 and arch.bounded:
            factor = _of(arch, buffer, operand, sizes)
            if factor > 1:
                found.append((operand, factor))
    return tuple(found)


def _of(arch: Arch, buffer: Buffer, operand: str, sizes: Mapping[str, int]) -> Fraction:
    array = arch.array
    assert array is not None and buffer.interleave is not None  # its caller has checked it
    flow = DATAFLOWS[array.dataflow]
    edge = flow.col if flow.col in RELEVANT[operand] else flow.row
    width, rate = min(sizes[edge], spans(arch)[edge]), arch.mac_rate
    together = _together(arch, operand)
    stride = 1 if edge == together else sizes[together]
    bits = round(16 * arch.bits("partial_sum" if operand == "output" else operand))
    if rate == 1 or edge == "k" or "k" not in RELEVANT[operand]:
        return fullest(width, stride, bits, buffer.banks, buffer.interleave)
    beside = 1 if together == "k" else sizes[together]
    return fullest(width, stride, bits, buffer.banks, buffer.interleave, min(rate, sizes["k"]), beside)


def _together(arch: Arch, operand: str) -> Dim:
    memory = arch.memory
    if operand == "input" and isinstance(memory, Dram) and memory.layout.activation == "row_major":
        return "m"
    return NEIGHBOURS[operand]


@lru_cache(maxsize=4096)
def fullest(
    width: int, stride: int, bits: int, banks: int, interleave: int, depth: int = 1, beside: int = 1
) -> Fraction:
    """Return the bytes of the fullest bank times the banks, over all bytes: 1 where accesses are spread evenly.

    width: words accessed in a cycle, `stride` elements apart; each of `depth` elements, `beside` elements apart, of
    `bits` sixteenths of a bit.
    """
    at = np.arange(width, dtype=np.int64)[:, None] * stride + np.arange(depth) * beside
    places = (at * bits // 128 // interleave % banks).ravel()
    return Fraction(int(np.bincount(places, minlength=banks).max()) * banks, places.size)
