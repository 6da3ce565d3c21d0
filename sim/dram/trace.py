"""Trace files: a request a line, `address,write`, in order of issue."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from sim import textfile
from sim.dram.device import Device
from sim.dram.patterns import Requests
from sim.errors import ConfigError, Problem

HEADER = ["address", "write"]
MOST_TOLD = 20
"""Bad rows told at once."""


def read_trace(path: str | Path, device: Device) -> Requests:
    """Return the requests in the file: byte addresses (decimal, or hexadecimal with 0x) and 0 or 1 for a write.

    The header may be left out, and blank lines are passed over. Raises ConfigError with the line of every bad row,
    and of addresses that the device does not have.
    """
    file, addresses, writes, problems = str(path), list[int](), list[bool](), list[Problem]()
    lines = csv.reader(textfile.read(path).splitlines())
    for row in lines:
        if not row or (lines.line_num == 1 and [name.strip() for name in row] == HEADER):
            continue
        if lines.line_num == 1 and all(name.strip().isalpha() for name in row):
            problems.append(Problem(f"the header must be {','.join(HEADER)}, not '{','.join(row)}'", file, 1))
            continue
        try:
            address, write = _row(row, device)
            addresses.append(address)
            writes.append(write)
        except ValueError as error:
            problems.append(Problem(str(error), file, lines.line_num))
    if len(problems) > MOST_TOLD:
        problems[MOST_TOLD:] = [Problem(f"and {len(problems) - MOST_TOLD} more bad rows", file)]
    if not addresses and not problems:
        problems.append(Problem("holds no requests", file))
    if problems:
        raise ConfigError(*problems)
    return np.array(addresses, np.int64), np.array(writes, bool)


def _row(row: list[str], device: Device) -> tuple[int, bool]:
    if len(row) != len(HEADER):
        raise ValueError(f"expected address,write, not '{','.join(row)}'")
    try:
        address = int(row[0], 0)
    except ValueError:
        raise ValueError(f"'{row[0].strip()}' is no address; write it as 4096 or 0x1000") from None
    if row[1].strip() not in ("0", "1"):
        raise ValueError(f"write must be 0 or 1, not '{row[1].strip()}'")
    if address < 0:
        raise ValueError(f"address {address} lies below zero")
    if address >= device.capacity:
        raise ValueError(f"address {row[0].strip()} lies beyond the {device.capacity} bytes of {device.name}")
    return address, row[1].strip() == "1"
