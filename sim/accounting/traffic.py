"""Bytes by memory, direction and operand: added up, called by what they are, and what of them no layer has alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.arch import Arch
from sim.kernel import Kernel, VectorWork
from sim.planner import input_bytes
from sim.result import Layer, Traffic

SHARED = "shared"
"""What a layer's share of energy that belongs to none is called beside its components."""


def merge(into: Traffic, more: Traffic) -> None:
    """Add the bytes of `more` to those of `into`."""
    for memory, directions in more.items():
        for direction, operands in directions.items():
            place = into.setdefault(memory, {"read": {}, "write": {}})[direction]
            for operand, count in operands.items():
                place[operand] = place.get(operand, 0) + count


def summed(parts: Sequence[Traffic]) -> Traffic:
    """Return the bytes of all parts together."""
    total: Traffic = {}
    for part in parts:
        merge(total, part)
    return total


def renamed(traffic: Traffic, result: str) -> Traffic:
    """Return the traffic of a layer whose output is `result` in the accounts, as what joins a KV cache is "kv"."""
    return {
        memory: {
            direction: {result if operand == "output" else operand: count for operand, count in operands.items()}
            for direction, operands in directions.items()
        }
        for memory, directions in traffic.items()
    }


def shares(chip: Arch, kernel: Kernel, operand: str, name: str, count: int) -> list[tuple[str, int]]:
    """Return the bytes of a transfer by what they are: inputs of vector work may be indices beside values."""
    if operand != "input" or not isinstance(kernel, VectorWork) or not kernel.kinds:
        return [(name, count)]
    sizes = input_bytes(kernel, chip)
    shares = [count * size // sum(sizes) for size in sizes]
    shares[0] += count - sum(shares)
    return list(zip(kernel.kinds, shares, strict=True))


def share_out(layers: Sequence[Layer], energy_pj: float) -> list[Layer]:
    """Return the layers with energy that no layer has alone: activations, refresh, standby, bytes beside the useful
    ones. Each gets a share by its off-chip bytes; by its cycles where none has any."""
    moved = [sum(sum(o.values()) for o in layer.traffic_bytes.get("dram", {}).values()) for layer in layers]
    moved = moved if any(moved) else [layer.cycles for layer in layers]
    whole = sum(moved)
    shares = [energy_pj * part / whole if whole else 0.0 for part in moved]
    return [
        replace(layer, energy_pj=layer.energy_pj + share, energy_by_component=parts | {SHARED: share})
        for layer, share, parts in zip(layers, shares, (layer.energy_by_component for layer in layers), strict=True)
    ]
