"""From a device and a stream of requests to a result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sim import textfile
from sim.dram.commands import command_trace
from sim.dram.controller import Controller
from sim.dram.device import Device, load
from sim.dram.extrapolate import extrapolate
from sim.dram.patterns import PATTERNS, Requests, Shape
from sim.dram.result import DramResult, result
from sim.dram.trace import read_trace
from sim.errors import ConfigError, Problem, unknown

REQUESTS = 10_000
"""Requests of a pattern where none are given."""
MOST_REQUESTS = 10**8
"""More would take gigabytes, and an hour."""
MOST = 2**36
"""The largest number of an option: requests times stride stay within 64 bits."""

def run(
    device: str, trace: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *,
    pattern: str | None = None, requests: int | None = None, stride: int | None = None, capacity: int | None = None,
    per_clock: int = 1, commands: str | Path | None = None,
) -> DramResult:  # fmt: skip
    """Return what it takes the device to serve a trace file or a pattern, in order and as fast as it accepts.

    stride: bytes from request to request (a burst); capacity: bytes that the pattern spans (all); per_clock: most
    requests a channel accepts a clock; commands: file for the command trace. Raises ConfigError.
    """
    if commands == "-":
        raise ConfigError(Problem("needs a file; standard output is for the result", "--commands"))
    made = load(device, overrides)
    if made.spec.extrapolate == "on" and (trace is not None or commands is not None):
        raise ConfigError(Problem("only patterns can be extrapolated, without --commands", "--set extrapolate"))
    stream = _requests(made, trace, pattern, requests, stride, capacity)
    if per_clock < 1:
        raise ConfigError(Problem(f"expected a number above zero, not {per_clock}", "--per-clock"))
    controller = Controller(made, per_clock, log=commands is not None)
    transfer = controller.submit(*stream)
    beyond = extrapolate(controller, transfer) if made.spec.extrapolate == "on" else None
    cycles = beyond.cycles if beyond is not None else controller.finish(transfer)
    if beyond is None:
        controller.advance(cycles)
    if commands is not None:
        textfile.write(commands, command_trace(controller))
    return result(controller, cycles, len(stream[0]), dict(overrides or {}), beyond)


def _requests(
    device: Device, trace: str | Path | None, pattern: str | None, count: int | None, stride: int | None,
    capacity: int | None,
) -> Requests:  # fmt: skip
    if (trace is None) == (pattern is None):
        raise ConfigError(Problem("needs either a trace file or --pattern, one of them"))
    if trace is not None:
        given = {"--requests": count, "--stride": stride, "--capacity": capacity}
        if idle := [option for option, value in given.items() if value is not None]:
            raise ConfigError(Problem("belongs to --pattern; a trace file says it all", ", ".join(idle)))
        return read_trace(trace, device)
    assert pattern is not None
    if pattern not in PATTERNS:
        raise ConfigError(Problem(unknown("pattern", pattern, PATTERNS), "--pattern"))
    shape = Shape(REQUESTS if count is None else count, device.burst if stride is None else stride,
                  device.capacity if capacity is None else capacity, device.burst)  # fmt: skip
    _check(shape, device)
    addresses, writes = PATTERNS[pattern](shape)
    beyond = np.flatnonzero(addresses >= device.capacity)
    if beyond.size:
        at = int(beyond[0])
        told = f"request {at} at address {int(addresses[at])} lies beyond the device's {device.capacity} bytes"
        raise ConfigError(Problem(f"{told}; use fewer requests or a smaller stride", "--pattern"))
    return addresses, writes


def _check(shape: Shape, device: Device) -> None:
    problems = []
    for option, value in (("--requests", shape.requests), ("--stride", shape.stride), ("--capacity", shape.capacity)):
        if not 1 <= value <= MOST:
            told = "a number above zero" if value < 1 else f"at most {MOST}"
            problems.append(Problem(f"expected {told}, not {value}", option))
    if not problems and shape.requests > MOST_REQUESTS:
        problems.append(Problem(f"expected at most {MOST_REQUESTS}, not {shape.requests}", "--requests"))
    if shape.capacity > device.capacity:
        told = f"{shape.capacity} bytes are more than the {device.capacity} of {device.name}"
        problems.append(Problem(f"{told}; leave it out, or add channels", "--capacity"))
    elif shape.capacity < shape.burst:
        problems.append(Problem(f"{shape.capacity} bytes do not hold a burst of {shape.burst}", "--capacity"))
    if problems:
        raise ConfigError(*problems)
