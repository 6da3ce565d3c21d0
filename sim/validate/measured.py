"""What was measured, and what a format of measurements is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sim import textfile
from sim.errors import ConfigError, Problem
from sim.registry import Registry

TOTAL = "total"
"""Name of a row that holds the whole network."""

Statistic = Literal["min", "avg", "max"]


@dataclass(frozen=True)
class Measured:
    """One measurement: cycles, or seconds with the frequency (Hz) where it is known; off-chip bytes where counted."""

    name: str
    cycles: float | None = None
    seconds: float | None = None
    frequency: float | None = None
    bytes: int | None = None

    def in_cycles(self, clock: float) -> float:
        """Return the cycles; a time becomes cycles of its own frequency, else of `clock` (Hz)."""
        if self.cycles is not None:
            return self.cycles
        return (self.seconds or 0.0) * (self.frequency or clock)


@dataclass(frozen=True)
class Measurements:
    """All of a file: the rows in order, how its numbers came to be, and what could not be used."""

    file: str
    format: str
    rows: tuple[Measured, ...]
    about: str
    notes: tuple[str, ...] = ()
    alone: bool = False
    """Whether each row was measured in a run of its own."""


@dataclass(frozen=True)
class Choices:
    """What a user may say about a file: which statistic of several runs, which signals of a trace, its clock.

    `inputs` and `outputs` are (valid[, ready[, last]]) signals, `clock_signal` the clock of a VCD.
    """

    statistic: Statistic = "avg"
    inputs: tuple[tuple[str, ...], ...] = ()
    outputs: tuple[tuple[str, ...], ...] = ()
    clock_signal: str | None = None


class Format(ABC):
    """A file format of measurements. One object a file in `formats/`."""

    name: str
    title: str

    @abstractmethod
    def recognizes(self, text: str) -> bool:
        """Return whether a file that holds `text` looks like one of this format."""

    @abstractmethod
    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return what `text` holds; ConfigError says what is wrong in `file`, and where."""


FORMATS: Registry[Format] = Registry("format of measurements", "sim.validate.formats")


def read(path: str | Path, choices: Choices = Choices(), wanted: str | None = None) -> Measurements:
    """Return the measurements in the file at `path`, in the format `wanted` or the one that it looks like.

    ConfigError where the file is missing, empty or wrong.
    """
    text = textfile.read(path)
    if not text.strip():
        raise ConfigError(Problem("is empty", str(path)))
    name = wanted or next((name for name in FORMATS if FORMATS[name].recognizes(text)), "csv")
    found = FORMATS[name].read(text, str(path), choices)
    names = [row.name for row in found.rows]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ConfigError(*(Problem(f"layer '{name}' stands in it more than once", str(path)) for name in twice))
    return found


def whole(text: str) -> int | None:
    """Return the whole number that `text` is, in plain digits; None where it is none."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() else None
