"""Where points are simulated: in this process, in processes of this machine, or wherever an executor leads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
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


class Workers:
    """An executor with what a sweep needs to know of it: how many work at once, and how to stop them early."""

    def __init__(self, executor: Executor, count: int, call: Evaluate = evaluate, stop: Event | None = None) -> None:
        self.executor, self.count, self.call, self._stop = executor, count, call, stop

    def submit(self, works: list[Work]) -> Future[list[Outcome]]:
        """Return the outcomes to be."""
        return self.executor.submit(self.call, works)

    def stop(self) -> None:
        """Let every worker return after the point that it is at."""
        if self._stop is not None:
            self._stop.set()


@contextmanager
def workers(jobs: int | None = None, executor: Executor | None = None, dask: str | None = None) -> Iterator[Workers]:
    """Yield the workers: those of a given executor, of a Dask cluster by address, or `jobs` processes (all cores)."""
    if executor is not None:
        yield Workers(executor, jobs or getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
        return
    if dask is not None:
        yield from _cluster(dask)
        return
    count = jobs or os.cpu_count() or 1
    if count == 1:
        yield Workers(Here(), 1)
        return
    yield from _processes(count)


def _processes(count: int) -> Iterator[Workers]:
    # A fork has everything loaded, also what a notebook cell registered; elsewhere it is not to be had.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    stop = context.Event()
    pool = ProcessPoolExecutor(count, context, _prepare, (stop,))
    try:
        yield Workers(pool, count, _evaluate, stop)
    finally:
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
        yield Workers(client.get_executor(), threads)
