"""Fused attention: the published points of FuseMax, FLAT and unfused attention, and what their schedules must obey."""

from __future__ import annotations

import pytest

from sim import run
from tests.attention_cases import CONFIGURATIONS, Point, array, lanes, off_chip, points
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
    """Compare a point: 1 % in time and utilization, bytes of FuseMax equal.

    FLAT is within 6 %, as its rule is not published: from 256K tokens scores go through memory (ours reads keys and
    values again less often), at 64K groups of 128 rows are all that fits (loads of keys and values bound two passes).
    """
    result = point.run()
    within = 0.06 if point.config == "flat" and point.tokens >= 65536 else 0.01
    assert result.seconds == pytest.approx(point.seconds, rel=within)
    assert array(result) == pytest.approx(point.array, rel=within)
    assert lanes(result) == pytest.approx(point.lanes, rel=within)
    if point.config in ("arch", "binding"):
        assert off_chip(result) == point.dram_bytes


@pytest.mark.parametrize("point", SAMPLE, ids=lambda p: f"{p.config}-{p.model}-{p.tokens}")
def test_other_lengths_are_as_published(point) -> None:
    check(point)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS, ids=lambda p: f"{p.config}-{p.model}-{p.tokens}")
def test_every_point_is_as_published(point) -> None:
    check(point)
