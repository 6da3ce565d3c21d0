"""The same network with all that multiplies off the memory: every operand streamed once to an array over the pins.

The array is as fast as the memory: what counts are the bytes. Weights are read once for all rows of a product, keys
and values once, and what joins the cache is written. The pins carry a burst every `beat` clocks of the device, less
the time of refresh; rows are opened in other banks meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.inmemory.jobs import CACHE, MOVES, Job
from sim.pim.device import Device


@dataclass(frozen=True)
class Baseline:
    """Bytes over the pins, the clocks that they take, and their energy; none where the device has no figures."""

    bytes: int
    cycles: int
    energy_pj: float | None = None


def baseline(jobs: Sequence[Job], device: Device) -> Baseline:
    """Return what the jobs take where the pins are the bound.

    Energy is that of rows opened once, of the bits on their way to the pins and over them, and of the products, each
    as costly as in the banks.
    """
    count = sum(_bytes(job) for job in jobs)
    spent = _energy(count, sum(job.macs for job in jobs), device)
    bursts = -(-count // (device.spec.burst * device.spec.channels))
    clocks, timing = bursts * device.beat, device.spec.timing
    if device.spec.refresh == "off":
        return Baseline(count, clocks, spent)
    interval = timing["tREFI"].cycles
    return Baseline(count, -(-clocks * interval // (interval - timing["tRFC"].cycles)), spent)


def _energy(count: int, macs: int, device: Device) -> float | None:
    figures = device.spec.energy
    if figures is None:
        return None
    bit = figures.array.value + figures.path.value + figures.io.value
    return count * 8 * bit + -(-count // device.row_bytes) * figures.activate.value + macs * figures.mac.value


def _bytes(job: Job) -> int:
    product = job.product.read[1] if job.product else 0
    stored = sum(store.write[1] for store in job.stores if store.what == CACHE)
    return product + stored + sum(program.read[1] for program in job.before if program.what == MOVES)
