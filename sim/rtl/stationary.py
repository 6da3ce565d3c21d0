"""The weight-stationary array as a circuit; input stationary is the same with the operands exchanged.

A PE holds one word of the stationary operand, or two of which one loads while the other multiplies. Words load
from the top and shift down, one array row an edge. Streamed words move right, sums fall down; the sum register
of the bottom row is the first of the `output_register`s.

Who may go when is decided by flags: `free` (the registers that load hold nothing that is still needed), `loaded`
(a fold's words have all been accepted), `streaming`, and `idle` (no output of a fold is outstanding).
"""

from __future__ import annotations

from dataclasses import dataclass

from pyrtl import Const, Register, WireVector, select

from sim.arch import Systolic
from sim.rtl.parts import add, along, delay, flag, lanes, product, skew
from sim.rtl.ports import Ports


@dataclass(frozen=True)
class Accepted:
    """What the handshakes let in at an edge: a load row, the fold's last row, a step, its first, its last."""

    row: WireVector
    rows_end: WireVector
    step: WireVector
    first: WireVector
    last: WireVector


def build(array: Systolic, ports: Ports) -> None:
    """Connect `ports` to a weight-stationary array with the knobs of `array`, in the working block."""
    swap = array.swap if array.weight_buffers == 2 else "none"
    far_corner, drained = WireVector(1, "far_corner_swapped"), WireVector(1, "drained")
    accepted = _handshakes(array, ports, swap, far_corner, drained)
    loads = _loading(array, ports, accepted)
    first = skew([delay(accepted.first, array.sram_read_latency)] * array.rows)
    weights = loads
    if swap == "none":
        far_corner <<= Const(0, 1)
    else:
        swaps = _swaps(array, accepted, swap, first, drained)
        far_corner <<= swaps[-1][-1]
        weights = _weights(loads, swaps)
    words = skew(lanes(delay(ports.stream_rows, array.sram_read_latency), ports.widths.row))
    sums = _grid(array, words, weights, ports.widths.sum)
    # A valid bit travels with the bottom row: its skew, its column, the multiplier, the output registers.
    behind = array.sram_read_latency + array.rows - 1 + array.pe_pipeline - 1 + array.output_register
    valid = along(delay(accepted.step, behind), array.cols)
    last = delay(accepted.last, behind + array.cols - 1)
    drained <<= last
    ports.leave([delay(word, array.output_register) for word in sums], valid, last)


def _handshakes(
    array: Systolic, ports: Ports, swap: str, far_corner: WireVector, drained: WireVector
) -> Accepted:
    """Connect the ready ports and return what they accept."""
    counter = Register(max(1, (array.rows - 1).bit_length()), "load_row")
    release, first = WireVector(1, "release"), WireVector(1, "first")
    row = WireVector(1, "row_accepted")
    free = flag("free", release, row, at_reset=1)
    ports.load_ready <<= free | (counter != 0)
    row <<= ports.load_valid & (free | (counter != 0))
    rows_end = row & (counter == array.rows - 1)
    counter.next <<= select(rows_end, Const(0, len(counter)), select(row, (counter + 1)[: len(counter)], counter))

    loaded, idle = flag("loaded", rows_end, first), flag("idle", drained, first, at_reset=1)
    streaming = Register(1, "streaming")
    ready = streaming | (loaded if swap == "wave" else loaded & idle)
    ports.stream_ready <<= ready
    step = ports.stream_valid & ready
    first <<= step & ~streaming
    streaming.next <<= select(step, ~ports.stream_last, streaming)
    release <<= {"none": drained, "wave": far_corner, "global": first}[swap]
    return Accepted(row, rows_end, step, first, step & ports.stream_last)


def _loading(array: Systolic, ports: Ports, accepted: Accepted) -> list[list[WireVector]]:
    """Return the registers that load, rows of columns: all shift down as a row arrives."""
    arrives = delay(accepted.row, array.sram_read_latency)
    above = lanes(delay(ports.load_data, array.sram_read_latency), ports.widths.column)
    grid = []
    for r in range(array.rows):
        registers = [Register(ports.widths.column, f"loaded_{r}_{c}") for c in range(array.cols)]
        for register, word in zip(registers, above, strict=True):
            register.next <<= select(arrives, word, register)
        grid.append(registers)
        above = registers
    return grid


def _swaps(
    array: Systolic, accepted: Accepted, swap: str, first: list[WireVector], drained: WireVector
) -> list[list[WireVector]]:
    """Return for each PE, rows of columns, the signal to take over its loaded word."""
    if swap == "wave":
        return [along(mark, array.cols) for mark in first]
    now = WireVector(1)
    # Not `idle`, which falls as the next fold is accepted: its words may still be on their way from the SRAM.
    placed = flag("placed", delay(accepted.rows_end, array.sram_read_latency), now)
    now <<= placed & flag("empty", drained, now, at_reset=1)
    return [[now] * array.cols] * array.rows


def _weights(loads: list[list[WireVector]], swaps: list[list[WireVector]]) -> list[list[WireVector]]:
    """Return what each PE multiplies by: what it holds, or at its swap already what it has loaded."""
    grid = []
    for r, loaded_row in enumerate(loads):
        words = []
        for c, loaded in enumerate(loaded_row):
            held = Register(len(loaded), f"held_{r}_{c}")
            word = select(swaps[r][c], loaded, held)
            held.next <<= word
            words.append(word)
        grid.append(words)
    return grid


def _grid(array: Systolic, words: list[WireVector], weights: list[list[WireVector]], bits: int) -> list[WireVector]:
    """Return the sums below the grid, before any output register."""
    above = sums = [Const(0, bits)] * array.cols
    for r, (word, row) in enumerate(zip(words, weights, strict=True)):
        passing = along(word, array.cols)
        products = [delay(product(x, w, bits), array.pe_pipeline - 1) for x, w in zip(passing, row, strict=True)]
        sums = [add(fallen, p) for fallen, p in zip(above, products, strict=True)]
        if r == array.rows - 1:
            break
        above = [Register(bits, f"sum_{r}_{c}") for c in range(array.cols)]
        for register, total in zip(above, sums, strict=True):
            register.next <<= total
    return sums
