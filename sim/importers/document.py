"""What importers share: what a foreign file became, and plain data written as YAML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sim import textfile
from sim.errors import ConfigError, Problem

_PLAIN = re.compile(r"(?!(?:null|true|false)$)[a-z_][a-z0-9_.-]*", re.IGNORECASE | re.ASCII)
_WIDTH = 100


@dataclass(frozen=True)
class Imported:
    """A foreign file as this project's own: `data` to write, `notes` for its reader, `counts` of what it holds."""

    data: dict[str, Any]
    notes: tuple[str, ...]
    counts: dict[str, int]


@dataclass(frozen=True)
class Report:
    """What an import made: the text of the file, what a reader must know of it, and what it holds.

    `kind` says whether it is a workload or an arch; `out` is where it was written, None for nowhere; `counts`
    what there is of each.
    """

    kind: Literal["workload", "arch"]
    source: Path
    out: Path | None
    text: str
    notes: tuple[str, ...]
    counts: dict[str, int]
    missing: tuple[str, ...] = ()
    """What the file has and is not modelled."""


def read_text(path: Path) -> str:
    """Return the text of `path`; ConfigError where it cannot be read or is empty."""
    text = textfile.read(path)
    if not text.strip():
        raise ConfigError(Problem("is empty", file=str(path)))
    return text


def write(data: Mapping[str, Any], path: Path, notes: Sequence[str] = ()) -> str:
    """Write `data` to `path` as YAML under `notes` as comments, and return the text.

    Raises ConfigError where it cannot be written; `path` then holds what it held before.
    """
    text = to_yaml(data, notes)
    textfile.write(path, text)
    return text


def to_yaml(data: Mapping[str, Any], notes: Sequence[str] = ()) -> str:
    """Return `data` as YAML 1.2, one entry of a top-level mapping or list a line, under `notes` as comments."""
    comments = [
        textwrap.fill(note, _WIDTH, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)
        for note in notes
    ]
    return "\n".join([*comments, *(_entry(key, value) for key, value in data.items())]) + "\n"


def _entry(key: str, value: Any) -> str:
    if isinstance(value, dict) and value:
        return "\n".join([f"{key}:", *(f"  {_flow(name)}: {_flow(item)}" for name, item in value.items())])
    if isinstance(value, list) and value:
        return "\n".join([f"{key}:", *(f"  - {_flow(item)}" for item in value)])
    return f"{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    """Return `value` on one line; a word that another YAML reader could take for a number is quoted."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
