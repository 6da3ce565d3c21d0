"""Gemmini, its default instance: whole networks in FireSim, as its authors tell them."""

from collections.abc import Iterator

from sim.simulate import run
from tests.validation.reference import Case, Reference

PUBLISHED = (
    ("ResNet-50, batch 4, February 2021", "resnet50", 4, 153_709_356),
    ("ResNet-50, batch 4, March 2021, 51 % utilization", "resnet50", 4, round(4 * 4_089_184_256 / 256 / 0.51)),
    ("ResNet-50, 22.8 images/s at 1 GHz", "resnet50", 1, round(1e9 / 22.8)),
    ("AlexNet, 79.3 images/s at 1 GHz", "alexnet", 1, round(1e9 / 79.3)),
)
"""(What, network, batch, cycles): pull requests 69 and 90 of ucb-bar/gemmini, then Genc et al., DAC 2021.

The batch of the first is what its cycles and its utilization of 40 % make; the second is taken to be the same run.
"""


def cases() -> Iterator[Case]:
    """Yield the cycles of whole networks."""
    predicted: dict[tuple[str, int], int] = {}
    for title, network, batch, published in PUBLISHED:
        key = network, batch
        predicted[key] = predicted.get(key) or run("gemmini_16x16", network, {"batch": batch}).cycles
        yield Case(f"{title}, cycles", predicted[key], published)


REFERENCE = Reference(
    order=11,
    title="Gemmini",
    measures="cycles of whole networks on the default instance: 16x16 int8, weight stationary, 256 + 64 KiB",
    origin="ucb-bar/gemmini, pull requests 69 (cycles) and 90 (utilization, turned into cycles); images a second "
    "of Genc et al., DAC 2021, recalled rather than re-read",
    cases=cases,
    why="only whole networks are published. There a RISC-V core issues every tile, tiles are those of its library, "
    "convolutions are lowered on the fly, and memory is an L2 behind a system bus and a DRAM model; the prediction has "
    "a searched mapping, a queue of commands that is never empty, and 16 GB/s after 80 ns. It says what the array and "
    "its buffers allow: the difference is what the system around them takes. AlexNet waits for its weights on both "
    "sides. Nothing is tuned",
    peers="a month apart, between the two pull requests, ResNet-50 became a fifth faster on the same configuration",
    listed=True,
)
