"""A progress bar on the terminal, for runs that take longer than a second."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

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


def _started() -> Progress:
    """Return a bar that is on the screen; rich costs a tenth of a second, which most runs need not pay."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(transient=True, console=Console(stderr=True))
    bar.start()
    return bar
