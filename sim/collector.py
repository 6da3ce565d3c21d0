"""Pauses of the garbage collector, which would go through all that is remembered again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Keep the garbage collector from starting by itself; what is needed no more and in no cycle goes all the same."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
