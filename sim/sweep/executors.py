"""Where points are simulated: in this process, in processes of this machine, or wherever an executor leads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from typing import Any

from sim import extras
from sim.errors import ConfigError, Problem
from sim.sweep.evaluate import Outcome, Work, evaluate

PATIENCE = "10s"
"""For how long a Dask scheduler may take to answer."""

Evaluate = Callable[[list[Work]], list[Outcome]]


class Here(Executor):
    """Runs at once, in this process, what is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call that is over."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Lane:
    """Where works go one call after the other: an executor, and points that are to go there next.

    At most `most` calls are under way. Where one process does `each` of them, it shares what it knows between calls:
    they can be as short as one likes.
    """

    def __init__(self, executor: Executor, most: int, each: bool, call: Evaluate = evaluate) -> None:
        self.executor, self.most, self.each, self.call = executor, most, each, call
        self.under_way = 0
        self.left: deque[int] = deque()

    def submit(self, works: list[Work]) -> Future[list[Outcome]]:
        """Return the outcomes to be."""
        return self.executor.submit(self.call, works)


class Workers:
    """The lanes of a sweep: how many work at once, and how to stop them early."""

    def __init__(self, lanes: Sequence[Lane], count: int, stop: Event | None = None) -> None:
        self.lanes, self.count, self._stop = lanes, count, stop

    def stop(self) -> None:
        """Let every worker return after the point that it is at."""
        if self._stop is not None:
            self._stop.set()


@contextmanager
def workers(jobs: int | None = None, executor: Executor | None = None, dask: str | None = None) -> Iterator[Workers]:
    """Yield the workers: those of a given executor, of a Dask cluster by address, or `jobs` processes (all cores)."""
    if executor is not None:
        yield _given(executor, jobs or getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
        return
    if dask is not None:
        yield from _cluster(dask)
        return
    count = jobs or os.cpu_count() or 1
    if count == 1:
        yield Workers([Lane(Here(), 1, each=True)], 1)
        return
    yield from _processes(count)


def _given(executor: Executor, count: int) -> Workers:
    """Return workers of whom nobody knows which takes what: one call at work and one waiting for each."""
    return Workers([Lane(executor, 2 * count, each=False)], count)


def _processes(count: int) -> Iterator[Workers]:
    # A fork has everything loaded, also what a notebook cell registered; elsewhere it is not to be had.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    stop = context.Event()
    pools = [ProcessPoolExecutor(1, context, _prepare, (stop,)) for _ in range(count)]
    try:
        yield Workers([Lane(pool, 2, each=True, call=_evaluate) for pool in pools], count, stop)
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


_stopped: Callable[[], bool] = bool
"""In a worker: whether the parent wants it to return. `bool()` is False: nobody has asked."""


def _prepare(stop: Event) -> None:
    """Let a worker leave Ctrl-C to its parent, and end when its parent is gone."""
    global _stopped
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stopped = stop.is_set
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=partial(_end_with, parent.sentinel), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when the parent has ended, killed or not: nobody would take its results."""
    wait([sentinel])
    os._exit(1)


def _evaluate(works: list[Work]) -> list[Outcome]:
    return evaluate(works, _stopped)


def _cluster(address: str) -> Iterator[Workers]:
    distributed = extras.load("distributed", "dask")
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(Problem(f"no Dask scheduler answers at {address} ({error})", "--dask")) from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise ConfigError(Problem(f"the Dask cluster at {address} has no workers", "--dask"))
        yield _given(client.get_executor(), threads)
