"""What DRAM costs in a run: its events, as the device prices them."""

from __future__ import annotations

from typing import Any

from sim.arch import Dram
from sim.dram.energy import costs
from sim.energy.table import Cost

Action = tuple[str, str]


def dram_costs(memory: Dram) -> dict[Action, Cost]:
    """Return the energy of each event: reads and writes a bit, standby a clock of a rank."""
    device = memory.open()
    found, bits, source = costs(device), device.burst * 8, f"DRAM device {device.name}, by {device.spec.energy}"
    prices = {
        "activate": found.activate, "read": found.read / bits, "write": found.write / bits,
        "refresh": found.refresh, "standby": found.open_clock,
    }  # fmt: skip
    return {("dram", action): Cost(price, source) for action, price in prices.items()}


def dram_counts(memory: Dram, did: dict[str, Any], seconds: float) -> dict[Action, float]:
    """Return how often each event happened in a run: whole bursts, and ranks on standby with a row open all the time.

    An open-page controller closes rows only for others and for refresh, so that time with all rows closed is left out.
    """
    device = memory.open()
    bits, ranks = device.burst * 8, device.channels * device.ranks
    return {
        ("dram", "activate"): did["activates"], ("dram", "read"): did["reads"] * bits,
        ("dram", "write"): did["writes"] * bits, ("dram", "refresh"): did["refreshes"],
        ("dram", "standby"): seconds * float(device.clock_hertz) * ranks,
    }  # fmt: skip
