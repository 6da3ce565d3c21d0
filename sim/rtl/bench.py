"""Drive the ports of an array as fast as it accepts, and write down what leaves when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyrtl
from numpy.typing import NDArray

from sim.errors import TiletickError
from sim.rtl.machine import Machine
from sim.rtl.ports import exits

Matrix = NDArray[Any]

PATIENCE = 64
"""Edges without any transfer, beyond what words need to pass through, after which an array is held to be stuck."""


@dataclass(frozen=True)
class Fold:
    """The words of one fold, in the order in which they enter: rows of (steps, lanes) matrices.

    `load` is the stationary operand, a line for each array row, bottom row first (None in `os`); `rows` the
    stream along the array's rows, `cols` the one along its columns (None but in `os`).
    """

    load: Matrix | None
    rows: Matrix
    cols: Matrix | None = None


@dataclass(frozen=True)
class Words:
    """What a bench puts on the ports, packed: loads; steps as (last, rows, cols)."""

    loads: tuple[int, ...]
    steps: tuple[tuple[int, int, int], ...]


@dataclass
class Observed:
    """What left each column, signed, in order, and the edges of the first acceptance and the last output."""

    columns: list[list[int]]
    first_accepted: int | None = None
    last_output: int = 0
    ends: list[int] = field(default_factory=list)
    """The edge of each fold's last output."""

    @property
    def cycles(self) -> int:
        """Cycles from the first accepted word to the last valid output, both at the rising edge, inclusive."""
        return self.last_output - (self.first_accepted or 0) + 1

    def accept(self, edge: int) -> None:
        """Note that a word is accepted at `edge`."""
        if self.first_accepted is None:
            self.first_accepted = edge

    def take(self, edge: int, valid: int, data: int, last: int, bits: int) -> None:
        """Note what leaves at `edge`: a bit and `bits` of data a column, and the end of a fold."""
        for column, words in enumerate(self.columns):
            if valid >> column & 1:
                words.append(signed(data >> column * bits, bits))
                self.last_output = edge
        if last:
            self.ends.append(edge)


def signed(word: int, bits: int) -> int:
    """Return the two's complement number in the lowest `bits` bits of `word`."""
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


def pack(lanes: Iterable[int], bits: int) -> int:
    """Return the lanes as one word of `bits` bits each, lane 0 in its lowest bits."""
    mask, word = (1 << bits) - 1, 0
    for index, lane in enumerate(lanes):
        word |= (int(lane) & mask) << (index * bits)
    return word


def words(machine: Machine, folds: Sequence[Fold]) -> Words:
    """Return the folds as packed words for the ports of `machine`."""
    widths = machine.widths
    loads, steps = [], []
    for fold in folds:
        if fold.load is not None:
            loads += [pack(line, widths.column) for line in fold.load]
        cols = [0] * len(fold.rows) if fold.cols is None else [pack(line, widths.column) for line in fold.cols]
        lines = [pack(line, widths.row) for line in fold.rows]
        lasts = [0] * (len(lines) - 1) + [1]
        steps += list(zip(lasts, lines, cols, strict=True))
    return Words(tuple(loads), tuple(steps))


def patience(machine: Machine) -> int:
    """Return the edges without a transfer after which an array is held to be stuck."""
    array = machine.array
    return PATIENCE + sum((array.rows, array.cols, array.sram_read_latency, array.pe_pipeline, array.output_register))


def simulate(machine: Machine, folds: Sequence[Fold]) -> Observed:
    """Return what the circuit does with `folds`, offered without a pause; TiletickError where it gets stuck."""
    given = words(machine, folds)
    circuit = pyrtl.FastSimulation(tracer=None, block=machine.block)
    bits, quiet_at_most = machine.widths.sum, patience(machine)
    seen = Observed([[] for _ in range(exits(machine.array))])
    load = step = edge = moved = 0
    while len(seen.ends) < len(folds):
        circuit.step(_offer(machine, given, load, step))
        if machine.loads and load < len(given.loads) and circuit.inspect("load_ready"):
            load, moved = load + 1, edge
            seen.accept(edge)
        if step < len(given.steps) and circuit.inspect("stream_ready"):
            step, moved = step + 1, edge
            seen.accept(edge)
        if valid := circuit.inspect("out_valid"):
            seen.take(edge, valid, circuit.inspect("out_data"), circuit.inspect("out_last"), bits)
            moved = edge
        if edge - moved > quiet_at_most:
            raise TiletickError(f"the circuit is stuck: no transfer between cycle {moved} and {edge}")
        edge += 1
    return seen


def _offer(machine: Machine, given: Words, load: int, step: int) -> dict[str, int]:
    """Return the values of the input ports: the next word of each, or none where there are no more."""
    more = step < len(given.steps)
    last, rows, cols = given.steps[step] if more else (0, 0, 0)
    values = {"stream_valid": int(more), "stream_last": last, "stream_rows": rows}
    if machine.loads:
        more = load < len(given.loads)
        return values | {"load_valid": int(more), "load_data": given.loads[load] if more else 0}
    return values | {"stream_cols": cols}


def outputs(machine: Machine, folds: Sequence[Fold], seen: Observed) -> list[Matrix]:
    """Return what each fold put out, (rows, columns of the array); `os` drains the last of them first."""
    by_rows = not machine.loads and machine.array.drain == "stream"
    drained = machine.array.cols if by_rows else machine.array.rows
    lengths = [len(fold.rows) if machine.loads else drained for fold in folds]
    if any(len(words) != sum(lengths) for words in seen.columns):
        counts = sorted({len(words) for words in seen.columns})
        raise TiletickError(f"the circuit put out {counts} words a column where {sum(lengths)} were due")
    table = np.array(seen.columns, dtype=object).T.astype(np.int64)
    parts = np.split(table, np.cumsum(lengths)[:-1])
    if machine.loads:
        return parts
    return [part[::-1].T if by_rows else part[::-1] for part in parts]
