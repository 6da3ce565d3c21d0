"""tiletick: a cycle-level simulator of neural-network accelerators.

    import sim
    result = sim.run("edge_tpu_like", "resnet50", {"array.rows": 32})
    print(sim.summarize(result))

Every name is loaded when it is first used, so that `import sim` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sim import display
from sim.version import __version__

if TYPE_CHECKING:
    from sim.arch import Arch as Arch
    from sim.arch import load as load_arch
    from sim.dataflow import DATAFLOWS as DATAFLOWS
    from sim.dataflow import Dataflow as Dataflow
    from sim.energy import load as load_energy
    from sim.errors import CapacityError as CapacityError
    from sim.errors import ConfigError as ConfigError
    from sim.errors import DeadlockError as DeadlockError
    from sim.errors import MappingError as MappingError
    from sim.errors import TiletickError as TiletickError
    from sim.graph import Graph as Graph
    from sim.importers.scalesim import import_scalesim as import_scalesim
    from sim.op import OPS as OPS
    from sim.op import Op as Op
    from sim.pricing import stream as stream
    from sim.report.catalogue import catalogue as catalogue
    from sim.report.compare import load_result as load_result
    from sim.report.show import show as show
    from sim.report.summary import summarize as summarize
    from sim.result import Result as Result
    from sim.simulate import run as run
    from sim.workload import open_workload as load_workload

_HOMES = {
    "Arch": "sim.arch:Arch",
    "CapacityError": "sim.errors:CapacityError",
    "ConfigError": "sim.errors:ConfigError",
    "DATAFLOWS": "sim.dataflow:DATAFLOWS",
    "Dataflow": "sim.dataflow:Dataflow",
    "DeadlockError": "sim.errors:DeadlockError",
    "Graph": "sim.graph:Graph",
    "MappingError": "sim.errors:MappingError",
    "OPS": "sim.op:OPS",
    "Op": "sim.op:Op",
    "Result": "sim.result:Result",
    "TiletickError": "sim.errors:TiletickError",
    "catalogue": "sim.report.catalogue:catalogue",
    "import_scalesim": "sim.importers.scalesim:import_scalesim",
    "load_arch": "sim.arch:load",
    "load_energy": "sim.energy:load",
    "load_result": "sim.report.compare:load_result",
    "load_workload": "sim.workload:open_workload",
    "run": "sim.simulate:run",
    "show": "sim.report.show:show",
    "stream": "sim.pricing:stream",
    "summarize": "sim.report.summary:summarize",
}
"""Each public name to the module that holds it and what it is called there."""

__all__ = [
    "DATAFLOWS",
    "OPS",
    "Arch",
    "CapacityError",
    "ConfigError",
    "Dataflow",
    "DeadlockError",
    "Graph",
    "MappingError",
    "Op",
    "Result",
    "TiletickError",
    "__version__",
    "catalogue",
    "import_scalesim",
    "load_arch",
    "load_energy",
    "load_result",
    "load_workload",
    "run",
    "show",
    "stream",
    "summarize",
]


def _picture(chip: Any) -> str:
    """Return the picture of a chip, for notebooks."""
    return str(importlib.import_module("sim.report.page.chip").embedded(chip))


display.DRAWERS["chip"] = _picture


def __getattr__(name: str) -> Any:
    """Return the public thing called `name`, loading its module at the first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    return globals().setdefault(name, getattr(importlib.import_module(module), attribute))


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
