"""What goes into a register-level run and what comes out: folds, edges, snapshots, the run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.reference.registers import Array


@dataclass(frozen=True)
class Fold:
    """The operand blocks of one fold; it computes inputs · weights. Unused rows and columns of the array idle.

    `ws`: inputs (M, r), weights (r, c). `os`: inputs (r, K), weights (K, c). `is` is `ws` with the operands
    exchanged: "inputs" is the streamed block of weightᵀ (N, r), "weights" the resident block of inputᵀ (r, c).
    r is at most the rows of the array (k on rows: times the elements that a PE takes at once), c its columns.
    """

    inputs: Array
    weights: Array


@dataclass(frozen=True)
class FoldEdges:
    """The rising clock edges at which a fold meets the memories around the array.

    `first_weight` is the edge that accepts the first stationary row (None in `os`), `first_input` the first
    streamed operand. `first_output` is the edge that completes the first row of outputs (of the physical
    array, so in `ws` the one of the last column), `last_output` the edge that completes the last row.
    """

    first_weight: int | None
    first_input: int
    first_output: int
    last_output: int


@dataclass(frozen=True)
class Snapshot:
    """One cycle of the whole grid; all (rows, cols) arrays but where noted.

    `inputs`, `weights` and `shadow` stand before the edge: PE (r, c) multiplies inputs[r, c] by weights[r, c]
    at this edge, and the product counts where `useful` holds. `sums` (partial sums of `ws`, accumulators of
    `os`), `drain` and `leaving` stand after it. In `is` inputs and weights trade places. `accepted` (rows,) and
    `accepted_weights` (cols,) are the operands that the memories accept at this edge, None where there are
    none; `leaving` (cols,) is what the last registers hold, an output where `leaves` (cols,) is true.
    `shadow` is None with one weight register a PE and in `os`, `drain` is None in `ws` and `is`.
    Where PEs take several elements along k at once, operands and `useful` have them along one axis more, the last.
    `valid` says by the name of these registers which of them hold a word of a fold. `outputs` are the fold, row and
    column of the outputs that the memory takes at this edge, those of unused rows and columns left out.
    """

    cycle: int
    inputs: Array
    weights: Array
    shadow: Array | None
    sums: Array
    drain: Array | None
    useful: Array
    accepted: Array | None
    accepted_weights: Array | None
    leaving: Array
    leaves: Array
    valid: dict[str, Array]
    outputs: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Run:
    """What an array did with a sequence of folds.

    `outputs` is the product of each fold, `edges` its times, `active` the useful multiplies of each cycle (`rate`
    a PE at most), `pes` the PEs there are, `snapshots` every cycle where recording was asked for.
    """

    outputs: tuple[Array, ...]
    edges: tuple[FoldEdges, ...]
    active: Array
    pes: int
    snapshots: tuple[Snapshot, ...] = ()
    rate: int = 1

    @property
    def cycles(self) -> int:
        """Cycles from the first accepted operand (edge 0) to the last valid output, inclusive."""
        return self.edges[-1].last_output + 1

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates."""
        return int(np.sum(self.active))

    @property
    def utilization(self) -> float:
        """Useful MACs / (PEs x rate x cycles)."""
        return self.macs / (self.pes * self.rate * self.cycles)


@dataclass(frozen=True)
class Product:
    """A matrix product (`values`, M x N) and the run that computed it."""

    values: Array
    run: Run

    @property
    def cycles(self) -> int:
        """Cycles from the first accepted operand (edge 0) to the last valid output, inclusive."""
        return self.run.cycles
