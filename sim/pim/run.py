"""From a device and a program to a result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.errors import ConfigError, Problem
from sim.pim.channel import CAUSES, Channel
from sim.pim.device import Device, load
from sim.pim.program import read_program, unwritten
from sim.pim.result import PimResult


def run(
    device: str, program: str | Path, overrides: Mapping[str, Any] | None = None, *, strict: bool = False
) -> PimResult:
    """Return what the device takes for the program in a file, the same on all its channels.

    Multiplying by what the global buffer was not given is told in `notes`; with `strict`, it is an error. Raises
    ConfigError.
    """
    made = load(device, overrides)
    operations = read_program(program, made)
    early = unwritten(operations, made)
    notes = tuple(f"{program}:{line}: multiplies by more of the global buffer than was written" for line in early[:1])
    if strict and early:
        told = "multiplies by more of the global buffer than was written; put a {} of that size before it"
        write = made.operation("write_buffer")
        raise ConfigError(*(Problem(told.format(write), str(program), line) for line in early))
    channel = Channel(made)
    cycles = channel.run(operations)
    return PimResult(
        made.name, made.spec.description, made.spec.validated, made.spec.channels, made.clock_hertz, cycles,
        cycles / made.clock_hertz, len(operations), commands(channel), {each: channel.clocks[each] for each in CAUSES},
        notes, dict(overrides or {}),
    )  # fmt: skip


def commands(channel: Channel) -> dict[str, int]:
    """Return how often each command was issued, over all channels that work as this one does."""
    device: Device = channel.device
    return {name: channel.counts[name] * device.spec.channels for name in device.spec.commands}
