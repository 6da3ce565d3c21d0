"""Everything a user can get wrong, as one family of exceptions with one clear message each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class TiletickError(Exception):
    """A mistake of the user's, told in full by its message; the command line prints it and exits 2."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file: where it stands and what to do about it."""

    message: str
    file: str = ""
    line: int | None = None
    key: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = "" if self.key and place.endswith(f"--set {self.key}") else self.key
        return ": ".join(part for part in (place, key, self.message) if part)


class ConfigError(TiletickError):
    """One or more problems in a configuration, reported together in the order they stand in the file."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = tuple(problems)
        super().__init__(*problems)  # the arguments, so that a copy (another process, a re-raise) is the same

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class MissingUnit(ConfigError):
    """The chip has no unit of the kind that a layer needs."""


class MappingError(TiletickError):
    """A mapping that the architecture cannot execute."""


class CapacityError(MappingError):
    """Something does not fit into a memory: what, how much is needed, how much is there, and the way out."""

    def __init__(self, what: str, memory: str, needed: int, available: int, way_out: str) -> None:
        self.what, self.memory, self.needed, self.available = what, memory, needed, available
        self.way_out = way_out
        super().__init__(what, memory, needed, available, way_out)

    def __str__(self) -> str:
        return (
            f"{self.what} does not fit in {self.memory}: needs {self.needed} bytes, "
            f"{self.available} are available; {self.way_out}"
        )


class DeadlockError(TiletickError):
    """Nothing can move and work is left: who waits on what."""

    def __init__(self, waiting: Sequence[str]) -> None:
        self.waiting = tuple(waiting)
        super().__init__(self.waiting)

    def __str__(self) -> str:
        return "deadlock: no unit can go on\n" + "\n".join(f"  {line}" for line in self.waiting)


def nearest(value: object, choices: Iterable[str], likeness: float = 0.5) -> str | None:
    """Return the choice that `value` was probably meant to be, or None where none is as like it (0 to 1)."""
    choices = list(choices)
    found = difflib.get_close_matches(str(value).lower(), [c.lower() for c in choices], n=1, cutoff=likeness)
    return next((c for c in choices if found and c.lower() == found[0]), None)


def unknown(what: str, value: object, choices: Iterable[str]) -> str:
    """Say that `value` is no known `what`, which one is nearest, and which there are."""
    names = sorted(choices)
    if not names:
        return f"unknown {what} '{value}'; there is none to choose from"
    guess = nearest(value, names)
    hint = f"; did you mean '{guess}'?" if guess else ";"
    return f"unknown {what} '{value}'{hint} choose from: {', '.join(names)}"
