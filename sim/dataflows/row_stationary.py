"""Row stationary: PE sets of kernel rows x output rows, each PE a one-dimensional convolution (Eyeriss).

PE (i, j) of a set keeps row i of the filters and sees row j·stride + i of the input: filter rows are shared
along a row of the set, input rows along a diagonal, and partial sums go up a column. A processing pass lays
r x t sets on the array, r along the channels and t along the filters; what a PE keeps are p filters x q channels
x S taps in three scratchpads (inputs, weights, sums). Three buses feed the PEs from the global buffer, a fourth
takes the sums back; one word that several PEs need is sent once.

A pass, counted from the moment at which the PEs are free for it (`tests/test_row_stationary.py` holds these
forms against the register-level grid of sim.reference.row_stationary):

- The weights arrive, and the columns of the first window, each on its bus. Weight scratchpads hold one pass, so
  that nothing of this hides behind the pass before.
- A window takes p·q·S multiply-accumulates and then p cycles in which the sum that comes from below is added:
  a PE has one adder, which takes a product or an incoming sum (Chen et al., JSSC 52(1), 2017, architecture of
  the PE). That is T = p·(q·S + 1) cycles.
- Input columns run ahead of the windows as the bus allows; a window starts once its last column is there.
- The sums of a window arrive while the window before is added, and leave while the next one is computed. A
  column's FIFOs hold one window each way, so that windows follow each other no faster than the sum bus moves
  one: every max(T, D) cycles. Sums always start from the buffer, as a bias would.
- A row adds one cycle behind the row below it. The sums of the next pass are fetched once those of a pass are all
  written, as they may be the same.

Chen et al., JSSC 2017: buses of 4 weights, 1 input, 4 sums in and 4 sums out a cycle; scratchpads of 224, 12 and 24
words (the defaults of `Systolic`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.dataflow import DATAFLOWS, ArrayKnobs, Dataflow, Dim, FoldTiming
from sim.plan import PassShape


@dataclass(frozen=True)
class PassTiming:
    """The cycles of a processing pass, from the moment at which the PEs are free for it.

    The first multiply-accumulate is at `first`; `busy` cycles after the start the PEs are free for the next pass.
    `computing` cycles have a multiply-accumulate in each PE of the sets, `adding` cycles the addition of a sum
    from below. The last sum is written at `end`. What arrives has been asked for `sram_read_latency` cycles
    earlier; in none of these is that wait.
    """

    first: int
    busy: int
    computing: int
    adding: int
    end: int


def pass_timing(array: ArrayKnobs, shape: PassShape, lag: int = 0) -> PassTiming:
    """Return the timing of a pass of `shape` by the knobs of `array`, all operands in the buffers.

    Its sums may be fetched `lag` cycles after it has the PEs: when those of the pass before are all written.
    Source: equal to sim.reference.row_stationary (tests/test_row_stationary.py).
    """
    p, windows = shape.filters, shape.images * shape.outputs
    macs = p * shape.channels * shape.taps
    sums = _moving(array, shape)
    slot = max(macs + p, sums)
    first = max(-(-shape.weight_words // array.buses.weights), _arrival(array, shape, 0, 0))
    last = max(first + macs, lag + sums) + (windows - 1) * slot
    for image in {0, shape.images - 1}:
        for output in {0, shape.outputs - 1}:
            behind = windows - 1 - (image * shape.outputs + output)
            last = max(last, _arrival(array, shape, image, output) + macs + behind * slot)
    end = last + _through(array, shape) + sums
    return PassTiming(first, last + _leaving(shape), windows * macs, windows * p, end)


def lag_behind(array: ArrayKnobs, shape: PassShape) -> int:
    """Return how long after the next pass may have the PEs the sums of one of `shape` can be fetched again."""
    written = _through(array, shape) + _moving(array, shape) + array.sram_read_latency
    return max(0, written - _leaving(shape))


def pass_interval(array: ArrayKnobs, shape: PassShape) -> int:
    """Return the cycles from one pass of `shape` to the next, when nothing else waits."""
    return pass_timing(array, shape, lag_behind(array, shape)).busy


def _moving(array: ArrayKnobs, shape: PassShape) -> int:
    """Return the cycles in which a bus moves the sums of a window: one of each PE a cycle at most."""
    return max(shape.filters, -(-shape.sum_words // array.buses.sums))


def _leaving(shape: PassShape) -> int:
    """Return the cycles from the last window's first addition in the lowest row until no row has products left."""
    return max(shape.filters, shape.sets[0] * shape.kernel_rows - 1)


def _through(array: ArrayKnobs, shape: PassShape) -> int:
    """Return the cycles from an addition in the lowest row until its sum is on the bus."""
    return shape.sets[0] * shape.kernel_rows + array.pe_pipeline - 1 + array.output_register


def _arrival(array: ArrayKnobs, shape: PassShape, image: int, output: int) -> int:
    """Return the cycles after which the input bus has brought all columns of a window."""
    whole = shape.window + (shape.outputs - 1) * shape.step
    columns = image * whole + shape.window + output * shape.step
    return -(-columns * shape.column_words // array.buses.inputs)


class RowStationary(Dataflow):
    """Filter rows stay in the PEs. As a fold of a product: K on the rows, N on the columns, M streams."""

    name, title = "rs", "row stationary"
    row: Dim = "k"
    col: Dim = "n"
    stream: Dim = "m"
    passes = True

    def timing(self, array: ArrayKnobs, stream: int) -> FoldTiming:
        """Return the timing of a pass with one weight a PE, the whole array one chain of rows by one of filters."""
        rows, cols = array.rows, array.cols
        shape = PassShape(1, 1, 1, 1, 1, 1, 1, (rows, cols), 1, stream, rows * cols, rows, cols)
        timing = pass_timing(array, shape)
        free, tail = timing.busy - timing.first, timing.end - timing.first + array.sram_read_latency
        return FoldTiming(timing.first, stream, free, pass_interval(array, shape), tail)


DATAFLOWS.register("rs", "row_stationary")(RowStationary())
