"""The energy that a network takes at least: what each of the least counts of actions costs by the chip's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from sim import energy as tables
from sim.arch import Arch, Simple
from sim.bounds.designs import Vector
from sim.bounds.lanes import kept_bytes, lane_operations
from sim.bounds.network import Needs
from sim.bounds.ports import added
from sim.dataflow import DATAFLOWS
from sim.layers import Lowered


def picojoules(
    needs: Sequence[Needs], lowered: Lowered, chip: Arch, seconds: Vector, capacity: Mapping[str, Vector]
) -> Vector:
    """Return the pJ that a network takes at least: products, lanes, DRAM, accesses of buffers, and their leakage.

    `seconds` is what it takes at least on each design, `capacity` the bytes of buffers that differ between them.
    """
    table = tables.load(chip.technology)
    total = np.zeros(len(seconds)) + _work_energy(chip, lowered, needs)
    if not chip.bounded:
        return total
    if isinstance(chip.memory, Simple):
        price = min(cost.pj for cost in table.dram(chip.memory.technology))
        total = total + np.sum([need.moved for need in needs], axis=0) * 8 * price
    passed = added([*(need.passed for need in needs), kept_bytes(lowered, chip)])
    for name, buffer in chip.buffers.items():
        size = capacity.get(name, np.full(len(seconds), float(buffer.capacity)))
        reads, writes, leakage = _sram(chip.technology, buffer.port_width, size)
        for operand in buffer.holds:
            for way, price_each in (("read", reads), ("write", writes)):
                total = total + passed.get((operand, way), 0.0) / buffer.port_width * price_each
        total = total + leakage * seconds * 1e12
    return total


def _work_energy(chip: Arch, lowered: Lowered, needs: Sequence[Needs]) -> float:
    """Return the pJ of products, of the registers that each of them writes, and of the lanes."""
    table, formats = tables.load(chip.technology), chip.precision
    total = 0.0
    if chip.array:
        flow = DATAFLOWS[chip.array.dataflow]
        seen = [chip.seen(right) for right in ("weight", "input", "kv")]
        moving = [min(one.bits(o) for one in seen) for o in ("weight", "input") if o != flow.stationary]
        bits = sum(moving) + chip.bits("partial_sum") / max(one.mac_rate for one in seen)
        others = {formats.weight, *(tables.beside(formats.input, chip.format_of(o)) for o in ("input", "kv"))}
        product = min(table.mac(formats.input, other, formats.partial_sum).pj for other in others)
        scale = chip.array.dvfs.energy if chip.array.dvfs else 1.0
        total = sum(need.macs for need in needs) * (product + bits * table.register(1).pj) * scale
    lanes = chip.vector.dvfs.energy if chip.vector and chip.vector.dvfs else 1.0
    for task in lowered.tasks:
        for kind, count in lane_operations(task, chip).items():
            total += count * _lane(table, chip, kind) * lanes
    return total


def _lane(table: tables.Table, chip: Arch, kind: str) -> float:
    """Return the pJ of a lane operation, by the method that lanes have for it."""
    method = chip.vector.functions.get(kind) if chip.vector else None
    if method is None:
        return table.lane(kind, chip.lane_format).pj
    return table.steps(method.steps(kind), chip.lane_format).pj


def _sram(technology: str, port_width: int, capacity: Vector) -> tuple[Vector, Vector, Vector]:
    """Return pJ a read, pJ a write and watts of leakage of buffers of so many bytes."""
    sizes, index = np.unique(capacity, return_inverse=True)
    figures = np.array([_one(technology, port_width, int(size)) for size in sizes])
    reads, writes, leakage = figures[index.reshape(-1)].T
    return reads, writes, leakage


@lru_cache(maxsize=4096)
def _one(technology: str, port_width: int, capacity: int) -> tuple[float, float, float]:
    sram = tables.load(technology).sram(capacity, port_width * 8)
    return sram.read.pj, sram.write.pj, sram.leakage_watts or 0.0
