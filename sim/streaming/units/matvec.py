"""Matrix-vector unit: PE outputs by SIMD inputs a cycle, the input vector replayed from a buffer for every fold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sim.streaming.graph import Phase, Unit
from sim.streaming.kinds import UNITS, UnitFile


@UNITS.register("matvec")
class MatVec(UnitFile):
    """Multiplies vectors of `inputs` by a matrix of `outputs` rows, `simd` inputs and `pe` outputs a firing.

    The folding of FINN (Umuroglu et al., FPGA 2017): inputs / simd words of a vector make a pass, outputs / pe passes
    a vector. Words come in the first pass and stay in the replay buffer until the last one is done with them; each
    pass ends with a word of `pe` outputs. The buffer holds one vector and adds to the depth of the input channel;
    words of the next vector take the places that the last pass frees. With one pass there is no buffer. `weights`
    names a channel that brings a word of weights for every firing; without it they are on chip.
    """

    kind: Literal["matvec"] = "matvec"
    inputs: int = Field(ge=1, description="elements of an input vector")
    outputs: int = Field(ge=1, description="elements of an output vector")
    simd: int = Field(1, ge=1, description="inputs multiplied at once; an input token has as many")
    pe: int = Field(1, ge=1, description="outputs computed at once; an output token has as many")
    vectors: int = Field(1, ge=1, description="vectors in the whole run")
    interval: int = Field(1, ge=1, description="cycles from a firing to the next")
    pop: str
    push: str
    weights: str | None = None

    def build(self, name: str) -> Unit:
        """Return the unit; ValueError where the folding does not divide the matrix."""
        for size, fold, key in ((self.inputs, self.simd, "simd"), (self.outputs, self.pe, "pe")):
            if size % fold:
                raise ValueError(f"'{key}' {fold} does not divide {size}; choose from: {', '.join(_divisors(size))}")
        words, passes = self.inputs // self.simd, self.outputs // self.pe
        steps = tuple(phase for index in range(passes) for phase in self._pass(words, index == 0, index == passes - 1))
        holds = {self.pop: words} if passes > 1 else {}
        return Unit(name, self.kind, steps, self.vectors, self.latency, holds)

    def _pass(self, words: int, first: bool, last: bool) -> tuple[Phase, ...]:
        """Return the firings of a pass over the vector: `first` fills the buffer, `last` empties it."""
        pops = [self.weights] if self.weights else []
        pops += [self.pop] if first and last else []
        reads = [self.pop] if first and not last else []
        frees = [self.pop] if last and not first else []
        head = Phase.of(words - 1, pops, reads=reads, frees=frees, interval=self.interval)
        tail = Phase.of(1, pops, [self.push], reads=reads, frees=frees, interval=self.interval)
        return (head, tail) if words > 1 else (tail,)


def _divisors(size: int) -> list[str]:
    return [str(d) for d in range(1, size + 1) if size % d == 0]
