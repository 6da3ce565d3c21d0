"""What a sweep found: a row a point, the front among them, and the forms in which others take it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim import extras, textfile
from sim.errors import ConfigError, Problem
from sim.sweep.figures import Figures, Objective
from sim.sweep.front import Costs, front
from sim.sweep.schema import SweepFile


@dataclass(frozen=True)
class Row:
    """A point: the value of every key, and its figures, or its error, or neither where it was not simulated.

    `feasible` is false where a constraint on figures does not hold.
    """

    point: int
    settings: Mapping[str, Any]
    figures: Figures | None
    error: str | None
    feasible: bool

    @property
    def status(self) -> str:
        """What became of the point: done, infeasible, failed, or skipped."""
        if self.error is not None:
            return "failed"
        return "skipped" if self.figures is None else "done" if self.feasible else "infeasible"


@dataclass(frozen=True)
class Report:
    """All that is known of a sweep's points. `left_out` counts the points that each constraint excluded."""

    sweep: SweepFile
    objectives: tuple[Objective, ...]
    rows: tuple[Row, ...]
    left_out: Mapping[str, int]

    @property
    def done(self) -> list[Row]:
        """The points that were simulated and satisfy every constraint."""
        return [row for row in self.rows if row.status == "done"]

    def count(self, status: str) -> int:
        """Return how many points are done, infeasible, failed or skipped."""
        return sum(row.status == status for row in self.rows)

    def costs(self) -> Costs:
        """Return the objectives of the points that are done, (points, objectives), less being better."""
        wanted = {objective.figure for objective in self.objectives}
        missing = sorted({name for row in self.done for name in wanted - set(row.figures or ())})
        if missing:
            known = sorted(self.done[0].figures or {})
            there = ", ".join(known[:12])
            raise ConfigError(Problem(f"no figure '{missing[0]}' in these results; there are: {there}, ...",
                                      self.sweep.name, key="objectives"))  # fmt: skip
        costs = [[o.cost(row.figures or {}) for o in self.objectives] for row in self.done]
        return np.array(costs, dtype=np.float64).reshape(len(costs), len(self.objectives))

    def front(self) -> list[Row]:
        """Return the points that no other beats in one objective without losing in another."""
        done = self.done
        return [done[i] for i in front(self.costs())]

    def table(self, rows: Sequence[Row] | None = None) -> tuple[list[str], list[list[Any]]]:
        """Return titles and a line a point: number, status, keys, figures (objectives first), error."""
        rows = self.rows if rows is None else rows
        keys = list(self.rows[0].settings) if self.rows else []
        own = list(dict.fromkeys(o.figure for o in self.objectives))
        rest = sorted({name for row in rows for name in row.figures or () if name not in own})
        lines = [
            [row.point, row.status, *(_cell(row.settings[key]) for key in keys),
             *((row.figures or {}).get(name, "") for name in (*own, *rest)), row.error or ""]
            for row in rows
        ]  # fmt: skip
        return ["point", "status", *keys, *own, *rest, "error"], lines

    def to_csv(self) -> str:
        """Return the table as CSV; the same points give the same bytes, in whatever order they were simulated."""
        return _csv(*self.table())

    def front_csv(self) -> str:
        """Return the table of the front alone as CSV."""
        return _csv(*self.table(self.front()))

    def to_dataframe(self) -> Any:
        """Return the table as a pandas DataFrame; ConfigError where pandas is not installed."""
        titles, lines = self.table()
        frame = extras.load("pandas", "tables").DataFrame(lines, columns=titles)
        return frame.replace("", None).infer_objects() if len(lines) else frame

    def export(self, path: str | Path) -> None:
        """Write the table to a .csv or .parquet file; ConfigError for another ending, and where it cannot be."""
        ending = Path(path).suffix
        if ending == ".csv":
            textfile.write(path, self.to_csv())
        elif ending == ".parquet":
            self._parquet(path)
        else:
            raise ConfigError(Problem(f"ends in '{ending}'; write to a file that ends in .csv or .parquet", str(path)))

    def _parquet(self, path: str | Path) -> None:
        arrow, parquet = extras.load("pyarrow", "tables"), extras.load("pyarrow.parquet", "tables")
        titles, lines = self.table()
        columns = {title: _column([line[i] for line in lines]) for i, title in enumerate(titles)}
        try:
            parquet.write_table(arrow.table(columns), str(path))
        except OSError as error:
            raise ConfigError(Problem(f"cannot be written: {error}", str(path))) from None


def _csv(titles: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([titles, *lines])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _column(cells: Sequence[Any]) -> list[Any]:
    """Return cells of one type: numbers, or texts; None where there is nothing."""
    found = [None if cell == "" else cell for cell in cells]
    number = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in found if cell is not None)
    if number:
        whole = all(isinstance(cell, int) for cell in found if cell is not None)
        return found if whole else [None if cell is None else float(cell) for cell in found]
    return [None if cell is None else str(cell) for cell in found]
