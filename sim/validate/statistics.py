"""How far predictions lie from measurements, in the field's usual figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """Errors in percent of what was measured; what two or more layers do not define is None.

    `mape` is the mean absolute percentage error, `largest_error_pct` the signed one of largest size,
    `total_error_pct` that of the sums. `r2` is the coefficient of determination of the predictions themselves
    (1 - residual / total sum of squares, no line fitted), `rank_correlation` Spearman's, ties at their mean rank.
    """

    layers: int
    mape: float | None
    largest_error_pct: float | None
    total_error_pct: float | None
    r2: float | None
    rank_correlation: float | None


def error_pct(predicted: float, measured: float) -> float:
    """Return the signed error of a prediction in percent of the measurement."""
    return 100 * (predicted - measured) / measured


def statistics(predicted: Sequence[float], measured: Sequence[float]) -> Statistics:
    """Return the statistics of layers, both sequences in one order."""
    p, m = np.asarray(predicted, float), np.asarray(measured, float)
    if not p.size:
        return Statistics(0, None, None, None, None, None)
    errors = 100 * (p - m) / m
    return Statistics(
        layers=p.size,
        mape=float(np.mean(np.abs(errors))),
        largest_error_pct=float(errors[np.argmax(np.abs(errors))]),
        total_error_pct=error_pct(float(p.sum()), float(m.sum())),
        r2=_r2(p, m),
        rank_correlation=_correlation(_ranks(p), _ranks(m)),
    )


def _r2(p: np.ndarray, m: np.ndarray) -> float | None:
    spread = float(np.sum((m - m.mean()) ** 2))
    return 1 - float(np.sum((m - p) ** 2)) / spread if spread else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value from 1; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt(np.sum(a**2) * np.sum(b**2)))
    return float(np.sum(a * b)) / spread if spread else None
