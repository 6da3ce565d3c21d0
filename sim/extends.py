"""Files that differ from others: a document laid over the one that it extends, and that over the next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
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


def chain(path: Path) -> list[Path]:
    """Return the file at `path` and those that it extends by path or beside it, one behind the other."""
    found = [path]
    while base := _base(str(found[-1]), found[-1].stat().st_mtime_ns):
        beside = found[-1].parent
        places = (Path(base), beside / base, beside / f"{base}.yaml")
        parent = next((place for place in places if place.is_file()), None)
        known = {path.resolve() for path in found}
        if parent is None or parent.resolve() in known:  # the library's by name, or a circle, which is told elsewhere
            break
        found.append(parent)
    return found


def stamp(kind: str, name: str) -> tuple[tuple[str, int], ...]:
    """Return the files behind `name` and when each was changed last: who keeps what they say reads them anew then."""
    return tuple((str(path.resolve()), path.stat().st_mtime_ns) for path in chain(library.find(kind, name)))


@lru_cache(maxsize=256)
def _base(path: str, changed: int) -> str:
    """Return what a file extends, '' where it extends nothing or cannot be read."""
    try:
        base = read(Path(path), path).data.get("extends", "")
    except ConfigError:
        return ""
    return base if isinstance(base, str) else ""
