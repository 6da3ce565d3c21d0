"""Where the operands of fused attention lie: queries, keys, values and output head by head, row by row of each.

Scores that pass through memory lie as a matrix of all queries by all keys. The layouts of other layers' tensors do not
apply: a head's keys and values lie together, as a cache keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.kernel import Attention
from sim.layout.streams import Dims, Index, bursts, segments
from sim.plan import Fusion, Load, Store


def operand(kernel: Attention, step: Load | Store) -> str:
    """Return what a transfer moves: queries, keys (those that are values too), values, scores or output."""
    if isinstance(step, Store):
        return "scores" if step.partial else "output"
    made = "scores" if step.operand == "intermediate" else step.makes
    return "keys" if kernel.shared and made == "values" else made


def elements(kernel: Attention, spilled: bool) -> dict[str, int]:
    """Return the elements of each operand in memory."""
    values = {} if kernel.shared else {"values": kernel.heads * kernel.keys * kernel.value}
    sizes = {
        "queries": kernel.input_elements, "keys": kernel.heads * kernel.keys * kernel.size,
        **values, "output": kernel.output_elements,
    }  # fmt: skip
    return sizes | ({"scores": kernel.heads * kernel.rows * kernel.keys} if spilled else {})


def region(kernel: Attention, fusion: Fusion, step: Load | Store, at: Mapping[str, int]) -> Dims:
    """Return the box of its operand that a transfer moves with the loops around it at `at`."""
    head, block = divmod(at["g"], fusion.blocks)
    first, (_, rows, keys, width) = head * kernel.rows + block * fusion.group * fusion.m + at["m"], step.extent
    whole = kernel.heads * kernel.rows
    what = operand(kernel, step)
    if what == "scores":
        return [(whole, _span(first, rows)), (kernel.keys, _span(at["n"], keys))]
    if what in ("keys", "values"):
        row = kernel.size if kernel.shared else width  # values may be the first features of the keys
        return [(kernel.heads * kernel.keys, _span(head * kernel.keys + at["n"], keys)), (row, _span(0, width))]
    width = kernel.size if what == "queries" else kernel.value
    return [(whole, _span(first, rows)), (width, _span(0, width))]


def stream(base: int, dims: Dims, bits: float, burst: int) -> Index:
    """Return the addresses of the bursts of a box in order."""
    starts, length = segments(dims)
    return bursts(base, starts, length, bits, burst)


def _span(start: int, size: int) -> Index:
    return np.arange(start, start + size)
