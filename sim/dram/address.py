"""From byte addresses to channel, bank, row and column, as the mapping of a device says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dram.device import Device

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Where requests go, each of shape (requests,): channel, bank within it, row, column, number of the burst."""

    channel: Index
    bank: Index
    row: Index
    column: Index
    burst: Index


def order(device: Device) -> list[str]:
    """Return the fields of an address from the most to the least significant; channels that are not named interleave
    burst by burst."""
    named: list[str] = [*device.spec.mapping]
    return named if "Channel" in named else [*named, "Channel"]


def places(device: Device, addresses: Index) -> Places:
    """Return where the requests at byte `addresses` go; each must be below the device's capacity."""
    bursts = np.asarray(addresses, np.int64) // device.burst
    fields, shift = dict[str, Index](), 0
    for name in reversed(order(device)):
        count = device.counts[name]
        fields[name] = (bursts >> shift) & (count - 1)
        shift += count.bit_length() - 1
    bank = np.zeros_like(bursts)
    for level in device.spec.levels[1:]:
        bank = bank * device.counts[level] + fields[level]
    return Places(fields["Channel"], bank, fields["Row"], fields["Column"], bursts)
