"""Programs of a PIM device: operations in order, each repeating one command, from a file or made for a GEMV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim import textfile
from sim.errors import ConfigError, Problem, unknown
from sim.pim.device import Device
from sim.pim.schema import SINGLE

HEADER = ["op", "size", "row", "bank", "channel"]
NEEDED = 3
"""Columns that a header has at least."""
MOST_TOLD = 20
"""Bad lines told at once."""


@dataclass(frozen=True)
class Instruction:
    """One operation: its command is issued `size` times; what reads or writes banks does so in a `row`.

    `bank` is one of a channel where the operation goes to one alone; `channel` the only one that it goes to.
    """

    op: str
    size: int = 1
    row: int | None = None
    line: int = 0
    """Where it stands in its file; 0 where it stands in none."""
    bank: int | None = None
    channel: int | None = None


def read_program(path: str | Path, device: Device) -> list[Instruction]:
    """Return the operations in the file, `op,size,row[,bank[,channel]]` a line; an empty size is 1.

    Rows are for what reads or writes banks, banks for what goes to one of them; without a channel, an operation goes
    to all. The header may be left out, and blank lines are passed over. Raises ConfigError with the line of every
    operation that the device does not have, size that its rows and buffer do not hold, and row out of range.
    """
    found, problems = list[Instruction](), list[Problem]()
    lines = csv.reader(textfile.read(path).splitlines())
    for words in lines:
        row = [word.strip() for word in words]
        if not any(row) or (lines.line_num == 1 and len(row) >= NEEDED and row == HEADER[: len(row)]):
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
        raise ValueError(f"expected {','.join(HEADER)}, not '{','.join(row)}'")
    op, size, place, bank, channel = [*row, *[""] * len(HEADER)][: len(HEADER)]
    if op not in device.spec.operations:
        raise ValueError(unknown("operation", op, device.spec.operations))
    does = device.does(op).does
    room = device.spec.buffer if does == "write_buffer" else device.row_bytes if does in _IN_ROWS else None
    count = _size(op, size, room, device)
    return Instruction(
        op, count, _number(op, "row", place, does in _IN_ROWS, device.spec.organization["Row"], "a bank"), line,
        _number(op, "bank", bank, does in SINGLE, device.banks, "a channel"),
        _number(op, "channel", channel, bool(channel), device.spec.channels, device.name),
    )  # fmt: skip


_IN_ROWS = ("multiply", "multiply_one", "read", "write")


def _size(op: str, text: str, room: int | None, device: Device) -> int:
    if text and not (text.isdecimal() and int(text)):
        raise ValueError(f"size must be a whole number above zero, not '{text}'")
    size = int(text or 1)
    if room is not None and size > room // device.spec.burst:
        what = "buffer" if room == device.spec.buffer and device.does(op).does == "write_buffer" else "row"
        told = f"{op} of size {size} is more than the {room // device.spec.burst} bursts of a {what}"
        raise ValueError(f"{told} ({room} bytes, {device.spec.burst} a burst); split it")
    return size


def _number(op: str, what: str, text: str, wanted: bool, count: int, owner: str) -> int | None:
    """Return the number of a row, bank or channel of `owner`, which has `count`; ValueError where it is none."""
    if not wanted:
        if text:
            raise ValueError(f"{op} goes to no {what}; leave '{text}' out")
        return None
    if not text.isdecimal():
        raise ValueError(f"{op} needs a {what} from 0 to {count - 1}, not '{text}'")
    if int(text) >= count:
        raise ValueError(f"{what} {text} is out of range: {owner} has {count} {what}s, 0 to {count - 1}")
    return int(text)


def split(program: Sequence[Instruction], channels: int) -> list[tuple[list[Instruction], int]]:
    """Return what the channels do: programs that differ, and on how many channels each runs; one in lock-step."""
    if all(each.channel is None for each in program):
        return [(list(program), channels)]
    apart = Counter(tuple(e for e in program if e.channel in (None, number)) for number in range(channels))
    return [(list(each), count) for each, count in apart.items()]


def unwritten(program: Iterable[Instruction], device: Device) -> tuple[int, ...]:
    """Return the lines that multiply by more of the global buffer than the program has written before them."""
    written, found = 0, []
    for each in program:
        does = device.does(each.op).does
        if does == "write_buffer":
            written = max(written, each.size)
        elif does in ("multiply", "multiply_one") and each.size > written:
            found.append(each.line)
    return tuple(found)
