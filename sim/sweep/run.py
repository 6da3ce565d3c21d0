"""A sweep from its file to its report: what is stored already is not simulated again, what is missing is."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.arch import build, read_arch
from sim.errors import ConfigError, Problem
from sim.sweep.areas import Vector, areas
from sim.sweep.batches import BATCH, PART, SECONDS, alike, alike_together, batches, even
from sim.sweep.conditions import Terms, complete, names_at
from sim.sweep.evaluate import Outcome, Work, work_of
from sim.sweep.executors import Lane, Workers, workers
from sim.sweep.figures import Objective, mean, objective
from sim.sweep.keys import Subject
from sim.sweep.pruning import Pruning
from sim.sweep.report import Report, Row
from sim.sweep.schema import SweepFile, checked, open_file
from sim.sweep.space import Space, points
from sim.sweep.store import Store
from sim.workload import open_workload
from sim.yamlfile import Document


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: points done (of which `failed`, `skipped`), and the least of the first objective so far."""

    total: int
    done: int
    failed: int
    skipped: int
    seconds: float
    fresh: int
    best: str

    @property
    def left_seconds(self) -> float | None:
        """Seconds that the rest will take at the rate so far; None while nothing is known."""
        return self.seconds / self.fresh * (self.total - self.done) if self.fresh else None


class Sweep:
    """A sweep that is ready to run: its points, with constraints applied and keys computed, and its objectives.

    Raises ConfigError with everything that is wrong with the file.
    """

    def __init__(self, source: str | Path | Mapping[str, Any]) -> None:
        if isinstance(source, Mapping):
            self.document = Document("sweep", dict(source))
            self.file: SweepFile = checked(self.document)
        else:
            self.file, self.document = open_file(str(source))
        self._keys: dict[int, tuple[str, ...]] = {}
        self.subject = Subject(self._chip(), tuple(self.file.workloads))
        self.objectives = self._objectives()
        self._open_workloads()
        space = points(self.file, self.document, self.subject)
        self.space, self.conditions = complete(space, self.file, self.document, self.subject, self.areas)
        self.terms = Terms(self.space, self.subject, self.areas)

    def _chip(self) -> Document:
        try:
            chip = read_arch(self.file.arch)
            build(chip)
        except ConfigError as error:
            raise ConfigError(*(self.document.problem(("arch",), str(p)) for p in error.problems)) from None
        return chip

    def _open_workloads(self) -> None:
        problems = list[Problem]()
        for name in self.file.workloads:
            try:
                open_workload(name)
            except ConfigError as error:
                problems += [self.document.problem(("workloads", name), str(p)) for p in error.problems]
        if problems:
            raise ConfigError(*problems)

    def _objectives(self) -> tuple[Objective, ...]:
        found, problems = list[Objective](), list[Problem]()
        for place, text in enumerate(self.file.objectives):
            try:
                found.append(objective(text))
            except ValueError as error:
                problems.append(self.document.problem(("objectives", place), str(error)))
        if problems:
            raise ConfigError(*problems)
        return tuple(found)

    @property
    def digest(self) -> str:
        """SHA-256 of what decides which points there are and what they cost."""
        kept = {k: v for k, v in self.document.data.items() if k not in ("description", "objectives", "prune")}
        text = json.dumps([kept, self.subject.chip.digest()], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def areas(self, space: Space) -> Vector:
        """Return the mm2 of every point; 0 where a chip cannot be built."""
        return areas(self.subject, space)

    def works(self, point: int) -> list[Work]:
        """Return what there is to simulate for a point: each network on its chip."""
        chip, settings = self.subject.settings(self.space.targets(point))
        return [work_of(chip, name, settings, self.file.layers) for name in self.file.workloads]

    def keys(self, point: int) -> tuple[str, ...]:
        """Return the keys of the works of a point."""
        if point not in self._keys:
            self._keys[point] = tuple(work.key for work in self.works(point))
        return self._keys[point]

    def row(self, point: int, outcomes: Sequence[Outcome | None]) -> Row:
        """Return what is known of a point from the outcomes of its works."""
        settings, weights = self.space.settings(point), list(self.file.workloads.values())
        there = [o for o in outcomes if o is not None]
        error = next((o.error for o in there if o.error), None)
        if error or len(there) < len(weights):
            return Row(point, settings, None, error, True)
        figures = mean([(w, o.figures or {}) for w, o in zip(weights, there, strict=True)])
        return Row(point, settings, figures, None, self._holds(point, figures))

    def _holds(self, point: int, figures: Mapping[str, float]) -> bool:
        if not self.conditions:
            return True
        names = names_at(self.space, point, self.conditions, self.terms)
        return all(c.holds(names | {n: figures.get(_plain(n), 0.0) for n in c.figures}) for c in self.conditions)


def _plain(name: str) -> str:
    return objective(name).figure


def run_sweep(
    source: str | Path | Mapping[str, Any] | Sweep,
    *,
    out: str | Path | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    dask: str | None = None,
    resume: bool = False,
    prune: bool | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Return the report of a sweep (a file by name or path, its data, or a Sweep), simulating what is missing.

    Results are kept in the folder `out` (NAME.sweep) as they come. Work is done by `executor`, by the Dask
    cluster at the address `dask`, or by `jobs` processes (all cores). `resume` goes on in the store of another sweep.
    `prune` decides, instead of the file, whether points are skipped that a lower bound proves to be off the front.
    Raises ConfigError.
    """
    sweep = source if isinstance(source, Sweep) else Sweep(source)
    folder = Path(out) if out is not None else Path(f"{sweep.file.name}.sweep")
    pruning = Pruning.of(sweep) if (sweep.file.prune if prune is None else prune) else None
    with Store(folder / "store.sqlite", sweep.digest, resume) as store:
        with workers(jobs, executor, dask) as there:
            Course(sweep, store, there, pruning, progress).run()
        return report(sweep, store.outcomes())


def report(sweep: Sweep, outcomes: Mapping[str, Outcome]) -> Report:
    """Return the report of what is stored of a sweep."""
    rows = [sweep.row(p, [outcomes.get(key) for key in sweep.keys(p)]) for p in range(sweep.space.size)]
    return Report(sweep.file, sweep.objectives, tuple(rows), dict(sweep.space.left_out))


class Course:
    """One run of a sweep: chunks of points go to the workers, outcomes come back and are stored, until none is left."""

    def __init__(
        self, sweep: Sweep, store: Store, there: Workers, pruning: Pruning | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:  # fmt: skip
        self.sweep, self.store, self.there, self.pruning, self.tell = sweep, store, there, pruning, progress
        self.began = time.monotonic()
        self.done = self.failed = self.fresh = 0
        self.least: float | None = None
        self.known: dict[str, Outcome] = store.outcomes()
        self.wanting: dict[str, list[int]] = {}
        """Each key that is missing, to the points that it completes."""
        self.sent: set[str] = set()
        self.running: dict[Future[list[Outcome]], Lane] = {}

    def run(self) -> None:
        """Simulate what the store lacks; on Ctrl-C keep what is done, and pass it on."""
        self._look_up()
        self._report()
        to_come = self._batches()
        try:
            while self._fill(to_come) or self.running:
                self._take(wait(self.running, return_when=FIRST_COMPLETED).done)
        except KeyboardInterrupt:
            self.there.stop()
            for future in list(self.running):
                future.cancel()
            self._take({f for f in wait(self.running, timeout=60).done if not f.cancelled()})
            self._recount()
            raise

    def _recount(self) -> None:
        """Count what is stored: the interrupt may have come between storing and counting."""
        there = self.store.keys()
        self.done = sum(all(k in there for k in self.sweep.keys(p)) for p in range(self.sweep.space.size))
        self._report()

    def _look_up(self) -> None:
        """Find out what is stored and what is missing."""
        for point in range(self.sweep.space.size):
            lacking = [key for key in self.sweep.keys(point) if key not in self.known]
            for key in lacking:
                self.wanting.setdefault(key, []).append(point)
            if not lacking:
                self._finish(point)

    def _finish(self, point: int) -> None:
        row = self.sweep.row(point, [self.known[key] for key in self.sweep.keys(point)])
        self.done += 1
        self.failed += row.error is not None
        if row.figures is not None and row.feasible:
            cost = self.sweep.objectives[0].cost(row.figures)
            self.least = cost if self.least is None else min(self.least, cost)
            if self.pruning:
                self.pruning.simulated(point, row.figures)

    def _batches(self) -> Iterator[list[int]]:
        """Yield the points that lack something, alike ones together; where any may be skipped, scouts first."""
        space = self.sweep.space
        lacking = {point for points in self.wanting.values() for point in points}
        kinds, order = alike(space), alike_together(space)
        if self.pruning:
            for point in self.pruning.scouts(lacking):
                yield [point]
            order = self.pruning.order(order, kinds)
        left = [int(point) for point in order if int(point) in lacking]
        few = even(kinds[left], self.there.count)
        kept = SECONDS if self.there.count > 1 else PART
        yield from batches(left, kinds, lambda: max(1, min(BATCH, few, self._points_in(kept, kept / 8))))

    def _points_in(self, seconds: float, first: float) -> int:
        """Return how many points a worker does in so many seconds; each takes `first` as long as none is done."""
        pace = (time.monotonic() - self.began) * self.there.count / self.fresh if self.fresh else first
        return int(seconds / max(pace, 1e-6))

    def _fill(self, to_come: Iterator[list[int]]) -> bool:
        """Keep the workers busy; return whether any got something."""
        sent = False
        for lane in self.there.lanes:
            while lane.under_way < lane.most and (works := self._next(lane, to_come)):
                self.running[lane.submit(works)] = lane
                lane.under_way += 1
                sent = True
        return sent

    def _next(self, lane: Lane, to_come: Iterator[list[int]]) -> list[Work]:
        """Return what a lane is to do in its next call; nothing where nothing is left."""
        works: list[Work] = []
        while not works:
            if not lane.left:
                lane.left.extend(next(to_come, ()))
                if not lane.left:
                    break
            most = max(1, self._points_in(PART, PART)) if lane.each else len(lane.left)
            points = [lane.left.popleft() for _ in range(min(most, len(lane.left)))]
            works = self._wanted([p for p in points if self.pruning is None or not self.pruning.skips(p)])
        return works

    def _wanted(self, points: Sequence[int]) -> list[Work]:
        """Return the works of points that are wanted and were not sent yet, and remember them."""
        works = [work for point in points for work in self.sweep.works(point) if work.key in self.wanting]
        fresh = {work.key: work for work in works if work.key not in self.sent}
        self.sent |= fresh.keys()
        return list(fresh.values())

    def _take(self, futures: set[Future[list[Outcome]]]) -> None:
        for future in futures:
            self.running.pop(future).under_way -= 1
            try:
                outcomes = future.result()
            except BrokenProcessPool:
                told = "a worker process died (out of memory, or killed); what is stored is safe: try fewer --jobs"
                raise ConfigError(Problem(told, str(self.store.path))) from None
            self.store.add(outcomes)
            self.fresh += len(outcomes)
            self._complete(outcomes)
        self._report()

    def _complete(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.known[outcome.key] = outcome
            for point in self.wanting.pop(outcome.key, ()):
                if all(key in self.known for key in self.sweep.keys(point)):
                    self._finish(point)

    def _report(self) -> None:
        if self.tell:
            skipped = len(self.pruning.skipped) if self.pruning else 0
            best = "" if self.least is None else f"{self.sweep.objectives[0].title} {abs(self.least):,.6g}"
            done, total = self.done + skipped, self.sweep.space.size
            seconds = time.monotonic() - self.began
            self.tell(Progress(total, done, self.failed, skipped, seconds, self.fresh, best))
