"""Registers against prediction: a layer through the circuit of an array, its product and its cycles checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sim.alone import bare, blocks, contractions
from sim.arch import Arch
from sim.engine import Engine
from sim.errors import TiletickError
from sim.frontend import Stage
from sim.graph import Graph
from sim.kernel import Contraction
from sim.plan import Plan
from sim.rtl import machine as circuits
from sim.rtl.bench import Fold, Observed, outputs, simulate
from sim.rtl.folds import fold, gather, operands, wrap
from sim.rtl.machine import Machine
from sim.simulate import open_both

SCHEMA = "tiletick.rtl/1"
MOST_CYCLES = 200_000
"""Predicted cycles up to which a run begins without being asked twice: a minute or two for a 16 x 16 array."""

Simulator = Callable[[Machine, list[Fold]], Observed]
"""What runs folds through a circuit: the generated one by default, or a user's own."""


@dataclass(frozen=True)
class LayerCheck:
    """One layer: what it multiplies, and the cycles of the circuit beside the predicted ones."""

    name: str
    m: int
    n: int
    k: int
    groups: int
    folds: int
    rtl_cycles: int
    predicted_cycles: int
    mismatches: int


@dataclass(frozen=True)
class Check:
    """All layers, each run alone. Cycles: first accepted word to last valid output, at the rising edge, inclusive."""

    arch: str
    workload: str
    array: dict[str, Any]
    layers: tuple[LayerCheck, ...]
    skipped: tuple[str, ...]

    @property
    def rtl_cycles(self) -> int:
        """Cycles of the circuit, all layers."""
        return sum(layer.rtl_cycles for layer in self.layers)

    @property
    def predicted_cycles(self) -> int:
        """Predicted cycles, all layers."""
        return sum(layer.predicted_cycles for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Outputs that differ from the product."""
        return sum(layer.mismatches for layer in self.layers)

    def to_json(self) -> str:
        """Return the check as JSON text; `cycles` are those of the circuit."""
        totals = {
            "schema": SCHEMA, "arch": self.arch, "workload": self.workload, "cycles": self.rtl_cycles,
            "rtl_cycles": self.rtl_cycles, "predicted_cycles": self.predicted_cycles,
            "mismatches": self.mismatches, "product_correct": not self.mismatches, "array": self.array,
            "layers": [asdict(layer) for layer in self.layers], "skipped": list(self.skipped),
        }  # fmt: skip
        return json.dumps(totals, indent=1) + "\n"


def check(
    arch: str | Arch,
    network: str | Graph,
    overrides: Mapping[str, Any] | None = None,
    *,
    layers: str = "*",
    seed: int = 0,
    max_cycles: int = MOST_CYCLES,
    simulator: Simulator = simulate,
    progress: Callable[[int, int, str], None] | None = None,
) -> Check:
    """Return what the circuit of the array of `arch` does with the contractions of `network`, beside the prediction.

    Operands are random over the range of their formats. Raises ConfigError where the array has no circuit, no
    layer matches `layers`, or more than `max_cycles` cycles are predicted.
    """
    chip, graph, _ = open_both(arch, network, overrides or {})
    alone = bare(chip)
    array = alone.array
    assert array is not None  # bare says so
    circuit = circuits.build(array, alone.precision)
    plans, skipped = contractions(alone, graph, layers)
    predicted = [Engine(alone).run([Stage(plan, 0)]).cycles for _, plan in plans]
    if (total := sum(predicted)) > max_cycles:
        raise TiletickError(
            f"{total:,} cycles are predicted, and registers are slow: pick layers with --layers, or allow "
            f"them with --max-cycles {total}"
        )
    done = []
    for index, ((name, plan), cycles) in enumerate(zip(plans, predicted, strict=True)):
        if progress:
            progress(index, len(plans), name)
        layer = _layer(circuit, alone, plan, cycles, seed + index, simulator)
        done.append(replace(layer, name=name))  # equal layers share a plan, named after the first
    return Check(alone.name, graph.name, array.model_dump(), tuple(done), skipped)


def verilog(arch: str | Arch, network: str | Graph, overrides: Mapping[str, Any] | None = None) -> str:
    """Return the circuit of the array of `arch` as Verilog; the network only says which keys of it are set."""
    alone = bare(open_both(arch, network, overrides or {})[0])
    assert alone.array is not None  # bare says so
    return circuits.build(alone.array, alone.precision).verilog()


def _layer(
    circuit: Machine, alone: Arch, plan: Plan, predicted: int, seed: int, simulator: Simulator
) -> LayerCheck:
    kernel = plan.kernel
    assert isinstance(kernel, Contraction)  # contractions yields no other
    numbers = operands(kernel, circuit, seed)
    places = blocks(plan, alone)
    folds = [fold(circuit, place, numbers) for place in places]
    seen = simulator(circuit, folds)
    found = gather(circuit, kernel, list(zip(places, outputs(circuit, folds, seen), strict=True)))
    wrong = int(np.count_nonzero(found != wrap(numbers.product, circuit.widths.sum)))
    return LayerCheck(
        plan.name, kernel.m, kernel.n, kernel.k, kernel.groups, len(folds), seen.cycles, predicted, wrong
    )
