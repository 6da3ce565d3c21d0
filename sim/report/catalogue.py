"""What there is to choose from: bundled chips and networks, operators, dataflows, energy tables, DRAM devices."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from sim import library, yamlfile
from sim.arch import read_arch
from sim.attention.mapping import MAPPINGS
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError, Problem, unknown
from sim.op import OPS
from sim.report.table import pairs

Entries = dict[str, str]


def _archs() -> Entries:
    return {name: str(read_arch(name).data.get("description", "")) for name in library.names("arch")}


def _files(shelf: str, key: str) -> Entries:
    return {name: str(yamlfile.read(library.find(shelf, name)).data.get(key, "")) for name in library.names(shelf)}


def _ops() -> Entries:
    return {name: (inspect.getdoc(OPS[name]) or "").partition("\n")[0] for name in OPS}


def _attention() -> Entries:
    return {name: (inspect.getdoc(inspect.getmodule(MAPPINGS[name])) or "").partition("\n")[0] for name in MAPPINGS}


CATALOGUES: dict[str, Callable[[], Entries]] = {
    "archs": _archs,
    "workloads": lambda: _files("workload", "title"),
    "ops": _ops,
    "dataflows": lambda: {name: DATAFLOWS[name].title for name in DATAFLOWS},
    "attention": _attention,
    "energy": lambda: _files("energy", "about"),
    "devices": lambda: _files("dram", "description") | _files("pim", "description"),
    "graphs": lambda: _files("graph", "title"),
}
"""Each kind of thing that can be listed, to what is there."""


def catalogue(kind: str) -> Entries:
    """Return the names of `kind` (see CATALOGUES), each with a line on what it is.

    Raises ConfigError for any other kind.
    """
    if kind not in CATALOGUES:
        raise ConfigError(Problem(unknown("list", kind, CATALOGUES)))
    return CATALOGUES[kind]()


def listing(kind: str | None, width: int) -> str:
    """Return what `list` prints: one kind, or all of them under their titles."""
    if kind is not None:
        return pairs(catalogue(kind).items(), width)
    return "\n".join(f"{each}\n{pairs(catalogue(each).items(), width, '  ')}" for each in CATALOGUES)
