"""What a fit makes small: the relative errors of the measured rows, each point simulated once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import MappingError
from sim.validate.parameters import Parameter

Vector = NDArray[np.float64]
Point = tuple[Any, ...]
"""A value for each parameter."""

STEP = 0.02
"""Step of finite differences as a part of a quantity's range: wide enough to cross the whole cycles of a layer."""
HOPELESS = 1e3
"""The relative error of a chip that cannot run the network."""

Progress = Callable[[int, int, str], None]

Predict = Callable[[Mapping[str, Any]], Sequence[float]]
"""Settings by dotted key to the predicted cycles of the measured rows."""


class Objective:
    """Relative errors of the rows by point, each point simulated once."""

    def __init__(
        self, parameters: Sequence[Parameter], predict: Predict, measured: Vector, used: NDArray[np.bool_],
        progress: Progress | None = None, expected: int = 1,
    ) -> None:  # fmt: skip
        self.parameters, self.predict, self.measured, self.used = parameters, predict, measured, used
        self.progress = progress
        self.expected = expected
        self.errors: dict[tuple[Any, ...], Vector] = {}
        self.points: dict[tuple[Any, ...], Point] = {}

    def settings(self, point: Point) -> dict[str, Any]:
        """Return the settings that a point stands for."""
        return {p.key: p.written(value) for p, value in zip(self.parameters, point, strict=True)}

    def all_errors(self, point: Point) -> Vector:
        """Return the relative error of every row."""
        settings = self.settings(point)
        key = tuple(settings.values())
        if key not in self.errors:
            if self.progress:
                self.progress(min(len(self.errors), self.expected), self.expected, "fit")
            try:
                predicted = np.asarray(self.predict(settings), float)
                self.errors[key] = (predicted - self.measured) / self.measured
            except MappingError:
                self.errors[key] = np.full(self.measured.shape, HOPELESS)
            self.points[key] = point
        return self.errors[key]

    def __call__(self, point: Point) -> Vector:
        """Return the relative errors of the rows that are fitted."""
        return self.all_errors(point)[self.used]

    def cost(self, point: Point) -> float:
        """Return the sum of squared relative errors of the rows that are fitted."""
        return float(np.sum(self(point) ** 2))

    @property
    def floor(self) -> float:
        """The cost of half a cycle in every row: what no measurement in whole cycles resolves."""
        return float(np.sum((0.5 / self.measured[self.used]) ** 2))
