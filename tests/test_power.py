"""Laws of what changes over time: windows add up to the energy, levels to the peak, skipped iterations included."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import sim
from sim import plot
from sim.errors import ConfigError
from sim.report.page import to_page
from sim.report.power import power
from sim.report.trace import to_trace
from sim.report.windows import edges_of, kept, levels
from sim.timeline import Timeline

CASES = [
    ("tiny_4x4", "gemm:64x64x64"), ("edge_tpu_like_simple", "conv:64,28,28,64,3,3,pad=1"),
    ("edge_tpu_like", "gemm:300x200x100"), ("eyeriss", "conv:16,28,28,32,3,3,pad=1"), ("tpu_v1", "gemm:256x512x512"),
]  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]} {case[1]}")
def result(request):
    return sim.run(*request.param, record=True)


@pytest.mark.parametrize("windows", [1, 7, 200])
def test_windows_of_power_add_up_to_the_energy_by_component(result, windows):
    found = power(result, windows)
    seconds = np.diff(found.edges) / result.clock_hz
    for component, pj in result.energy_pj["by_component"].items():
        assert float(np.sum(found.watts[component] * seconds)) == pytest.approx(pj * 1e-12, rel=1e-9)
        assert float(found.watts[component].min()) >= -1e-12
    assert found.average * result.seconds == pytest.approx(result.energy_pj["total"] * 1e-12, rel=1e-9)
    assert found.peak >= found.average * (1 - 1e-12)


def test_no_power_is_spent_on_products_while_the_array_waits():
    result = sim.run("tiny_4x4", "gemm:4x4x4", record=True)
    found = power(result, result.cycles)
    (ledger,) = (ledger for name, ledger in result.timeline.ledgers.items() if name == "array")
    working = np.zeros(result.cycles, bool)
    for start, end, _, cause in ledger.slices:
        working[start:end] = cause == "compute"
    assert working.any() and np.all(found.watts["array"][~working] <= found.watts["array"][working].min())


def test_the_highest_level_is_the_peak_of_the_result(result):
    edges = edges_of(result.cycles)
    for buffer, size in result.buffers.items():
        means, most = levels(result.timeline, buffer, edges)
        assert most.max() == result.timeline.peaks[buffer]
        assert most.max() + kept(result, buffer, edges).max() <= size["peak_bytes"]
        assert np.all(means <= most + 1e-6) and np.all(means >= -1e-6)


@pytest.mark.parametrize("workload", ["gemm:64x64x64", "gemm:256x24x64", "gemm:96x40x200"])
def test_levels_are_those_of_a_run_that_skips_nothing(workload):
    fast, slow = (sim.run("tiny_4x4", workload, record=True, fast_forward=on) for on in (True, False))
    assert fast.timeline.repeats and not slow.timeline.repeats
    edges = edges_of(fast.cycles, 20)
    for buffer, size in fast.buffers.items():
        (ours, most), (theirs, highest) = (levels(run.timeline, buffer, edges) for run in (fast, slow))
        assert ours == pytest.approx(theirs, abs=0.05 * size["capacity_bytes"])
        assert ours.mean() == pytest.approx(theirs.mean(), rel=0.03)
        assert most.max() == highest.max()


def test_a_hole_repeats_the_period_before_it():
    """Four cycles of 10 bytes, then four of 30, for ever; iterations 3 to 12 were skipped."""
    samples = [(0, 10), (4, 30), (8, 10), (12, 30), (96, 10), (100, 30)]
    timeline = Timeline(104, {}, [], {}, occupancy={"b": samples}, repeats=[(16, 96, 8)])
    means, most = levels(timeline, "b", np.linspace(0, 104, 14))
    assert means == pytest.approx(np.full(13, 20.0)) and most.tolist() == [30.0] * 13


def test_pictures_over_time_need_a_recorded_run():
    for name in ("power", "heatmap", "occupancy"):
        with pytest.raises(ConfigError, match=r"the result has no timeline; run it with record=True"):
            getattr(plot, name)(sim.run("tiny_4x4", "gemm:8x8x8"))


def test_bars_of_power_hold_the_watts_and_the_trace_the_same(result):
    found = power(result)
    axis = plot.power(result).axes[0]
    scale = {"W": 1.0, "mW": 1e3}[axis.get_ylabel()]
    top = max(float(np.max(patch.get_data().values)) for patch in axis.patches)
    assert top == pytest.approx(found.peak * scale)
    events = [e for e in json.loads(to_trace(result))["traceEvents"] if e["name"] == "power (W)"]
    assert max(sum(e["args"].values()) for e in events) == pytest.approx(found.peak, rel=1e-6)


def test_fifos_are_drawn_with_depth_and_peak():
    result = sim.stream("attention/naive", {"n": 16})
    axis = plot.fifos(result).axes[0]
    heights = [patch.get_height() for patch in axis.patches]
    assert heights == [c.depth + c.buffer for c in result.channels.values()] + [
        c.peak_occupancy for c in result.channels.values()
    ]
    with pytest.raises(ConfigError, match=r"the result has no FIFOs; they are in streaming graphs and pipelines"):
        plot.fifos(sim.run("array", "gemm:4x4x4"))


def test_the_page_tells_power_and_levels_and_nothing_without_a_record(result):
    page = to_page(result)
    assert "Power over time" in page and ("Buffers over time" in page) == bool(result.buffers)
    bare = to_page(replace(result, timeline=None))
    assert "Power over time" not in bare and "Buffers over time" not in bare


OTHERS = [
    ("gddr6_aim", "gpt2", {"phase": "decode", "depth": 1, "context": 100}), ("hbm_pim_like", "gemv:2048x2048", {}),
    ("streaming_fabric", "attention:1x2x64x16", {}), ("finn_zcu104", "mobilenet_v2", {"size": 32}),
    ("npu_fabric_pim", "gpt2", {"phase": "decode", "depth": 1, "context": 50}),
]  # fmt: skip
"""Chips that are no arrays, and one that is everything."""


@pytest.mark.parametrize(("arch", "network", "settings"), OTHERS, ids=[f"{case[0]} {case[1]}" for case in OTHERS])
def test_banks_and_fabrics_have_power_over_time_that_adds_up(arch, network, settings):
    run = sim.run(arch, network, settings, record=True)
    found = power(run)
    seconds = np.diff(found.edges) / run.clock_hz
    for component, pj in run.energy_pj["by_component"].items():
        assert float(np.sum(found.watts[component] * seconds)) == pytest.approx(pj * 1e-12, rel=1e-9)
        assert float(found.watts[component].min()) >= -1e-12
    assert found.peak > 1.05 * found.average, "it is not spread evenly"
    assert "Power over time" in to_page(run)
    assert any("power" in event["name"] for event in json.loads(to_trace(run))["traceEvents"])


def test_where_layers_do_not_say_what_components_took_there_is_no_power_over_time():
    banks = sim.run("gddr6_aim", "gemv:1024x1024", record=True)
    banks = replace(banks, layers=tuple(replace(layer, energy_by_component={}) for layer in banks.layers))
    assert power(banks) is None and "Power over time" not in to_page(banks)
    message = r"^no layer of the result says what its components took, so there is no power over time$"
    with pytest.raises(ConfigError, match=message):
        plot.power(banks)
