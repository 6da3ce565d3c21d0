"""Files that differ from others: a document laid over the one that it extends, and that over the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sim import library
from sim.errors import ConfigError
from sim.yamlfile import Document, read


def read_extended(kind: str, path: Path, own: Sequence[str] = (), below: tuple[Path, ...] = ()) -> Document:
    """Return the document at `path` laid over all that it extends, each found by name or path.

    The keys in `own` tell of one file alone and do not carry over. Raises ConfigError where a base is not
    there or extends itself.
    """
    document = read(path, library.shown(path))
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise document.error(("extends",), f"must name one {kind} file")
    try:
        parent = library.find(kind, base, beside=path.parent)
    except ConfigError as error:
        raise document.error(("extends",), str(error)) from None
    if parent.resolve() in {p.resolve() for p in (*below, path)}:
        chain = " -> ".join(p.stem for p in (*below, path, parent))
        raise document.error(("extends",), f"extends itself: {chain}")
    under = read_extended(kind, parent, own, (*below, path))
    for key in own:
        under.data.pop(key, None)
    return document.over(under)
