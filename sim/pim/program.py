"""Programs of a PIM device: operations in order, each repeating one command, from a file or made for a GEMV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim import textfile
from sim.errors import ConfigError, Problem, unknown
from sim.pim.device import Device

HEADER = ["op", "size", "row"]
MOST_TOLD = 20
"""Bad lines told at once."""


@dataclass(frozen=True)
class Instruction:
    """One operation: its command is issued `size` times; a multiply reads from the first burst of `row` on."""

    op: str
    size: int = 1
    row: int | None = None
    line: int = 0
    """Where it stands in its file; 0 where it stands in none."""


def read_program(path: str | Path, device: Device) -> list[Instruction]:
    """Return the operations in the file, `op,size,row` a line; an empty size is 1, rows are for multiplies alone.

    The header may be left out, and blank lines are passed over. Raises ConfigError with the line of every operation
    that the device does not have, size that its rows and buffer do not hold, and row out of range.
    """
    found, problems = list[Instruction](), list[Problem]()
    lines = csv.reader(textfile.read(path).splitlines())
    for words in lines:
        row = [word.strip() for word in words]
        if not any(row) or (lines.line_num == 1 and row == HEADER):
            continue
        try:
            found.append(_instruction(row, lines.line_num, device))
        except ValueError as error:
            problems.append(Problem(str(error), str(path), lines.line_num))
    if len(problems) > MOST_TOLD:
        problems[MOST_TOLD:] = [Problem(f"and {len(problems) - MOST_TOLD} more bad lines", str(path))]
    if not found and not problems:
        problems.append(Problem("holds no operations", str(path)))
    if problems:
        raise ConfigError(*problems)
    return found


def _instruction(row: Sequence[str], line: int, device: Device) -> Instruction:
    if len(row) > len(HEADER):
        raise ValueError(f"expected op,size,row, not '{','.join(row)}'")
    op, size, place = [*row, "", ""][: len(HEADER)]
    if op not in device.spec.operations:
        raise ValueError(unknown("operation", op, device.spec.operations))
    does = device.does(op).does
    count = _size(op, size, {"multiply": device.row_bytes, "write_buffer": device.spec.buffer}.get(does), device)
    return Instruction(op, count, _row(op, place, does == "multiply", device.spec.organization["Row"]), line)


def _size(op: str, text: str, room: int | None, device: Device) -> int:
    if text and not (text.isdecimal() and int(text)):
        raise ValueError(f"size must be a whole number above zero, not '{text}'")
    size = int(text or 1)
    if room is not None and size > room // device.spec.burst:
        what = "buffer" if room == device.spec.buffer and device.does(op).does == "write_buffer" else "row"
        told = f"{op} of size {size} is more than the {room // device.spec.burst} bursts of a {what}"
        raise ValueError(f"{told} ({room} bytes, {device.spec.burst} a burst); split it")
    return size


def _row(op: str, text: str, wanted: bool, rows: int) -> int | None:
    if not wanted:
        if text:
            raise ValueError(f"{op} goes to no row; leave '{text}' out")
        return None
    if not text.isdecimal():
        raise ValueError(f"{op} needs a row from 0 to {rows - 1}, not '{text}'")
    if int(text) >= rows:
        raise ValueError(f"row {text} is out of range: a bank has {rows} rows, 0 to {rows - 1}")
    return int(text)


def unwritten(program: Iterable[Instruction], device: Device) -> tuple[int, ...]:
    """Return the lines that multiply by more of the global buffer than the program has written before them."""
    written, found = 0, []
    for each in program:
        does = device.does(each.op).does
        if does == "write_buffer":
            written = max(written, each.size)
        elif does == "multiply" and each.size > written:
            found.append(each.line)
    return tuple(found)
