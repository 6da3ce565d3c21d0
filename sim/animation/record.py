"""From a chip and a network to a film: one layer, alone on the array, with random operands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.alone import bare, blocks, contractions
from sim.animation.film import Film
from sim.animation.folds import Numbers, film_of_folds
from sim.animation.passes import film_of_passes
from sim.arch import Arch
from sim.dataflow import DATAFLOWS
from sim.engine import Engine
from sim.errors import ConfigError, Problem, TiletickError
from sim.frontend import Stage
from sim.graph import Graph
from sim.kernel import Contraction
from sim.simulate import open_both

MOST = 60_000
"""PEs x cycles that a film may have: a page of it stays below 2 MB, and every register can still be looked at."""

DIGITS = 10
"""Operands are 1 to DIGITS - 1: one digit fits into every PE, and no zero looks like an empty register."""


def animate(
    arch: str | Arch,
    network: str | Graph,
    overrides: Mapping[str, Any] | None = None,
    *,
    layers: str = "*",
    seed: int = 0,
) -> Film:
    """Return a film of the array of `arch` at work on one contraction of `network`, with random operands.

    It is the register-level reference on the plan that the engine would run, with ideal memory: all operands are there
    when they are wanted. ConfigError where no layer or more than one matches `layers`, TiletickError where the film
    would be too long, MappingError where the array has no register-level model.
    """
    chip, graph, _ = open_both(arch, network, overrides or {})
    alone = bare(chip)
    array = alone.array
    assert array is not None  # bare says so
    plans, _ = contractions(alone, graph, layers)
    if len(plans) > 1:
        names = ", ".join(name for name, _ in plans[:6]) + (", ..." if len(plans) > 6 else "")
        raise ConfigError(Problem(f"a film shows one layer, these are {len(plans)}; pick one of: {names}", "--layers"))
    name, plan = plans[0]
    cycles = Engine(alone).run([Stage(plan, 0)]).cycles
    if (size := cycles * array.rows * array.cols) > MOST:
        raise TiletickError(
            f"a film of {cycles:,} cycles on {array.rows} x {array.cols} PEs is too long: {size:,} PE cycles, at most "
            f"{MOST:,}; take a smaller layer, or fewer PEs with --set rows=4 --set cols=4"
        )
    kernel = plan.kernel
    assert isinstance(kernel, Contraction)  # contractions yields no other
    title = f"{graph.name if len(graph.nodes) == 1 else name} on {alone.name}"
    inputs, numbers = _operands(kernel, seed)
    if DATAFLOWS[array.dataflow].passes:
        return film_of_passes(title, array, plan, inputs, numbers.right)
    return film_of_folds(title, array, kernel, blocks(plan, alone), numbers)


def _operands(kernel: Contraction, seed: int) -> tuple[Any, Numbers]:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(1, DIGITS, size=kernel.input_shape)
    right = rng.integers(1, DIGITS, size=(kernel.groups, kernel.k, kernel.n))
    index = kernel.gather(slice(0, kernel.m), slice(0, kernel.k))
    left = np.where(index < 0, 0, inputs.reshape(kernel.groups, -1)[:, index])
    return inputs, Numbers(left, right)
