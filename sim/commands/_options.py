"""Options that several commands share."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

from sim.errors import ConfigError, Problem
from sim.yamlfile import scalar

PIPE_WIDTH = 120
"""Columns of a text that goes to a file or a pipe."""


def width() -> int:
    """Return the columns that a text may have: those of the terminal, or COLUMNS, or PIPE_WIDTH."""
    return shutil.get_terminal_size((PIPE_WIDTH, 0)).columns


def add_set(parser: ArgumentParser) -> None:
    """Declare --set, which may be given any number of times."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="set a key of the chip or the network, as in --set array.rows=32 or --set batch=4",
    )  # fmt: skip


def overrides(settings: Sequence[str]) -> dict[str, Any]:
    """Return the values of --set by dotted key; ConfigError where one is no KEY=VALUE or a key comes twice."""
    found: dict[str, Any] = {}
    problems = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            problems.append(Problem("expected KEY=VALUE, as in --set array.rows=32", f"--set {setting}"))
        elif key in found:
            problems.append(Problem("is set twice", f"--set {key}"))
        else:
            found[key] = scalar(value)
    if problems:
        raise ConfigError(*problems)
    return found


def within(name: str, value: float | None, low: float, high: float = inf) -> None:
    """Raise ConfigError where the number of an option lies outside `low` to `high`, or is none; None is left out."""
    if value is not None and not low <= value <= high:
        span = f"from {low:g} to {high:g}" if isfinite(high) else f"{low:g} or more"
        raise ConfigError(Problem(f"must be {span}, not {value:g}", name))
