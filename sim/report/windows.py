"""What happened over time, in windows of equal length: cycles of every cause, bytes in buffers."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.result import Result
from sim.timeline import CAUSES, REPEATS, Ledger, Timeline

Vector = NDArray[np.float64]

MOST = 200
"""Windows of a run; fewer where it has fewer cycles."""


def edges_of(cycles: int, most: int = MOST) -> Vector:
    """Return the edges of windows of equal length from 0 to `cycles`."""
    return np.linspace(0.0, cycles, max(1, min(most, cycles)) + 1)


def by_window(ledger: Ledger, edges: Vector) -> dict[str, Vector]:
    """Return the cycles of each cause in each window; over all windows they are those of the ledger.

    Skipped iterations are taken apart by what the ledger has of their layer beyond its slices, spread evenly
    over them: inside a settled loop every iteration is like the others.
    """
    slices = ledger.slices or []
    ends = np.array([0, *(end for _, end, _, _ in slices)], float)
    mix = mixes(ledger)
    found = {}
    for cause in CAUSES:
        spent = [(end - start) * mix[layer].get(cause, 0.0) if why == REPEATS else (end - start) * (why == cause)
                 for start, end, layer, why in slices]  # fmt: skip
        found[cause] = np.diff(np.interp(edges, ends, np.cumsum([0.0, *spent])))
    return found


def mixes(ledger: Ledger) -> dict[int, dict[str, float]]:
    """Return for each layer the share of each cause in its skipped iterations."""
    hidden: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    length: dict[int, int] = defaultdict(int)
    for (layer, cause), cycles in ledger.cycles.items():
        hidden[layer][cause] += cycles
    for start, end, layer, cause in ledger.slices or ():
        if cause == REPEATS:
            length[layer] += end - start
        else:
            hidden[layer][cause] -= end - start
    return {layer: {cause: count / length[layer] for cause, count in hidden[layer].items()} for layer in length}


def levels(timeline: Timeline, buffer: str, edges: Vector) -> tuple[Vector, Vector]:
    """Return the mean and the most bytes of tiles in a buffer in each window.

    In skipped iterations they are those of the period before, as everything is.
    """
    samples = timeline.occupancy.get(buffer, [])
    times, area = _area(samples, timeline)
    return np.diff(np.interp(edges, times, area)) / np.diff(edges), _most(samples, timeline, edges)


def _area(samples: Sequence[tuple[int, int]], timeline: Timeline) -> tuple[list[float], list[float]]:
    """Return the byte cycles up to each moment at which the level, or its mean, changes."""
    times, area, level = [0.0], [0.0], 0.0
    repeats = deque(timeline.repeats)

    def move(until: float, rate: float) -> None:
        area.append(area[-1] + rate * (until - times[-1]))
        times.append(until)

    for time, size in [*samples, (timeline.cycles, 0)]:
        while repeats and repeats[0][1] <= time:
            start, end, period = repeats.popleft()
            move(start, level)
            before = bisect_right(times, start - period) - 1
            step = times[before + 1] - times[before]
            share = (start - period - times[before]) / step if step else 0.0
            move(end, (area[-1] - area[before] - share * (area[before + 1] - area[before])) / period)
        move(time, level)
        level = size
    return times, area


def _most(samples: Sequence[tuple[int, int]], timeline: Timeline, edges: Vector) -> Vector:
    """Return the most that a level reaches in each window."""
    times = np.array([0, *(time for time, _ in samples)], float)
    sizes = np.array([0, *(size for _, size in samples)], float)

    def reached(start: float, end: float) -> float:
        first = np.searchsorted(times, start, side="right") - 1
        return float(sizes[first : np.searchsorted(times, end)].max(initial=0.0))

    most = np.array([reached(a, b) for a, b in pairwise(edges)])
    for start, end, period in timeline.repeats:
        there = (edges[:-1] < end) & (edges[1:] > start)
        most[there] = np.maximum(most[there], reached(start - period, start + 1))
    return most


def kept(result: Result, buffer: str, edges: Vector) -> Vector:
    """Return the bytes of activations that a buffer keeps for later layers at the start of each window."""
    found = np.zeros(len(edges) - 1)
    timeline = result.timeline
    sizes = timeline.kept.get(buffer, []) if timeline is not None else []
    for size, layer in zip(sizes, result.layers, strict=False):
        there = (edges[:-1] < layer.start + layer.cycles) & (edges[1:] > layer.start)
        found[there] = np.maximum(found[there], size)
    return found
