"""What DRAM did in a run: counts of its commands and rows, or their estimate, and by how much cycles may be off."""

from __future__ import annotations

from collections.abc import Collection
from math import hypot
from typing import Any

import numpy as np

from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.hardware.sustained import refresh_interval
from sim.hardware.transfers import COUNTED, Counts, Kind, Waits, counts_of

READS, WRITES = ("reads", "forwarded"), ("writes", "merged")
ROWS = ("activates", "precharges", "row_hits", "row_misses", "row_conflicts")
OPENING = ("tRCD", "tRCDRD", "tRCDWR")
"""What devices call the time from an activation to an access."""


def counted(counters: Counters) -> dict[str, Any]:
    """Return the counts of a run of which every burst was simulated."""
    return _named(counts_of(counters)) | {"refreshes": counters.refreshes}


def estimated(kinds: Collection[Kind], counters: Counters, device: Device, clocks: int) -> dict[str, Any]:
    """Return the counts of a run of so many clocks, from those that were simulated of each kind of transfer."""
    total = counts_of(counters) - sum((kind.counts for kind in kinds), np.zeros(len(COUNTED)))  # of the last transfer
    moved = dict.fromkeys((READS, WRITES), 0.0)
    for kind in kinds:
        times = 1 + kind.taken / kind.sent
        total += kind.counts * times
        moved[WRITES if kind.write else READS] += kind.bursts * times
    found = {names: sum(total[COUNTED.index(name)] for name in names) for names in moved}
    for names, bursts in moved.items():  # queues shift counts between neighbours; bursts are known
        for name in names:
            total[COUNTED.index(name)] *= bursts / found[names] if found[names] else 1.0
    rows = [COUNTED.index(name) for name in ROWS]
    share = sum(moved.values()) / sum(found.values()) if any(found.values()) else 1.0
    total[rows] *= share
    return _named(total) | {"refreshes": _refreshes(device, clocks)}


def off(kinds: Collection[Kind], device: Device, cycle: float, latency: int) -> float:
    """Return by how many cycles, of 1 / `cycle` clocks each, a run may be off.

    What the transfers of each kind may differ by together, as independent samples. At both ends of every stretch, a
    row that is opened and the latency to its data (cycles), which neighbours hide or not; and one refresh, which may
    meet the end of the run, or miss it.
    """
    row = (device.timing("tRP") + max(device.timing(name) for name in OPENING if name in device.spec.timing)) * cycle
    refresh = row + device.timing("tRFC") * cycle if device.spec.refresh == "all_bank" else row
    waits = Waits(row, refresh, refresh_interval(device) * cycle)
    limits = [kind.limit(waits) for kind in kinds]
    if not any(limits):
        return 0.0
    stretches = 1 + sum(len(kind.cold) for kind in kinds)
    return hypot(*limits) + 2 * stretches * (row + latency) + refresh


def _named(counts: Counts) -> dict[str, Any]:
    return {name: round(float(value)) for name, value in zip(COUNTED, counts, strict=True)}


def _refreshes(device: Device, clocks: int) -> int:
    """Return the refresh commands in so many clocks: at the end of every interval one a rank, or one a channel."""
    interval = refresh_interval(device)
    ranks = device.ranks if device.spec.refresh == "all_bank" else 1
    return clocks // interval * device.channels * ranks if interval else 0
