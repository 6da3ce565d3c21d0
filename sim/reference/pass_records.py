"""What goes into a run of row-stationary passes and what comes out: blocks, snapshots, the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.plan import PassShape
from sim.reference.registers import Array


@dataclass(frozen=True)
class PassBlock:
    """The operands of one processing pass.

    `inputs` (images, channels, rows, columns), padding included; `weights` (filters, channels, kernel rows,
    kernel columns); `sums` (images, filters, output rows, outputs) is what sums start from. `sets` is (r, t):
    PE sets along the channels and along the filters. `stride` and `dilation` are those of rows and columns.
    """

    inputs: Array
    weights: Array
    sums: Array
    sets: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    @property
    def shape(self) -> PassShape:
        """What lies on which PE: equal shares of filters and channels, the last sets may have fewer."""
        filters, channels, kernel_rows, taps = self.weights.shape
        images, _, width, outputs = self.sums.shape
        window = (taps - 1) * self.dilation[1] + 1
        rows = {j * self.stride[0] + i * self.dilation[0] for j in range(width) for i in range(kernel_rows)}
        return PassShape(
            filters=-(-filters // self.sets[1]), channels=-(-channels // self.sets[0]), taps=taps, window=window,
            step=min(window, self.stride[1]), kernel_rows=kernel_rows, width=width, sets=self.sets, images=images,
            outputs=outputs, weight_words=self.weights.size, column_words=channels * len(rows),
            sum_words=filters * width,
        )  # fmt: skip


@dataclass(frozen=True)
class PassRun:
    """What an array did with passes: the sums of each, the cycle at which its last one was written, its products.

    `macs` are those of PEs that have a filter and a channel; `starts` the cycles at which each pass had the PEs.
    """

    sums: tuple[Array, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    macs: int

    @property
    def cycles(self) -> int:
        """Cycles from the first accepted address (0) to the last written sum, inclusive."""
        return self.ends[-1] + 1


@dataclass(frozen=True)
class PassSnapshot:
    """One cycle of the PE sets; arrays are (chain rows, sets along the filters, width), row 0 is the lowest.

    PE (row, set, column) multiplies `inputs` by `weights` in this cycle where `useful` holds. Where `adding` holds it
    adds the sum from below to its own. `sums` stand after the cycle: those of the filter that the row works on, where
    `working` holds. `step` (rows,) says by (window, tap, channel, filter) what a row does, None where it rests.
    `started` passes
    have had the PEs so far. `outputs` leave the top of the chain: pass, image, filter, output row and column, value.
    """

    cycle: int
    started: int
    inputs: Array
    weights: Array
    sums: Array
    useful: Array
    adding: Array
    working: Array
    step: tuple[tuple[int, int, int, int] | None, ...]
    outputs: tuple[tuple[int, int, int, int, int, Any], ...]
