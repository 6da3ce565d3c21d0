"""Output stationary: each PE sums one output in place, inputs flow right and weights flow down.

PE (r, c) owns output (m = r, n = c). Row r of inputs and column c of weights enter r and c cycles late,
so that equal k meet; the far corner has summed the last of K products K + R + C - 1 cycles after the
first operand was accepted. Then the results move to the drain registers and leave downwards, one array
row a cycle, R cycles.

`drain: serial`: the next fold starts when the last row is out, K + 2R + C cycles a fold.
`drain: overlap`: the next fold starts as its predecessor's results are copied, K + R + C - 1 cycles a
fold, and the drain is hidden (R cycles always fit behind it).
`drain: stream`: folds follow each other without a gap, K cycles a fold, F·K + R + 2C - 2 + LM + LA in all with one
register for the SRAM read and one for the result, LM + LA the pipeline of multiplier and adder (`pe_pipeline`).
A PE hands its sum over as its last product arrives, and array rows leave along the columns, which takes C cycles;
a fold of fewer steps is padded to C.
"""

from __future__ import annotations

from sim.dataflow import DATAFLOWS, ArrayKnobs, Dataflow, Dim, FoldTiming


class OutputStationary(Dataflow):
    """M on the rows, N on the columns, K streams."""

    name, title = "os", "output stationary"
    row: Dim = "m"
    col: Dim = "n"
    stream: Dim = "k"

    def timing(self, array: ArrayKnobs, stream: int) -> FoldTiming:
        """Return the timing of a fold that sums `stream` products.

        Source: equal to sim.reference for every knob (tests/test_reference.py).
        """
        rows, cols = array.rows, array.cols
        if array.convention == "scalesim":
            # SCALE-Sim v3, output stationary: a fold takes K + R + C - 2, folds in turn.
            tail = stream + rows + cols - 2
            return FoldTiming(0, stream, tail, tail, tail)
        if array.drain == "stream":
            steps = max(stream, cols)
            pipes = array.sram_read_latency + array.pe_pipeline + array.output_register
            return FoldTiming(0, stream, 0, steps, steps + rows + 2 * cols + pipes - 4)
        copied = stream + rows + cols + array.sram_read_latency + array.pe_pipeline - 3
        tail = copied + rows + array.output_register
        return FoldTiming(0, stream, 0, copied if array.drain == "overlap" else tail, tail)


DATAFLOWS.register("os", "output_stationary")(OutputStationary())
