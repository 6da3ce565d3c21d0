"""The output-stationary array whose sums leave with the wave (`drain: stream`) as a circuit.

A mark travels with the last step of a fold. A PE hands the sum that it completes to a register of its own; once the
last PE of an array row has, the row moves into its chain and shifts right, a column an edge, while the next fold is
on its way. A fold of fewer steps than there are columns is padded with steps of zeros, so that the chain is free.
"""

from __future__ import annotations

from pyrtl import Const, Register, WireVector, select

from sim.arch import Systolic
from sim.rtl.parts import add, along, delay, lanes, product, skew
from sim.rtl.ports import Ports


def build(array: Systolic, ports: Ports) -> None:
    """Connect `ports` to the array with the knobs of `array`, in the working block."""
    accepted, end = _handshake(array, ports)
    latency = array.sram_read_latency
    # What is not accepted must not be added: it enters as zeros.
    rows = [select(accepted, word, Const(0, len(word))) for word in lanes(ports.stream_rows, ports.widths.row)]
    inputs = [along(word, array.cols) for word in skew([delay(word, latency) for word in rows])]
    cols = [delay(word, latency) for word in lanes(ports.stream_cols, ports.widths.column)]
    weights = [along(word, array.rows) for word in skew(cols)]
    marks = [along(mark, array.cols) for mark in skew([delay(end, latency + array.pe_pipeline - 1)] * array.rows)]
    leaving = [_row(array, r, inputs[r], [column[r] for column in weights], marks[r], ports.widths.sum)
               for r in range(array.rows)]  # fmt: skip
    ports.leave([word for word, _, _ in leaving], [valid for _, valid, _ in leaving], leaving[-1][2])


def _handshake(array: Systolic, ports: Ports) -> tuple[WireVector, WireVector]:
    """Connect the ready port; return the signals that a step is accepted, and that one (or padding) ends a fold."""
    padding, count = Register(1, "padding"), Register(max(1, (array.cols - 1).bit_length()), "step")
    ports.stream_ready <<= ~padding
    accepted = ports.stream_valid & ~padding
    short = count != array.cols - 1
    closing = padding | (accepted & ports.stream_last)
    padding.next <<= closing & short
    end = closing & ~short
    counted = select(accepted | padding, select(short, (count + 1)[: len(count)], count), count)
    count.next <<= select(end, Const(0, len(count)), counted)
    return accepted, end


def _row(
    array: Systolic, r: int, inputs: list[WireVector], weights: list[WireVector], marks: list[WireVector], bits: int
) -> tuple[WireVector, WireVector, WireVector]:
    """Return what leaves an array row: the word, whether it is valid, whether it is the last of a fold."""
    done = marks[-1]
    word: WireVector = Const(0, bits)
    valid: WireVector = Const(0, 1)
    last: WireVector = Const(0, 1)
    for c in range(array.cols):
        total = Register(bits, f"sum_{r}_{c}")
        complete = add(total, delay(product(inputs[c], weights[c], bits), array.pe_pipeline - 1))
        total.next <<= select(marks[c], Const(0, bits), complete)
        at_exit = c == array.cols - 1
        registers = array.output_register if at_exit else 1
        word = delay(select(done, complete if at_exit else _held(marks[c], complete, f"held_{r}_{c}"), word), registers)
        valid = delay(done | valid, registers)
        last = delay(done if c == 0 else last, registers)
    return word, valid, last


def _held(mark: WireVector, complete: WireVector, name: str) -> Register:
    """Return the register that takes a sum over as it is complete."""
    register = Register(len(complete), name)
    register.next <<= select(mark, complete, register)
    return register
