"""A search for spaces too large for a grid: Optuna proposes points, the sweep's executor simulates them.

The store is the memory: what it holds is looked up and not simulated again. Points are asked for in batches and told
in the order in which they were asked for, so that the same seed proposes the same points whoever simulates them:
a search that was stopped, or that is to go on longer, runs through what is stored in no time and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from sim import extras
from sim.errors import ConfigError, Problem
from sim.sweep.conditions import Terms
from sim.sweep.executors import workers
from sim.sweep.report import Report, Row
from sim.sweep.run import Course, Progress, Sweep
from sim.sweep.schema import is_axis
from sim.sweep.space import Space
from sim.sweep.store import Store

REPEATS = 10
"""Proposals for each point that is asked for, at most: a sampler that has settled proposes what it did before."""

BATCH = 8
"""Points proposed at once: enough for some workers, few enough for the sampler to learn."""


def search(
    source: str | Path | Mapping[str, Any] | Sweep,
    trials: int,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    jobs: int | None = None,
    executor: Executor | None = None,
    dask: str | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Return the report of the `trials` points, all different, that a multi-objective search has simulated.

    Proposals that were made before or that no constraint allows count for nothing; where nearly all are such, the
    search ends early. The points are those of the sweep: its axes, constraints and objectives. With one objective the
    sampler is a tree of Parzen estimators, with more NSGA-II. Raises ConfigError, and TiletickError where Optuna is
    missing.
    """
    optuna: Any = extras.load("optuna", "search")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweep = source if isinstance(source, Sweep) else Sweep(source)
    if trials < 1:
        raise ConfigError(Problem(f"must be at least 1, not {trials}", "trials"))
    folder = Path(out) if out is not None else Path(f"{sweep.file.name}.sweep")
    with Store(folder / "store.sqlite", sweep.digest, resume) as store, workers(jobs, executor, dask) as there:
        asking = Asking(optuna, sweep, seed)
        rows: dict[int, Row] = {}
        most = min(trials, sweep.space.size)
        while len(rows) < most and len(asking.asked) < REPEATS * trials:
            points = asking.ask(min(BATCH, most - len(rows)))
            fresh = sorted(set(points.values()) - set(rows))
            if fresh:
                Course(part_of(sweep, fresh), store, there, None, progress).run()
                outcomes = store.outcomes()
                rows |= {p: sweep.row(p, [outcomes.get(key) for key in sweep.keys(p)]) for p in fresh}
            asking.tell({trial: rows[point] for trial, point in points.items()})
    ordered = tuple(rows[point] for point in sorted(rows))
    return Report(sweep.file, sweep.objectives, ordered, dict(sweep.space.left_out))


def part_of(sweep: Sweep, points: list[int]) -> Sweep:
    """Return the sweep of some points alone."""
    part = object.__new__(type(sweep))
    space = sweep.space.take(points)
    vars(part).update(vars(sweep) | {"space": space, "_keys": {}, "terms": Terms(space, sweep.subject, sweep.areas)})
    return part


class Asking:
    """An Optuna study over the columns of a sweep: asks for points, tells what they cost."""

    def __init__(self, optuna: Any, sweep: Sweep, seed: int) -> None:
        self.sweep, self.asked = sweep, list[int]()
        single = len(sweep.objectives) == 1
        samplers = optuna.samplers
        sampler = samplers.TPESampler(seed=seed) if single else samplers.NSGAIISampler(seed=seed)
        directions = ["minimize"] * len(sweep.objectives)
        self.study = optuna.create_study(directions=directions, sampler=sampler)
        self.optuna = optuna
        self.free = [c for c in sweep.space.columns if len(c.values) > 1 and is_axis(sweep.file, c.key)]
        self.number = _numbers(sweep.space, [c.key for c in self.free])
        self.distributions = {
            c.key: optuna.distributions.CategoricalDistribution(list(range(len(c.values)))) for c in self.free
        }

    def ask(self, count: int) -> dict[Any, int]:
        """Return proposals to simulate, each trial to its point; those that no constraint allows are told at once."""
        found: dict[Any, int] = {}
        while len(found) < count:
            trial = self.study.ask(self.distributions)
            point = self.number.get(tuple(trial.params[c.key] for c in self.free))
            self.asked.append(-1 if point is None else point)
            if point is None:
                self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
                count -= 1
            else:
                found[trial] = point
        return found

    def tell(self, rows: Mapping[Any, Row]) -> None:
        """Tell what each trial cost, in the order in which they were asked for."""
        for trial, row in rows.items():
            if row.status == "done" and row.figures is not None:
                self.study.tell(trial, [o.cost(row.figures) for o in self.sweep.objectives])
            else:
                self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)


def _numbers(space: Space, keys: list[str]) -> dict[tuple[int, ...], int]:
    columns = [column for column in space.columns if column.key in keys]
    return {place: point for point, place in enumerate(zip(*(c.index.tolist() for c in columns), strict=True))}
