"""Fused attention: the published points of FuseMax, FLAT and unfused attention, and what their schedules must obey."""

from __future__ import annotations

import pytest

from sim import Result, run
from tests.attention_cases import CONFIGURATIONS, HEADS, SIZE, Point, array, lanes, off_chip, points
from tests.validation.reference import rows

POINTS = list(points())
SAMPLE = [p for p in POINTS if p.model in ("BERT", "XLM") and p.tokens in (4096, 262144)]


@pytest.mark.parametrize("row", rows("figures", "fusemax_attention.csv"), ids=lambda row: row["config"])
def test_the_five_configurations_are_as_published(row) -> None:
    """Within 1 % in latency and in both utilizations; the bytes of all but FLAT, whose rule is not published, equal."""
    chip, settings = CONFIGURATIONS[row["config"]]
    result = run(chip, f"attention:{row['B']}x{row['H']}x1024x{row['E']}", settings)
    assert result.seconds == pytest.approx(float(row["latency_s(940MHz)"]), rel=0.01)
    assert array(result) == pytest.approx(float(row["util_2d"]), rel=0.01)
    assert lanes(result) == pytest.approx(float(row["util_1d"]), rel=0.01)
    if row["config"] != "flat":
        assert off_chip(result) == int(row["dram_bytes"])


def check(point: Point) -> None:
    """Compare a point: 1 % in time and utilization, bytes of FuseMax equal. FLAT has limits too, see `check_flat`."""
    result = point.run()
    if point.config == "flat":
        check_flat(point, result)
        if bound_by_keys(point, result):
            return
    assert result.seconds == pytest.approx(point.seconds, rel=0.01)
    assert array(result) == pytest.approx(point.array, rel=0.01)
    assert lanes(result) == pytest.approx(point.lanes, rel=0.01)
    if point.config in ("arch", "binding"):
        assert off_chip(result) == point.dram_bytes


CLOCK, BANDWIDTH, LANES, PASSES = 940e6, 400 * 2**30, 256, 4
"""Of FLAT's chip, and the lane operations of a score."""


def check_flat(point: Point, result: Result) -> None:
    """Hold bytes and time of FLAT, published and ours, between limits that follow from what must be done.

    At least every operand moves once and the lanes do four operations a score. At most nothing is kept on chip:
    queries, keys and values are read for every tile of 256 x 256 scores, and each score is written and read twice;
    and no transfer hides behind the lanes.
    """
    heads, n = 64 * HEADS[point.model], point.tokens
    operand, scores = 2 * heads * n * SIZE[point.model], heads * n * n
    work = PASSES * scores / LANES / CLOCK
    for moved, seconds in ((off_chip(result), result.seconds), (point.dram_bytes, point.seconds)):
        assert 4 * operand <= moved <= (3 * n // 256 + 1) * operand + 4 * 2 * scores
        assert work * 0.999 < seconds < work + moved / BANDWIDTH


def bound_by_keys(point: Point, result: Result) -> bool:
    """Tell whether scores go through memory, or keys and values of a group of rows take longer than its lane operation.

    The artifact lets them overlap with everything else and takes the largest sum; a schedule waits for them, pass by
    pass, in groups of its own.
    """
    fusion = result.layers[0].mapping["attention"]
    rows = fusion["m"] * fusion["group"]
    load = 2 * SIZE[point.model] * point.tokens / BANDWIDTH
    return bool(fusion["spilled"]) or load > rows * point.tokens / LANES / CLOCK


def test_flat_differs_only_where_memory_binds_it() -> None:
    """What stays on chip up to 64K tokens with 64 features a head does so with 128 up to 16K."""
    found = {(p.model, p.tokens): bound_by_keys(p, p.run()) for p in POINTS if p.config == "flat" and p.tokens >= 16384}
    free = {(model, 65536) for model in ("BERT", "TrXL", "T5")} | {(model, 16384) for model in HEADS}
    assert {case for case, bound in found.items() if not bound} == free


@pytest.mark.parametrize("point", SAMPLE, ids=lambda p: f"{p.config}-{p.model}-{p.tokens}")
def test_other_lengths_are_as_published(point) -> None:
    check(point)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p.config}-{p.model}-{p.tokens}")
def test_every_point_is_as_published(point) -> None:
    check(point)
