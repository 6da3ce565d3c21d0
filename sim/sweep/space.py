"""The points of a sweep: axes, computed keys and constraints as columns of a table, a row a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import ConfigError
from sim.sweep.axes import draw, number, values_of
from sim.sweep.keys import Subject, Target
from sim.sweep.schema import SweepFile
from sim.yamlfile import Document

Indices = NDArray[np.int64]
MOST = 20_000_000
"""Points of a grid at most, which a table of some gigabytes can hold."""


@dataclass(frozen=True)
class Column:
    """One key of the sweep: where it points to, its distinct values, and which of them each point has."""

    target: Target
    values: tuple[Any, ...]
    index: Indices

    @property
    def key(self) -> str:
        """The key as the file writes it."""
        return self.target.key

    def take(self, rows: Any) -> Column:
        """Return the column of some points only."""
        return Column(self.target, self.values, self.index[rows])


@dataclass(frozen=True)
class Space:
    """The points of a sweep in order; `left_out` counts those that each constraint excludes."""

    columns: tuple[Column, ...]
    size: int
    left_out: dict[str, int] = field(default_factory=dict)

    def settings(self, point: int) -> dict[str, Any]:
        """Return the value of every key at a point."""
        return {column.key: column.values[column.index[point]] for column in self.columns}

    def targets(self, point: int) -> list[tuple[Target, Any]]:
        """Return every target with its value at a point."""
        return [(column.target, column.values[column.index[point]]) for column in self.columns]

    def take(self, rows: Any) -> Space:
        """Return some of the points, as a mask or as numbers."""
        chosen = np.arange(self.size)[rows]
        return Space(tuple(column.take(chosen) for column in self.columns), len(chosen), self.left_out)

    def find(self, name: str) -> Column | None:
        """Return the column that `name` means: its key whole, else the one key that ends in it."""
        exact = [c for c in self.columns if name in (c.key, ".".join(map(str, c.target.path)))]
        ends = exact or [c for c in self.columns if c.key.endswith(f".{name}")]
        if len(ends) > 1:
            raise ValueError(f"'{name}' could be {' or '.join(c.key for c in ends)}; write it out")
        return ends[0] if ends else None

    def distinct(self, columns: Sequence[Column]) -> tuple[list[int], Indices]:
        """Return one point for each combination of values of the columns, and the combination of every point."""
        if not columns:
            return [0], np.zeros(self.size, dtype=np.int64)
        shape = tuple(len(column.values) for column in columns)
        if prod(shape) >= 2**62:
            raise ValueError("a condition reads too many axes with too many values")
        code = np.ravel_multi_index(tuple(column.index for column in columns), shape)
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        return first.tolist(), inverse.reshape(-1)

    def each(self, columns: Sequence[Column], value: Callable[[int], Any]) -> tuple[list[Any], Indices]:
        """Return `value(point)` for each combination of the columns' values, and the combination of every point."""
        first, inverse = self.distinct(columns)
        return [value(point) for point in first], inverse


def points(file: SweepFile, document: Document, subject: Subject) -> Space:
    """Return the points that the axes span, or a sample of them; ConfigError with all that is wrong with the axes."""
    problems, targets = [], dict[str, Target]()
    axes = {key: written for key, written in file.axes.items() if not _computed(written)}
    found = dict[str, list[Any]]()
    for key, written in axes.items():
        try:
            targets[key] = subject.target(key)
            found[key] = values_of(written) if file.sample.method == "grid" else []
            problems += [
                document.problem(("axes", key), text)
                for value in (written if isinstance(written, list) else _ends(found[key] or written))
                for text in subject.problems_of(targets[key], value)
            ]
        except ValueError as error:
            problems.append(document.problem(("axes", key), str(error)))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    if not axes:
        raise document.error(("axes",), "needs at least one key that is not computed from others")
    columns = _grid(document, targets, found) if file.sample.method == "grid" else _sampled(file, targets, axes)
    return Space(columns, len(columns[0].index))


def _computed(written: Any) -> bool:
    return isinstance(written, str) and written.startswith("=")


def _ends(written: Any) -> list[Any]:
    """Return the first and the last value: between them a key that is a number has no others that are wrong."""
    return list(dict.fromkeys(map(_hashable, draw(written, [0.0, 1 - 1e-9]))))


def _grid(document: Document, targets: dict[str, Target], found: dict[str, list[Any]]) -> tuple[Column, ...]:
    shape = tuple(len(values) for values in found.values())
    if prod(shape) > MOST:
        raise document.error(("axes",), f"span {prod(shape):,} points, at most {MOST:,} are possible; use 'sample'")
    grid = np.unravel_index(np.arange(prod(shape)), shape)
    return tuple(Column(targets[k], tuple(v), i) for (k, v), i in zip(found.items(), grid, strict=True))


def _sampled(file: SweepFile, targets: dict[str, Target], axes: dict[str, Any]) -> tuple[Column, ...]:
    """Return random points, or a Latin hypercube: in each axis one point in each of `points` equal shares."""
    count, random = file.sample.points or 0, np.random.default_rng(file.sample.seed)
    rows: list[list[Any]] = []
    for written in axes.values():
        shares = random.random(count)
        if file.sample.method == "latin":
            shares = (random.permutation(count) + shares) / count
        rows.append(draw(written, shares.tolist()))
    kept = list(dict.fromkeys(zip(*[map(_hashable, row) for row in rows], strict=True)))
    columns = []
    for (key, _target), values in zip(targets.items(), zip(*kept, strict=True), strict=True):
        distinct = {value: place for place, value in enumerate(sorted(set(values), key=_sorting))}
        index = np.array([distinct[value] for value in values], dtype=np.int64)
        columns.append(Column(targets[key], tuple(_plain(v) for v in distinct), index))
    return tuple(columns)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _sorting(value: Any) -> tuple[bool, Any]:
    amount = number(value)
    return (False, amount) if isinstance(amount, int | float) else (True, str(amount))
