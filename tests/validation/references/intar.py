"""A multilayer perceptron on an Alveo U280, its weights through one HBM port (InTAR)."""

from collections.abc import Iterator

from sim.simulate import run
from sim.streaming.simulate import simulate
from tests.validation.reference import Case, Reference

SPATIAL = 181_996
"""Cycles measured, all layers at once on the fabric: OswaldHe/InTAR, 256-1024-2048-256, 16-bit words."""


def cases() -> Iterator[Case]:
    """Yield the cycles of a vector."""
    yield Case("all layers at once, as a chip (hls_u280)", run("hls_u280", "intar_mlp").cycles, SPATIAL)
    yield Case("all layers at once, as a graph (mlp/one_port)", simulate("mlp/one_port").cycles, SPATIAL)


REFERENCE = Reference(
    order=9,
    title="InTAR",
    measures="cycles of a perceptron of 256-1024-2048-256 through one HBM port of a U280",
    origin="OswaldHe/InTAR, measured on the board",
    cases=cases,
    why="the port bounds it (180,224 words of 32 bytes); what the kernel takes to start and to end is not modelled",
    listed=True,
)
