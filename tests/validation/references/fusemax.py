"""Attention on FuseMax, on FLAT and unfused, against the artifact of FuseMax."""

from collections.abc import Iterator
from functools import cache, partial

from sim import Result
from tests.attention_cases import Point, off_chip, points
from tests.validation.reference import Case, Reference

FUSEMAX = ("arch", "binding")
"""Configurations on FuseMax's own hardware; the others are on FLAT's."""
OWN = ("BERT", "XLM")
"""Networks that the artifact holds rows of; those of others are these times their heads."""


@cache
def runs() -> list[tuple[Point, Result]]:
    """Return every row of the artifact with what is simulated for it."""
    return [(point, point.run()) for point in points() if point.model in OWN]


def latencies() -> Iterator[Case]:
    """Yield milliseconds."""
    for point, result in runs():
        yield Case(f"{_name(point)}, ms", round(1e3 * result.seconds, 4), round(1e3 * point.seconds, 4))


def traffic(own: bool) -> Iterator[Case]:
    """Yield MiB to and from memory, on FuseMax's hardware or on FLAT's."""
    for point, result in runs():
        if (point.config in FUSEMAX) == own:
            yield Case(f"{_name(point)}, MiB", off_chip(result) / 2**20, point.dram_bytes / 2**20)


def _name(point: Point) -> str:
    return f"{point.config}, {point.model}, {point.tokens:,} tokens"


ORIGIN = (
    "FPSG-UIUC/micro24-fusemax-artifact (MICRO 2024): batch 64, 1K to 1M tokens; FuseMax, its architecture without "
    "interleaving, its cascade on FLAT's hardware, FLAT, unfused"
)

REFERENCE = [
    Reference(
        order=6,
        title="FuseMax, latency",
        measures="time of attention of BERT and XLM in five configurations from 1K to 1M tokens",
        origin=ORIGIN,
        cases=latencies,
        why="the artifact adds up phases; here blocks are simulated, with the fill of the first and the drain of the "
        "last. What FLAT keeps on chip at which length is not published: its rule here is another from 64K tokens on",
        peers="the artifact is itself a model (Timeloop with formulas), not a chip",
    ),
    Reference(
        order=6,
        title="FuseMax, traffic",
        measures="bytes to and from memory of FuseMax, with and without interleaving, in the same points",
        origin=ORIGIN,
        cases=partial(traffic, own=True),
    ),
    Reference(
        order=6,
        title="FLAT, traffic",
        measures="the same on FLAT's hardware: FLAT, FuseMax's cascade there, and unfused",
        origin=ORIGIN,
        cases=partial(traffic, own=False),
        why="unfused is within 0.3 %. FLAT and the cascade bring keys and values more often in the artifact than the "
        "buffer asks for, by a rule that is not published; up to 16K tokens, and with the cascade always, that "
        "hardware is bound by its lanes, so that the time is not touched",
    ),
]
