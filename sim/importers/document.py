"""What importers share: a text file read with clear errors, and plain data written as YAML, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import ConfigError, Problem

_PLAIN = re.compile(r"(?!(?:null|true|false)$)[a-z_][a-z0-9_.-]*", re.IGNORECASE | re.ASCII)
_WIDTH = 100


@dataclass(frozen=True)
class Imported:
    """A foreign file as this project's own: `data` to write, `notes` for its reader, `counts` of what it holds."""

    data: dict[str, Any]
    notes: tuple[str, ...]
    counts: dict[str, int]


def read_text(path: Path) -> str:
    """Return the text of `path`, a byte order mark taken off.

    Raises ConfigError where there is no such file, or it is a folder, is empty or is no text.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(Problem("no such file", file=file)) from None
    except IsADirectoryError:
        raise ConfigError(Problem("is a folder, not a file", file=file)) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem("is not a text file (UTF-8)", file=file)) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", file=file)) from None
    if not text.strip():
        raise ConfigError(Problem("is empty", file=file))
    return text


def write(data: Mapping[str, Any], path: Path, notes: Sequence[str] = ()) -> str:
    """Write `data` to `path` as YAML under `notes` as comments, and return the text.

    It is written beside `path` and then renamed, so that `path` never holds a part of it. Raises
    ConfigError where it cannot be written.
    """
    text = to_yaml(data, notes)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", file=str(path))) from None
    finally:
        with suppress(OSError):  # it was renamed, or there is no such folder
            partial.unlink()
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
