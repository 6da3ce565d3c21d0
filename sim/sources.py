"""What figures come from beside chip and network: the program itself, its tables, and files that a chip names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sim import library
from sim.extends import chain

_TABLES = ("energy", "area", "dram", "pim", "routing")
"""Shelves of the library whose files no digest of a chip or a network holds: both name them only."""


@cache
def code() -> str:
    """Return the SHA-256 of the program's sources and the tables of its library, as they are when first asked for.

    A version number stands still while a checkout changes; this does not.
    """
    here, found = Path(__file__).parent, hashlib.sha256()
    tables = [path for kind in _TABLES for path in (library.root() / library.SHELVES[kind]).glob("*.yaml")]
    for base, paths in ((here, here.rglob("*.py")), (library.root(), iter(tables))):
        for name, path in sorted((path.relative_to(base).as_posix(), path) for path in paths):
            found.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def named(data: Any) -> str:
    """Return the SHA-256 of the YAML files of the user's that stand in `data` by their path, and of those that they
    extend; "" where none does."""
    paths = sorted({Path(text) for text in _texts(data) if text.endswith((".yaml", ".yml"))})
    contents = [path.read_bytes() for first in paths if first.is_file() for path in chain(first)]
    return hashlib.sha256(b"\0".join(contents)).hexdigest() if contents else ""


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _texts(item)
