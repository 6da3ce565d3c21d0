"""From a device and a program to a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.errors import ConfigError, Problem
from sim.pim.channel import CAUSES, Channel
from sim.pim.device import Device, load
from sim.pim.energy import spent
from sim.pim.program import read_program, split, unwritten
from sim.pim.result import PimResult
from sim.pim.schema import SINGLE

EARLY = "multiplies by more of the global buffer than was written"


def run(
    device: str, program: str | Path, overrides: Mapping[str, Any] | None = None, *, strict: bool = False
) -> PimResult:
    """Return what the device takes for the program in a file, the same on all its channels.

    Multiplying by what the global buffer was not given is told in `notes`; with `strict`, it is an error. Raises
    ConfigError.
    """
    made = load(device, overrides)
    operations = read_program(program, made)
    apart = split(operations, made.spec.channels)
    notes = _early(sorted({line for each, _ in apart for line in unwritten(each, made)}), program, made, strict)
    done = [(Channel(made), each, count) for each, count in apart]
    cycles = max(channel.run(each) for channel, each, _ in done)
    last = next(channel for channel, _, _ in done if channel.end == cycles)
    counts = sum((commands(channel, count) for channel, _, count in done), Counter[str]())
    return PimResult(
        made.name, made.spec.description, made.spec.validated, made.spec.channels, made.clock_hertz, cycles,
        cycles / made.clock_hertz, len(operations), told_counts(made, counts),
        {each: last.clocks[each] for each in CAUSES}, spent(made, counts), notes, dict(overrides or {}),
    )  # fmt: skip


def _early(lines: Sequence[int], program: str | Path, device: Device, strict: bool) -> tuple[str, ...]:
    """Return a note on the first of the lines that multiply by what was not written; ConfigError where `strict`."""
    if strict and lines:
        way_out = f"put a {device.operation('write_buffer')} of that size before it"
        raise ConfigError(*(Problem(f"{EARLY}; {way_out}", str(program), line) for line in lines))
    return tuple(f"{program}:{line}: {EARLY}" for line in lines[:1])


def commands(channel: Channel, count: int) -> Counter[str]:
    """Return how often each command was issued, over `count` channels that work as this one does."""
    return Counter({name: issued * count for name, issued in channel.counts.items()})


def told_counts(device: Device, counts: Mapping[str, int]) -> dict[str, int]:
    """Return the commands as results show them: all that go to all banks, and those to one bank that were issued."""
    return {name: counts.get(name, 0) for name, each in device.spec.commands.items()
            if counts.get(name, 0) or each.does not in SINGLE}  # fmt: skip
