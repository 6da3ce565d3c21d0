"""A progress bar on the terminal, for runs that take longer than a second."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from sim.sweep import Progress as SweepProgress

PATIENCE = 1.0
"""Seconds before the bar appears."""


class Bar:
    """Shows how many layers are done, on standard error and only where that is a terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._live = sys.stderr.isatty()
        self._bar: Progress | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, done: int, total: int, layer: str) -> None:
        """Show that `done` of `total` layers are done and that `layer` is next."""
        if self._bar is None and self._live and time.monotonic() - self._began > PATIENCE:
            self._bar = _started()
            self._task = self._bar.add_task(layer, total=total)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=layer)


class SweepBar:
    """Shows on a terminal how far a sweep is: points done, rate, time left, best so far; after Ctrl-C, what is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bar = Bar()
        self._last: SweepProgress | None = None

    def __enter__(self) -> SweepBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
        if kind is KeyboardInterrupt and self._last is not None:
            kept = f"{self._last.done:,} of {self._last.total:,} points are stored in {self._folder}"
            sys.stderr.write(f"{kept}; the same command goes on from there\n")

    def advance(self, progress: SweepProgress) -> None:
        """Show how far it is."""
        self._last = progress
        self._bar.advance(progress.done, progress.total, told(progress))


def told(progress: SweepProgress) -> str:
    """Return the progress of a sweep in a line: '12/90, 3.1 points/s, 25 s left, best cycles 1,166'."""
    words = [f"{progress.done:,}/{progress.total:,}"]
    if progress.left_seconds is not None and progress.seconds > 0:
        words.append(f"{progress.fresh / progress.seconds:.3g} points/s")
        words.append(f"{timedelta(seconds=round(progress.left_seconds))} left")
    words += [f"best {progress.best}"] * bool(progress.best)
    words += [f"{progress.skipped:,} skipped"] * bool(progress.skipped)
    words += [f"{progress.failed:,} failed"] * bool(progress.failed)
    return ", ".join(words)


def _started() -> Progress:
    """Return a bar that is on the screen; rich costs a tenth of a second, which most runs need not pay."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(transient=True, console=Console(stderr=True))
    bar.start()
    return bar
