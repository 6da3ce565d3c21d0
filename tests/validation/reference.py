"""What the validation report compares: cases of a reference, with its origin and what is known of the differences."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"


@dataclass(frozen=True)
class Case:
    """One comparison. None stands for a run that does not end (a deadlock)."""

    name: str
    predicted: float | None
    reference: float | None

    @property
    def exact(self) -> bool:
        """Whether both sides say the same."""
        return self.predicted == self.reference

    @property
    def error_pct(self) -> float:
        """The signed error in percent of the reference; infinite where one side ends and the other does not."""
        if self.exact:
            return 0.0
        if self.predicted is None or self.reference is None:
            return float("inf")
        return 100 * (self.predicted - self.reference) / self.reference


@dataclass(frozen=True)
class Reference:
    """One row of the report.

    `measures` says what is compared, `origin` where the figures come from, `why` what makes the difference where
    there is one, `peers` what others publish for the same.
    """

    order: int
    title: str
    measures: str
    origin: str
    cases: Callable[[], Iterable[Case]]
    why: str = ""
    peers: str = ""
    listed: bool = False
    """Whether the report lists every case."""
    bound: bool = False
    """Whether the predicted figure is one that the reference must not exceed, so that it has no error."""


def rows(*place: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of the test data; lines that begin with # are comments."""
    lines = DATA.joinpath(*place).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
