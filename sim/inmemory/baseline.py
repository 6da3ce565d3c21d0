"""The same network with all that multiplies off the memory: every operand streamed once to an array over the pins.

The array is as fast as the memory: what counts are the bytes. Weights are read once for all rows of a product, keys
and values once, and what joins the cache is written. The pins carry a burst every `beat` clocks of the device, less
the time of refresh; rows are opened in other banks meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sim.inmemory.jobs import CACHE, MOVES, Job
from sim.pim.device import Device


@dataclass(frozen=True)
class Baseline:
    """Bytes over the pins, and the clocks that they take."""

    bytes: int
    cycles: int


def baseline(jobs: Iterable[Job], device: Device) -> Baseline:
    """Return what the jobs take where the pins are the bound."""
    count = sum(_bytes(job) for job in jobs)
    bursts = -(-count // (device.spec.burst * device.spec.channels))
    clocks, timing = bursts * device.beat, device.spec.timing
    if device.spec.refresh == "off":
        return Baseline(count, clocks)
    interval = timing["tREFI"].cycles
    return Baseline(count, -(-clocks * interval // (interval - timing["tRFC"].cycles)))


def _bytes(job: Job) -> int:
    product = job.product.read[1] if job.product else 0
    stored = sum(store.write[1] for store in job.stores if store.what == CACHE)
    return product + stored + sum(program.read[1] for program in job.before if program.what == MOVES)
