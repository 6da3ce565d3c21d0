"""Eyeriss on silicon: the processing latency of AlexNet and VGG-16, and the bytes of its global buffer."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from sim.result import Layer
from sim.simulate import run
from tests.validation.reference import Case, Reference, rows

OWN = ("fill", "compute", "drain", "wait_port")
"""What the paper calls processing: the array and the port of its buffer. The other causes wait for DRAM."""

DRAM_PJ = 200 * 1.07 / 16
"""Picojoules a bit: 200 times a multiply-accumulate for a word of 16 bits, arch_configs/energy/65nm_eyeriss.yaml."""


@cache
def layers() -> list[tuple[dict[str, str], Layer]]:
    """Return (published row, predicted layer) of all 18 layers, with the mappings that the chip used."""
    return list(zip(rows("eyeriss", "jssc17.csv"), run("eyeriss_jssc17", "eyeriss_layers").layers, strict=True))


def latencies() -> Iterator[Case]:
    """Yield milliseconds at 200 MHz."""
    for row, layer in layers():
        cycles = sum(layer.causes.get(cause, 0) for cause in OWN)
        bound = ", bound by the buffer's port" if layer.causes.get("wait_port", 0) else ""
        yield Case(f"{layer.name}{bound}, ms", round(cycles / 200e3, 2), float(row["processing_latency_ms"]))


def traffic() -> Iterator[Case]:
    """Yield MiB between the buffer and the PEs."""
    for row, layer in layers():
        moved: dict[str, Any] = {m: sum(sum(o.values()) for o in w.values()) for m, w in layer.traffic_bytes.items()}
        yield Case(f"{layer.name}, MiB", round((moved["glb"] - moved["dram"]) / 2**20, 1), float(row["glb_MB"]))


def powers() -> Iterator[Case]:
    """Yield milliwatts on chip while it processes, one nanojoule every five nanoseconds being 200 mW."""
    for row, layer in layers():
        off_chip = 8 * sum(sum(moved.values()) for moved in layer.traffic_bytes["dram"].values()) * DRAM_PJ
        cycles = sum(layer.causes.get(cause, 0) for cause in OWN)
        yield Case(f"{layer.name}, mW", round((layer.energy_pj - off_chip) / cycles * 0.2), float(row["power_mW"]))


ORIGIN = (
    "Chen et al., JSSC 52(1), 2017, AlexNet at batch 4 and VGG-16 at batch 3, mapped as the chip was; figures "
    "recalled rather than re-read, their columns add up to the published totals"
)

REFERENCE = [
    Reference(
        order=7,
        title="Eyeriss, latency",
        measures="processing latency of the 18 convolutions of AlexNet and VGG-16, one set of parameters for all",
        origin=ORIGIN,
        cases=latencies,
        why="fill and drain of passes follow from the widths of the chip's buses and its one port, nothing is fitted; "
        "the mappings of AlexNet are recalled",
        peers="Timeloop 3 to 12 % on AlexNet and 2.7 times on VGG-16, MAESTRO 4.25 % on AlexNet",
        listed=True,
    ),
    Reference(
        order=7,
        title="Eyeriss, buffer",
        measures="bytes between global buffer and PEs in the same layers",
        origin=ORIGIN,
        cases=traffic,
        why="in AlexNet's CONV3 the recalled mapping and the published traffic contradict each other; the rest is "
        "rounding and AlexNet's CONV1",
    ),
    Reference(
        order=7,
        title="Eyeriss, power",
        measures="power of the chip in the same layers against that of its PEs, buses and buffer alone; not a gate",
        origin=ORIGIN,
        cases=powers,
        why="the energies known are relative costs of multiply-accumulate, scratchpad, bus and buffer (Chen et "
        "al., ISCA 2016); clock network (a third of the chip's power and more), control, leakage and the run-length "
        "coder are not among them, so that every figure must be low",
        listed=True,
    ),
]
