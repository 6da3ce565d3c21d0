"""Input stationary: weight stationary with M and N exchanged.

PE (r, c) holds input (k = r, m = c); weights flow right, partial sums of outputs fall down. The
product is the transposed one, outputᵀ[N,M] = weightᵀ[N,K] · inputᵀ[K,M], and takes the same time.
"""

from __future__ import annotations

from sim.dataflow import DATAFLOWS, ArrayKnobs, Dataflow, Dim, FoldTiming
from sim.dataflows.weight_stationary import stationary_timing


class InputStationary(Dataflow):
    """K on the rows, M on the columns, N streams."""

    name, title = "is", "input stationary"
    row: Dim = "k"
    col: Dim = "m"
    stream: Dim = "n"

    def timing(self, array: ArrayKnobs, stream: int) -> FoldTiming:
        """Return the timing of a fold that streams `stream` weight columns."""
        return stationary_timing(array, stream)


DATAFLOWS.register("is", "input_stationary")(InputStationary())
