"""From a name to a chip: find the file, lay it over what it extends, set what is overridden, check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim import library
from sim.arch.chip import Arch
from sim.arch.overrides import override
from sim.errors import ConfigError
from sim.extends import read_extended
from sim.yamlfile import Document, check, in_order


def read_arch(name: str) -> Document:
    """Return the document of the arch called `name`, laid over all that it extends."""
    return read_extended("arch", library.find("arch", name))


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
