"""A multilayer perceptron on an Alveo U280, its weights through one HBM port (InTAR)."""

from collections.abc import Iterator

from sim.simulate import run
from sim.streaming.simulate import simulate
from tests.validation.reference import Case, Reference

SPATIAL, SEQUENTIAL = 181_996, 1_374_935
"""Cycles measured, all layers at once on the fabric and one after the other: OswaldHe/InTAR, 16-bit words."""
ONE_BY_ONE = {"pattern": "layers", "port.outstanding": 1, "port.burst": 2, "memory.latency": "0 ns"}
"""The sequential design: two words of weights are asked for and used before it asks again, and never waited for."""


def cases() -> Iterator[Case]:
    """Yield the cycles of a vector."""
    yield Case("all layers at once, as a chip (hls_u280)", run("hls_u280", "intar_mlp").cycles, SPATIAL)
    yield Case("all layers at once, as a graph (mlp/one_port)", simulate("mlp/one_port").cycles, SPATIAL)
    sequential = run("hls_u280", "intar_mlp", ONE_BY_ONE).cycles
    yield Case("one layer after the other (hls_u280)", sequential, SEQUENTIAL)


REFERENCE = Reference(
    order=9,
    title="InTAR",
    measures="cycles of a perceptron of 256-1024-2048-256 through one HBM port of a U280",
    origin="OswaldHe/InTAR, measured on the board",
    cases=cases,
    why="at once, the port bounds it (180,224 words of 32 bytes), and what the kernel takes to start and to end is not "
    "modelled; one after the other, a loop takes 14 cycles for two words here and 15.3 on the board",
    listed=True,
)
