"""One name, whatever it names: a chip or a network, as text or as the JSON Schema of its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sim import arch, inline, library, workload, yamlfile
from sim.arch import Arch
from sim.errors import ConfigError, Problem, unknown
from sim.report.chip import chip_text
from sim.report.network import network_text
from sim.workload import Workload


def show(name: str | None, overrides: Mapping[str, Any] | None = None, width: int = 120) -> str:
    """Return the chip or the network called `name` as text in lines of `width` characters.

    Raises ConfigError where neither is called so, or its file has problems.
    """
    if name is None:
        raise ConfigError(Problem("show needs the name of a chip or a network (or --schema)"))
    if is_arch(name):
        return chip_text(arch.load(name, overrides), width)
    return network_text(workload.open_workload(name, overrides or {}), width)


def schema(name: str | None = None) -> str:
    """Return the JSON Schema of the kind of file that `name` is; of a chip's without `name`."""
    model = Arch if name is None or is_arch(name) else Workload
    return json.dumps(model.model_json_schema(), indent=2) + "\n"


def is_arch(name: str) -> bool:
    """Return whether `name` is a chip, and not a network; ConfigError where it is neither."""
    if inline.is_inline(name):
        return False
    chips, networks = library.names("arch"), library.names("workload")
    if "/" not in name and not name.endswith((".yaml", ".yml")):
        if name not in chips and name not in networks:
            raise ConfigError(Problem(unknown("chip or network", name, [*chips, *networks]) + " (or give a path)"))
        return name in chips
    data = yamlfile.read(library.find("arch", name)).data
    return "layers" not in data
