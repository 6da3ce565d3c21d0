"""From boxes of tensors to addresses: the segments that lie together, the bursts that hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Dims = Sequence[tuple[int, Index]]
"""A box: each dimension's size and the indices that are in the box, from the outermost in memory inwards."""


def segments(dims: Dims) -> tuple[Index, int]:
    """Return the first element of every stretch of a box that lies together, in address order, and its length.

    Starts have shape (stretches,); all stretches of a box are equally long (elements).
    """
    starts, length, stride = np.zeros(1, np.int64), 1, 1
    for size, index in reversed(dims):
        if length == stride and int(index[-1]) - int(index[0]) + 1 == index.size:
            starts = starts + int(index[0]) * stride
            length = index.size * stride
        else:
            starts = (index[:, None] * stride + starts[None, :]).ravel()
        stride *= size
    return starts, length


def bursts(base: int, starts: Index, length: int, bits: float, burst: int) -> Index:
    """Return the address of every burst that segments touch, in order; a burst that two share comes once.

    base: byte address of the tensor; starts, length: elements of `bits` each, whole sixteenths of a bit (scales of
    blocks included); burst: bytes, a power of two.
    """
    parts = round(16 * bits)
    first = (base + starts * parts // 128) // burst
    last = (base + -(-(starts + length) * parts // 128) - 1) // burst
    counts = last - first + 1
    each = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    touched = np.repeat(first, counts) + each
    keep = np.ones(touched.size, bool)
    keep[1:] = touched[1:] != touched[:-1]
    return np.asarray(touched[keep] * burst)
