"""The energy of commands: what each makes banks, global buffers and pins do, at the figures of the device.

Commands to all banks count for all of them; leakage is in none of the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any

from sim.dram.schema import Event
from sim.pim.device import Device
from sim.pim.schema import Role

BANKS, BUFFER, PINS = "banks", "global_buffer", "io"
"""The parts of a device, as results name them."""

FIGURES = {
    (BANKS, "activate"): "activate", (BANKS, "array"): "array", (BANKS, "mac"): "mac", (BANKS, "refresh"): "refresh",
    (BUFFER, "read"): "buffer", (PINS, "path"): "path", (PINS, "pins"): "io",
}  # fmt: skip
"""Part and action to the name of its figure in the file."""


def events(device: Device, commands: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Return what commands (by name, of all channels) do, by part and action: rows, bits, products, refreshes."""

    def count(*roles: Role) -> int:
        return sum([commands.get(device.maybe(role) or "", 0) for role in roles])

    bits = device.spec.burst * 8
    runs = count("multiply") * device.units + count("multiply_one")
    alone = count("read", "write")
    moved = count("write_buffer", "write_registers", "read_registers") + alone
    return {
        (BANKS, "activate"): count("activate") * device.banks + count("activate_one"),
        (BANKS, "array"): (runs + alone) * bits, (BANKS, "mac"): runs * device.lanes,
        (BANKS, "refresh"): count("refresh"), (BUFFER, "read"): count("multiply", "multiply_one") * bits,
        (PINS, "path"): moved * bits, (PINS, "pins"): moved * bits,
    }  # fmt: skip


def figure(device: Device, part: str, action: str) -> Event | None:
    """Return the energy of an action of a part, None where the device has no figures."""
    found: Event | None = getattr(device.spec.energy, FIGURES[part, action], None)
    return found


def spent(device: Device, commands: Mapping[str, int]) -> dict[str, Any] | None:
    """Return the energy of commands in pJ: `total`, `by_component`, `by_action`; None where there are no figures."""
    if device.spec.energy is None:
        return None
    found = {
        key: count * event.value for key, count in events(device, commands).items()
        if (event := figure(device, *key)) is not None
    }  # fmt: skip
    return {
        "total": fsum(found.values()),
        "by_component": {part: fsum(pj for (one, _), pj in found.items() if one == part)
                         for part in dict.fromkeys(part for part, _ in found)},
        "by_action": {".".join(key): pj for key, pj in found.items()},
    }  # fmt: skip
