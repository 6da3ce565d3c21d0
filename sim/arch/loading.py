"""From a name to a chip: find the file, lay it over what it extends, set what is overridden, check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim import library
from sim.arch.chip import Arch
from sim.arch.overrides import override
from sim.errors import ConfigError
from sim.yamlfile import Document, check, in_order, read


def read_arch(name: str) -> Document:
    """Return the document of the arch called `name`, laid over all that it extends."""
    return _read(library.find("arch", name), ())


def _read(path: Path, below: tuple[Path, ...]) -> Document:
    document = read(path, library.shown(path))
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise document.error(("extends",), "must name one arch file")
    try:
        parent = library.find("arch", base, beside=path.parent)
    except ConfigError as error:
        raise document.error(("extends",), str(error)) from None
    if parent.resolve() in {p.resolve() for p in (*below, path)}:
        chain = " -> ".join(p.stem for p in (*below, path, parent))
        raise document.error(("extends",), f"extends itself: {chain}")
    return document.over(_read(parent, (*below, path)))


def build(document: Document) -> Arch:
    """Return the Arch that `document` describes; ConfigError with all of its problems otherwise."""
    arch, problems = check(Arch, document)
    if arch is None:
        raise ConfigError(*in_order(problems))
    try:
        library.find("energy", arch.technology)
    except ConfigError as error:
        raise document.error(("technology",), str(error)) from None
    return arch


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Arch:
    """Return the arch called `name` (library or path) with `overrides` by dotted key applied."""
    return build(override(read_arch(name), overrides or {}))
