"""One name, be it of a chip, a network, an energy table or a DRAM device: as text, or as the schema of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim import arch, dram, inline, library, pim, workload, yamlfile
from sim.errors import ConfigError, Problem, unknown
from sim.report.chip import chip_text
from sim.report.device import device_text
from sim.report.graph import graph_text
from sim.report.network import network_text
from sim.report.pim import pim_text
from sim.report.schema import MODELS, schema
from sim.report.technology import figures
from sim.streaming import schema as graphs


def show(name: str | None, overrides: Mapping[str, Any] | None = None, width: int = 120) -> str:
    """Return the chip, network, energy table or DRAM device called `name` as text in lines of `width` characters.

    Raises ConfigError where none is called so, or its file has problems.
    """
    if name is None:
        raise ConfigError(Problem("show needs the name of a chip or a network (or --schema)"))
    kind = kind_of(name)
    if kind == "arch":
        chip = arch.load(name, overrides)
        return chip_text(chip, width) + ("\n" + pim_text(chip.pim.open(), width) if chip.pim else "")
    if kind == "energy":
        return figures(name, width)
    if kind == "dram":
        return device_text(dram.load(name, overrides), width)
    if kind == "pim":
        return pim_text(pim.load(name, overrides), width)
    if kind == "graph":
        return graph_text(graphs.load(name, overrides or {}), width)
    return network_text(workload.open_workload(name, overrides or {}), width)


def schema_of(name: str | None = None) -> str:
    """Return the JSON Schema of the kind of file that `name` is; of a chip's without `name`."""
    return schema("arch" if name is None else kind_of(name))


def kind_of(name: str) -> str:
    """Return whether `name` is an arch, a workload, an energy table or a DRAM device; ConfigError where it is none."""
    if inline.is_inline(name):
        return "workload"
    if name.partition("/")[0] in {graph.partition("/")[0] for graph in library.names("graph")}:
        library.find("graph", name)
        return "graph"
    if "/" in name or name.endswith((".yaml", ".yml")):
        data = yamlfile.read(library.find("arch", name)).data
        return max(MODELS, key=lambda kind: len(MODELS[kind].model_fields.keys() & data.keys()))
    bundled = {each: kind for kind in reversed(MODELS) for each in library.names(kind)}
    if name not in bundled:
        choices = [*library.names("arch"), *library.names("workload")]
        raise ConfigError(Problem(unknown("chip or network", name, choices) + " (or give a path)"))
    return bundled[name]
