"""What an array looks like from outside: valid/ready ports, packed buses, lane 0 in the lowest bits.

    load_valid, load_ready, load_data      ws, is: a row of the stationary operand, bottom row of the array
                                           first; as many rows a fold as the array has (unused ones are zero)
    stream_valid, stream_ready, stream_last   last: the last step of a fold
    stream_rows                            a word a row: inputs (ws, os), weights (is)
    stream_cols                            a word a column: weights (os alone)
    out_valid, out_data                    a bit and a sum a column (os with drain: stream: a row, last column first)
    out_last                               the last output of a fold leaves

A word is accepted at a rising edge at which valid and ready are both 1; ready never depends on valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyrtl import Input, Output, WireVector

from sim.arch import Systolic
from sim.rtl.parts import bus


@dataclass(frozen=True)
class Widths:
    """Bits of a word that waits in or enters by the columns, of one that streams along the rows, and of a sum."""

    column: int
    row: int
    sum: int


def exits(array: Systolic) -> int:
    """Return the words that may leave the array at an edge: one a column, or one a row where sums leave so."""
    return array.rows if array.dataflow == "os" and array.drain == "stream" else array.cols


class Ports:
    """The ports of one array in the working block; its circuit connects the outputs."""

    def __init__(self, array: Systolic, widths: Widths) -> None:
        self.widths = widths
        self.stream_valid, self.stream_last = Input(1, "stream_valid"), Input(1, "stream_last")
        self.stream_ready = Output(1, "stream_ready")
        self.stream_rows = Input(array.rows * widths.row, "stream_rows")
        if array.dataflow == "os":
            self.stream_cols = Input(array.cols * widths.column, "stream_cols")
        else:
            self.load_valid, self.load_ready = Input(1, "load_valid"), Output(1, "load_ready")
            self.load_data = Input(array.cols * widths.column, "load_data")
        self.out_valid, self.out_last = Output(exits(array), "out_valid"), Output(1, "out_last")
        self.out_data = Output(exits(array) * widths.sum, "out_data")

    def leave(self, words: Sequence[WireVector], valid: Sequence[WireVector], last: WireVector) -> None:
        """Connect the outputs: a word and a valid bit a column, and the mark of the fold's end."""
        self.out_data <<= bus(words)
        self.out_valid <<= bus(valid)
        self.out_last <<= last
