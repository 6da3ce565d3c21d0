"""Weight stationary: weights wait in the PEs, inputs flow right, partial sums flow down.

PE (r, c) holds weight (k = r, n = c). Row r of the array receives input column k = r, one cycle after
row r - 1, so that the product meets the partial sum that falls from above; column c is one cycle behind
column c - 1, as the input takes a cycle a PE. A row m of inputs that is accepted at cycle t has left
the last column R + C cycles later. Loading the weights takes R cycles, one array row a cycle.

One weight register a PE: load, stream and drain in turn, 2R + C + M cycles a fold.
Two registers: the next weights load behind the stream. With `swap: global` all PEs exchange them at
once when the last output is out: a fold every M + R + C. With `swap: wave` the exchange travels with
the first input of the fold; the far corner has swapped after R + C cycles, only then may the next load
begin: a fold every max(M, 2R + C).
"""

from __future__ import annotations

from sim.dataflow import DATAFLOWS, ArrayKnobs, Dataflow, Dim, FoldTiming


def stationary_timing(array: ArrayKnobs, stream: int) -> FoldTiming:
    """Return the fold timing of an array whose stationary operand is loaded before `stream` others pass.

    Source: equal to sim.reference for every knob (tests/test_reference.py).
    """
    rows, cols = array.rows, array.cols
    if array.convention == "scalesim":
        # SCALE-Sim v3, weight and input stationary: a fold takes 2R + C + T - 2, folds in turn.
        tail = rows + cols + stream - 2
        return FoldTiming(rows, stream, tail, tail, tail)
    tail = stream + rows + cols + array.sram_read_latency + array.output_register + array.pe_pipeline - 3
    if array.weight_buffers == 1:
        return FoldTiming(rows, stream, tail, tail, tail)
    if array.swap == "global":
        return FoldTiming(rows, stream, 0, tail, tail)
    return FoldTiming(rows, stream, rows + cols + array.sram_read_latency - 1, stream, tail)


class WeightStationary(Dataflow):
    """K on the rows, N on the columns, M streams."""

    name, title = "ws", "weight stationary"
    row: Dim = "k"
    col: Dim = "n"
    stream: Dim = "m"

    def timing(self, array: ArrayKnobs, stream: int) -> FoldTiming:
        """Return the timing of a fold that streams `stream` input rows."""
        return stationary_timing(array, stream)


DATAFLOWS.register("ws", "weight_stationary")(WeightStationary())
