"""The sweeps that come with the package ask what they say they ask."""

from pathlib import Path
from typing import Any

import pytest

from sim import library
from sim.sweep import Report, Sweep, run_sweep
from sim.workload import open_workload

MACS = {1: 568.7, 2: 586.1, 4: 620.9, 8: 690.4, 16: 829.5, 32: 1107.7}
"""Millions of MACs of MobileNet v1 with so many channels a group (Jha et al., E2GC, VLSID 2020)."""


@pytest.mark.parametrize("name", library.names("sweep"))
def test_every_sweep_of_the_library_is_whole(name: str) -> None:
    found = Sweep(name)
    assert found.space.size > 1
    assert found.file.description


@pytest.mark.parametrize(("channels", "macs"), MACS.items())
def test_grouped_mobilenets_have_the_published_macs(channels: int, macs: float) -> None:
    assert round(open_workload("mobilenet_v1_grouped", {"channels_per_group": channels}).macs / 1e6, 1) == macs


def test_one_channel_a_group_is_mobilenet() -> None:
    ours, theirs = open_workload("mobilenet_v1_grouped"), open_workload("mobilenet_v1")
    assert (ours.macs, ours.parameters) == (theirs.macs, theirs.parameters)
    assert [node.output_shapes for node in ours.nodes] == [node.output_shapes for node in theirs.nodes]


def test_the_systolic_sweep_has_ten_thousand_points() -> None:
    assert Sweep("resnet50_systolic").space.size >= 10_000


def figures(report: Report, key: str, name: str) -> dict[Any, float]:
    """Return a figure by the value of a key."""
    return {row.settings[key]: row.figures[name] for row in report.done if row.figures}


def asked(name: str, out: Path, axes: dict[str, Any], **settings: Any) -> Report:
    """Return the report of a library sweep with other axes and settings."""
    data = Sweep(name).document.data
    return run_sweep(data | {"axes": axes, "set": data.get("set", {}) | settings}, out=out, jobs=1)


def test_larger_groups_use_more_of_the_array(tmp_path: Path) -> None:
    """DRACO's answer, on small pictures: utilization rises with the channels that share a fold."""
    report = asked("draco", tmp_path, {"channels_per_group": [1, 16, 64]}, size=32, spatial=3)
    used = list(figures(report, "channels_per_group", "utilization").values())
    assert used == sorted(used)


@pytest.mark.slow
def test_e2gc_in_full(tmp_path: Path) -> None:
    report = run_sweep("e2gc", out=tmp_path)
    assert len(report.done) == 12
    macs = figures(report, "channels_per_group", "macs")
    assert {channels: round(count / 1e6, 1) for channels, count in macs.items()} == MACS
