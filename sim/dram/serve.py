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


def run(
    device: str, trace: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *,
    pattern: str | None = None, requests: int = 10_000, stride: int | None = None, capacity: int | None = None,
    per_clock: int = 1, commands: str | Path | None = None,
) -> DramResult:  # fmt: skip
    """Return what it takes the device to serve a trace file or a pattern, in order and as fast as it accepts.

    stride: bytes from request to request (a burst); capacity: bytes that the pattern spans (all); per_clock: most
    requests a channel accepts a clock; commands: file for the command trace. Raises ConfigError.
    """
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
    device: Device, trace: str | Path | None, pattern: str | None, count: int, stride: int | None, capacity: int | None
) -> Requests:
    if (trace is None) == (pattern is None):
        raise ConfigError(Problem("needs either a trace file or --pattern, one of them"))
    if trace is not None:
        return read_trace(trace, device)
    assert pattern is not None
    if pattern not in PATTERNS:
        raise ConfigError(Problem(unknown("pattern", pattern, PATTERNS), "--pattern"))
    shape = Shape(count, device.burst if stride is None else stride,
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
        if value < 1:
            problems.append(Problem(f"expected a number above zero, not {value}", option))
    if shape.capacity > device.capacity:
        told = f"{shape.capacity} bytes are more than the {device.capacity} of {device.name}"
        problems.append(Problem(f"{told}; leave it out, or add channels", "--capacity"))
    elif shape.capacity < shape.burst:
        problems.append(Problem(f"{shape.capacity} bytes do not hold a burst of {shape.burst}", "--capacity"))
    if problems:
        raise ConfigError(*problems)
