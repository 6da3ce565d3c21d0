"""Matrix-vector unit: PE outputs by SIMD inputs a cycle, the input vector replayed from a buffer for every fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sim.streaming.formula import Place
from sim.streaming.graph import Phase, Unit
from sim.streaming.kinds import UNITS, UnitFile, limited


@UNITS.register("matvec")
class MatVec(UnitFile):
    """Multiplies vectors of `inputs` by a matrix of `outputs` rows, `simd` inputs and `pe` outputs a firing.

    The folding of FINN (Umuroglu et al., FPGA 2017): inputs / simd words of a vector make a pass, outputs / pe passes
    a vector. Words come in the first pass and stay in the replay buffer until the last one is done with them; each
    pass ends with a word of `pe` outputs. A `shared` buffer holds one vector and adds to the depth of the input
    channel; words of the next vector take the places that the last pass frees. A `private` one is a copy inside the
    unit, as the HLS units of FINN have it: the channel holds no more than its own depth. With one pass there is no
    buffer. `weights` names a channel that brings a word of weights for every firing; without it they are on chip.
    """

    kind: Literal["matvec"] = "matvec"
    inputs: int = Field(ge=1, description="elements of an input vector")
    outputs: int = Field(ge=1, description="elements of an output vector")
    simd: int = Field(1, ge=1, description="inputs multiplied at once; an input token has as many")
    pe: int = Field(1, ge=1, description="outputs computed at once; an output token has as many")
    vectors: int = Field(1, ge=1, description="vectors in the whole run")
    interval: int = Field(1, ge=1, description="cycles from a firing to the next")
    buffer: Literal["shared", "private"] = Field("shared", description="where the vector is kept for later passes")
    pop: str
    push: str
    weights: str | None = None

    def build(self, name: str) -> Unit:
        """Return the unit; ValueError where the folding does not divide the matrix."""
        for size, fold, key in ((self.inputs, self.simd, "simd"), (self.outputs, self.pe, "pe")):
            if size % fold:
                raise ValueError(f"'{key}' {fold} does not divide {size}; choose from: {', '.join(_divisors(size))}")
        words, passes = self.inputs // self.simd, self.outputs // self.pe
        limited("passes over the vector", passes)
        steps = tuple(phase for index in range(passes) for phase in self._pass(words, index == 0, index == passes - 1))
        holds = {self.pop: words} if passes > 1 and self.buffer == "shared" else {}
        behaviour = Product(self, words)
        return Unit(name, self.kind, steps, self.vectors, self.latency, holds, behaviour=behaviour,
                    macs=self.vectors * self.inputs * self.outputs, lanes=self.simd)  # fmt: skip

    def _pass(self, words: int, first: bool, last: bool) -> tuple[Phase, ...]:
        """Return the firings of a pass over the vector: `first` fills the buffer, `last` empties it."""
        shared = self.buffer == "shared"
        pops = [self.weights] if self.weights else []
        pops += [self.pop] if first and (last or not shared) else []
        reads = [self.pop] if shared and first and not last else []
        frees = [self.pop] if shared and last and not first else []
        head = Phase.of(words - 1, pops, reads=reads, frees=frees, interval=self.interval)
        tail = Phase.of(1, pops, [self.push], reads=reads, frees=frees, interval=self.interval)
        return (head, tail) if words > 1 else (tail,)


@dataclass(frozen=True)
class Product:
    """The values of a matrix-vector unit: words of `simd` elements in, words of `pe` elements out.

    Its parameter is the matrix (outputs x inputs), unless tiles of it (pe x simd) come through the `weights` channel.
    """

    spec: MatVec
    words: int

    def start(self, parameter: Any) -> dict[str, Any]:
        """Return the state of a new vector; ValueError where there are no weights."""
        shape = (self.spec.outputs, self.spec.inputs)
        if self.spec.weights is None and np.shape(parameter) != shape:
            raise ValueError(f"a matrix of {shape[0]} x {shape[1]} is needed, not {np.shape(parameter)}")
        return {"matrix": None if parameter is None else np.asarray(parameter), "vector": [], "sum": 0}

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        """Multiply a word of the vector by its tile and add; a pass ends with the sums."""
        if self.spec.pop in taken:
            state["vector"].append(np.atleast_1d(taken[self.spec.pop]))
        row, word = divmod(place.i, self.words)
        pe, simd = self.spec.pe, self.spec.simd
        tile = (taken[self.spec.weights] if self.spec.weights
                else state["matrix"][row * pe : row * pe + pe, word * simd : word * simd + simd])  # fmt: skip
        state["sum"] = (state["sum"] if word else 0) + tile @ state["vector"][word]
        return {self.spec.push: state["sum"]}


def _divisors(size: int) -> list[str]:
    return [str(d) for d in range(1, min(size, 4096) + 1) if size % d == 0]
