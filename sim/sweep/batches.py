"""Which points go to a worker together: those that share most of their work, few enough to lose little."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sim.sweep.space import Column, Space

BATCH = 32
"""Points that a worker gets at once, at most."""
SECONDS = 60.0
"""For how long a worker does alike points at most, by the time that points have taken so far. They are parted only
where they take longer together: each part does anew what they share."""
PART = 1.0
"""For how long a worker keeps its results at most where it gets what comes next too: so much is lost where all is
killed."""


def alike(space: Space) -> NDArray[np.int64]:
    """Return a number for each point, equal for points that differ in capacities alone and share most work."""
    return space.distinct(_others(space))[1]


def alike_together(space: Space) -> NDArray[np.int64]:
    """Return the points so that alike ones are neighbours, the smallest capacities first."""
    others, sizes = _others(space), [c for c in space.columns if _is_size(c)]
    return np.lexsort([column.index for column in (*reversed(sizes), *reversed(others))])


def _others(space: Space) -> list[Column]:
    return [column for column in space.columns if not _is_size(column)]


def _is_size(column: Column) -> bool:
    return bool(column.target.path) and str(column.target.path[-1]) in ("capacity", "keep")


def even(alike: NDArray[np.int64], workers: int) -> int:
    """Return the points of a batch at most, for workers to end together; alike ones whole where kinds are many."""
    kinds = len(np.unique(alike))
    whole = -(-len(alike) // kinds) if kinds >= 4 * workers else 1
    return max(1, whole, len(alike) // (8 * workers))


def batches(order: Iterable[int], alike: NDArray[np.int64], most: Callable[[], int]) -> Iterator[list[int]]:
    """Yield the points in batches of at most `most()`: alike ones in one batch where it can hold them all."""
    batch: list[int] = []
    for _, group in groupby(order, key=lambda point: int(alike[point])):
        left = deque(group)
        if batch and len(batch) + len(left) > most():
            yield batch
            batch = []
        while left:
            batch.append(left.popleft())
            if len(batch) >= most():
                yield batch
                batch = []
    if batch:
        yield batch
