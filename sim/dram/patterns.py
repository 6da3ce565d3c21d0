"""Streams of requests by pattern, and from trace files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

_MULTIPLIER, _INCREMENT = 6364136223846793005, 1442695040888963407
"""Knuth's 64-bit linear congruential generator (MMIX), The Art of Computer Programming 2, 3.3.4."""


@dataclass(frozen=True)
class Shape:
    """How a pattern is laid out: requests, stride and capacity in bytes, bytes of a burst."""

    requests: int
    stride: int
    capacity: int
    burst: int


Requests = tuple[Index, Flags]
"""Addresses in bytes and whether each is a write, both of shape (requests,)."""


def _sequence(shape: Shape, write: bool) -> Requests:
    index = np.arange(shape.requests, dtype=np.int64)
    return index * shape.stride % shape.capacity, np.full(shape.requests, write)


def _random(shape: Shape, mixed: bool) -> Requests:
    state, draws = 1, []
    for _ in range(shape.requests):
        state = (state * _MULTIPLIER + _INCREMENT) % 2**64
        draws.append(state)
    values = np.array(draws, np.uint64)
    slots = np.uint64(shape.capacity // shape.burst)
    addresses = ((values >> np.uint64(33)) % slots).astype(np.int64) * shape.burst
    writes = (values >> np.uint64(20)) % np.uint64(3) == 0 if mixed else np.zeros(shape.requests, bool)
    return addresses, writes


def _copy(shape: Shape) -> Requests:
    index = np.arange(shape.requests, dtype=np.int64)
    writes = index % 2 == 1
    return index // 2 * shape.stride + writes * (shape.capacity // 2), writes


def _copy_blocks(shape: Shape) -> Requests:
    block, inside = np.divmod(np.arange(shape.requests, dtype=np.int64), 64)
    writes = inside >= 32
    return (block * 32 + inside % 32) * shape.stride + writes * (shape.capacity // 2), writes


def _triad(shape: Shape) -> Requests:
    index = np.arange(shape.requests, dtype=np.int64)
    return index // 3 * shape.stride + index % 3 * (shape.capacity // 4), index % 3 == 2


PATTERNS: dict[str, Callable[[Shape], Requests]] = {
    "seqR": lambda shape: _sequence(shape, False),
    "seqW": lambda shape: _sequence(shape, True),
    "strR": lambda shape: _sequence(shape, False),
    "rndR": lambda shape: _random(shape, False),
    "rndMix3": lambda shape: _random(shape, True),
    "copy": _copy,
    "copyblk": _copy_blocks,
    "triad": _triad,
}
"""Each pattern to the requests that it makes of a shape."""
