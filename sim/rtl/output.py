"""The output-stationary array as a circuit: sums grow in the PEs, then drain downwards.

Inputs move right, weights down, both skewed. An edge after the far corner has added the last product, all sums
are copied into the drain registers, which shift down a row an edge. The drain register of the bottom row is the
first of the `output_register`s.
"""

from __future__ import annotations

from pyrtl import Const, Register, WireVector, select

from sim.arch import Systolic
from sim.rtl import streamed
from sim.rtl.parts import add, along, delay, lanes, product, skew
from sim.rtl.ports import Ports


def build(array: Systolic, ports: Ports) -> None:
    """Connect `ports` to an output-stationary array with the knobs of `array`, in the working block."""
    if array.drain == "stream":
        streamed.build(array, ports)
        return
    copy, drained = WireVector(1, "copy"), WireVector(1, "drained")
    step, last = _handshake(array, ports, copy, drained)
    latency = array.sram_read_latency
    corner = latency + array.rows - 1 + array.cols - 1 + array.pe_pipeline - 1
    copy <<= delay(last, corner + 1)
    # What is not accepted must not be added: it enters as zeros.
    rows = [select(step, word, Const(0, len(word))) for word in lanes(ports.stream_rows, ports.widths.row)]
    cols = lanes(ports.stream_cols, ports.widths.column)
    sums = _grid(
        array, skew([delay(w, latency) for w in rows]), skew([delay(w, latency) for w in cols]), copy, ports.widths.sum
    )
    words, valid, end = _drain(array, sums, copy)
    drained <<= end
    ports.leave(words, [valid] * array.cols, end)


def _handshake(
    array: Systolic, ports: Ports, copy: WireVector, drained: WireVector
) -> tuple[WireVector, WireVector]:
    """Connect the ready port; return the signals that a step, and that a fold's last step, is accepted."""
    first, streaming = WireVector(1, "first"), Register(1, "streaming")
    overlap = array.drain == "overlap"
    idle = Register(1, "idle", reset_value=1)
    idle.next <<= ((copy if overlap else drained) | idle) & ~first
    ready = streaming | idle | copy if overlap else streaming | idle
    ports.stream_ready <<= ready
    step = ports.stream_valid & ready
    first <<= step & ~streaming
    streaming.next <<= select(step, ~ports.stream_last, streaming)
    return step, step & ports.stream_last


def _grid(
    array: Systolic, rows: list[WireVector], cols: list[WireVector], copy: WireVector, bits: int
) -> list[list[Register]]:
    """Return the sums of all PEs; at `copy` a product that arrives begins the next sum."""
    inputs = [along(word, array.cols) for word in rows]
    weights = [along(word, array.rows) for word in cols]
    sums = []
    for r in range(array.rows):
        row = []
        for c in range(array.cols):
            arrived = delay(product(inputs[r][c], weights[c][r], bits), array.pe_pipeline - 1)
            total = Register(bits, f"sum_{r}_{c}")
            total.next <<= select(copy, arrived, add(total, arrived))
            row.append(total)
        sums.append(row)
    return sums


def _drain(
    array: Systolic, sums: list[list[Register]], copy: WireVector
) -> tuple[list[WireVector], WireVector, WireVector]:
    """Return what leaves below the bottom row: the words, whether they are valid, whether they are the last."""
    nothing = Const(0, 1)
    words: list[WireVector] = [Const(0, len(sums[0][0]))] * array.cols
    valid = last = nothing
    for index, row in enumerate(sums):
        words = [select(copy, total, fallen) for total, fallen in zip(row, words, strict=True)]
        valid, last = copy | valid, last if index else copy
        registers = array.output_register if index == array.rows - 1 else 1
        words = [delay(word, registers) for word in words]
        valid, last = delay(valid, registers), delay(last, registers)
    return words, valid, last
