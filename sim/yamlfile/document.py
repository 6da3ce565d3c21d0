"""A parsed file: plain data, and where in which file each key of it stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sim.errors import ConfigError, Problem

Path_ = tuple[str | int, ...]
SETTING = "--set "
"""How the place of a value begins that stands in no file."""


@dataclass
class Document:
    """A parsed file: plain `data`, and for each key path the file and line where it stands."""

    file: str
    data: dict[str, Any]
    places: dict[Path_, tuple[str, int | None]] = field(default_factory=dict)

    def problem(self, path: Path_, message: str, about: Sequence[Path_] = ()) -> Problem:
        """Return a Problem at `path`, or at the nearest enclosing key that has a line.

        Where a --set is behind one of the keys that it is `about`, the setting is named, not the file.
        """
        settings = [place for place in map(self._place, (path, *about)) if place[0].startswith(SETTING)]
        file, line = settings[0] if settings else self._place(path)
        return Problem(message, file=file, line=line, key=dotted(path))

    def is_set(self, path: Path_) -> bool:
        """Return whether a --set of its own gave `path` its value."""
        return self.places.get(path, ("", None))[0].startswith(SETTING)

    def _place(self, path: Path_) -> tuple[str, int | None]:
        known = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.places), ())
        return self.places.get(known, (self.file, None))

    def error(self, path: Path_, message: str) -> ConfigError:
        """Return a ConfigError with the one problem at `path`."""
        return ConfigError(self.problem(path, message))

    def over(self, base: Document) -> Document:
        """Return `base` with this document laid over it: mappings merge, everything else replaces.

        A mapping of another `kind` than the one below it replaces it too: its keys are not that one's.
        """
        merged = _merge(base.data, self.data)
        places = {p: place for p, place in base.places.items() if _holds(merged, p)}
        return Document(self.file, merged, places | self.places)

    def with_override(self, path: Path_, value: Any) -> Document:
        """Return a copy with `value` at `path`, its place named as the --set that put it there."""
        data: dict[str, Any] = _merge(self.data, {})
        place: Any = data
        for key in path[:-1]:
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        place[path[-1]] = value
        kept = {p: place for p, place in self.places.items() if p[: len(path)] != path}
        return Document(self.file, data, kept | {path: (f"{SETTING}{dotted(path)}", None)})

    def digest(self) -> str:
        """Return the SHA-256 of the data, independent of key order and comments."""
        return hashlib.sha256(json.dumps(self.data, sort_keys=True, default=str).encode()).hexdigest()


def dotted(path: Path_) -> str:
    """Write a key path as users do: units.array.rows, layers[3].pad."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def _holds(data: Any, path: Path_) -> bool:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {k: _merge(v, {}) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict) and not _of_another_kind(below, value)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _of_another_kind(base: Mapping[str, Any], top: Mapping[str, Any]) -> bool:
    return "kind" in base and "kind" in top and base["kind"] != top["kind"]
