"""The first TPU on a multilayer perceptron: the share of cycles in which its array is active."""

from collections.abc import Iterator

from sim.simulate import run
from tests.validation.reference import Case, Reference

MEASURED = 12.7
"""Percent of cycles with the array active, MLP0: Jouppi et al., ISCA 2017, table 3."""


def cases() -> Iterator[Case]:
    """Yield the share in percent for five layers of 2000 x 2000 (20 M weights) at batch 200."""
    result = run("tpu_v1", "tpu_mlp0")
    compute = result.units["array"]["cycles"]["compute"]
    yield Case("MLP0, percent of cycles with the array active", round(100 * compute / result.cycles, 2), MEASURED)


REFERENCE = Reference(
    order=8,
    title="TPU v1",
    measures="percent of cycles in which the array is active, MLP0 (20 M weights, batch 200)",
    origin="counters of the chip, Jouppi et al., ISCA 2017, table 3",
    cases=cases,
    why="the roofline of the weight bandwidth (34 GB/s) is 14.8 %; the model keeps the weight memory busy nearly all "
    "the time, while the chip also waits for its host, its instructions and layers before (raw stalls 3.3 %, input "
    "stalls 6.1 %), none of which is modelled or tuned",
    peers="Google's own performance model is off by 6.8 % in time on this application (table 7)",
    listed=True,
)
