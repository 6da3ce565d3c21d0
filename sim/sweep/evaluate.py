"""One point of a sweep, simulated: what a worker does, here, in another process, or on another machine."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import process_time
from typing import Any

from sim import arch as arch_module
from sim import collector, sources
from sim.area import area_of
from sim.errors import ConfigError, Problem, TiletickError
from sim.graph import Graph
from sim.mapper import Trials
from sim.simulate import simulate
from sim.sweep.figures import Figures, figures_of
from sim.version import __version__
from sim.workload import open_workload
from sim.yamlfile import Document

FAILURES = (
    TiletickError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NotImplementedError,
    RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What a point may fail with: a chip that cannot be, a network that does not fit, errors in a plug-in or in here."""

TIDY = 30.0
"""CPU seconds between two looks of the collector at all that is remembered; each takes some tenths of one."""

_tidied = 0.0
"""When the last of them was, in CPU seconds of this process."""

_TRIALS = Trials()
"""What candidates took, for all points that this process simulates."""


@dataclass(frozen=True)
class Work:
    """A network on a chip: `key` tells it from every other, also of the program with another `code`."""

    key: str
    chip: Document
    workload: str
    settings: tuple[tuple[str, Any], ...]
    layers: str | None
    arch_sha256: str
    workload_sha256: str
    code: str


@dataclass(frozen=True)
class Outcome:
    """What became of a Work: figures, or the error that it failed with."""

    key: str
    arch_sha256: str
    workload_sha256: str
    figures: Figures | None = None
    error: str | None = None


def work_of(chip: Document, workload: str, settings: dict[str, Any], layers: str | None) -> Work:
    """Return the Work of a network on a chip; a network that cannot be built gets a digest of its own."""
    arch_sha256 = chip.digest()
    items = tuple(sorted(settings.items(), key=lambda item: item[0]))
    try:
        workload_sha256 = graph_of(workload, json.dumps(items)).digest
    except TiletickError:
        workload_sha256 = hashlib.sha256(f"{workload} {items}".encode()).hexdigest()
    text = json.dumps([sources.code(), sources.named(chip.data), arch_sha256, workload_sha256, layers])
    key = hashlib.sha256(text.encode()).hexdigest()
    return Work(key, chip, workload, items, layers, arch_sha256, workload_sha256, sources.code())


@lru_cache(maxsize=64)
def graph_of(workload: str, settings: str) -> Graph:
    """Return a network with its settings (as JSON), opened once in a process."""
    return open_workload(workload, dict(json.loads(settings)))


def evaluate(works: Sequence[Work], stopped: Callable[[], bool] = lambda: False) -> list[Outcome]:
    """Return the outcome of each work, in order; fewer of them where `stopped` says so in between.

    Raises ConfigError where the program that asks is not the one that is here.
    """
    asked = {work.code for work in works} - {sources.code()}
    if asked:
        told = f"has tiletick {__version__} (code {sources.code()[:8]}), and is asked by one of code {min(asked)[:8]}"
        raise ConfigError(Problem(f"{told}; install the same on all machines, then start it anew", "a worker"))
    found = []
    with collector.paused():
        for work in works:
            if stopped():
                break
            found.append(_evaluate(work))
            _tidy()
    return found


def _tidy() -> None:
    """Let go of what a point left in cycles, and now and then of what was remembered and is no more."""
    global _tidied
    gc.collect(0)
    if process_time() - _tidied > TIDY:
        gc.collect()
        _tidied = process_time()


def _evaluate(work: Work) -> Outcome:
    figures, message = None, None
    try:
        chip = arch_module.build(work.chip)
        graph = graph_of(work.workload, json.dumps(work.settings))
        digests = {"arch_sha256": work.arch_sha256, "workload_sha256": graph.digest, "overrides": {}}
        result = simulate(chip, graph, digests, layers=work.layers, trials=_TRIALS)
        figures = figures_of(result, area_of(chip))
    except FAILURES as error:
        mine = isinstance(error, TiletickError)
        message = str(error) if mine else f"{type(error).__name__}: {error} (an error in the simulator or a plug-in)"
    return Outcome(work.key, work.arch_sha256, work.workload_sha256, figures, message)
