"""What a DRAM device sustains on a sequential stream, measured on its controllers; the chip that mappers rank on."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sim.arch import Arch, Dram, Simple
from sim.dram.controller import controller_of
from sim.dram.device import Device

STREAM = 4096
"""Bursts of the sequential stream."""


@dataclass(frozen=True)
class Rates:
    """What a device does on a sequential stream: clocks of a burst, clocks to the first data, and by how much refresh
    stretches time."""

    burst: Fraction
    latency: int
    stretch: Fraction


_RATES: dict[str, Rates] = {}
"""The rates of devices by what they are."""


def rates(device: Device) -> Rates:
    """Return the rates of a device, measured on its controllers once in a process."""
    if device.digest not in _RATES:
        _RATES[device.digest] = _measured(device)
    return _RATES[device.digest]


def _measured(device: Device) -> Rates:
    still = quiet(device)
    stream = np.arange(STREAM, dtype=np.int64) * device.burst % device.capacity
    plain, first, real = _run(still, stream), _run(still, stream[:1]), _run(device, stream)
    return Rates(Fraction(plain, STREAM), first, max(Fraction(1), Fraction(real, plain)))


def refresh_interval(device: Device) -> int:
    """Return the clocks from refresh to refresh; 0 where there is none."""
    mode = device.spec.refresh
    return 0 if mode == "off" else device.timing("tREFIpb" if mode == "per_bank" else "tREFI")


def estimate(chip: Arch) -> Arch:
    """Return the chip with its DRAM replaced by a channel of the bandwidth that a sequential stream sustains.

    The mapper ranks candidates on it: to simulate every burst of every candidate would take minutes.
    """
    memory = chip.memory
    if not isinstance(memory, Dram):
        return chip
    device = memory.open()
    found = rates(device)
    bandwidth = device.burst * device.clock_hertz / (found.burst * found.stretch)
    seconds = float(found.latency / device.clock_hertz)
    simple = Simple.model_construct(
        kind="simple", bandwidth=int(bandwidth), latency=seconds, burst=device.burst, technology="lpddr4"
    )
    return chip.model_copy(update={"memory": simple})


def quiet(device: Device) -> Device:
    """Return the device without refresh."""
    return Device(device.spec.model_copy(update={"refresh": "off"}))


def _run(device: Device, stream: NDArray[np.int64]) -> int:
    controller = controller_of(device)
    return controller.finish(controller.submit(stream, False))
