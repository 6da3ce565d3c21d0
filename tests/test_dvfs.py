"""Points of voltage and frequency: what a unit's own clock does to time, and its voltage to energy and power."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import sim
from sim import bounds
from sim.alone import bare
from sim.arch import Arch
from sim.errors import ConfigError
from sim.layers import lower
from sim.report.page import to_page
from sim.report.power import power
from sim.report.show import show
from sim.simulate import open_both, run
from tests.laws import law

POINTS = {
    "base": {"clock": "1 GHz", "voltage": "0.8 V"}, "half": {"clock": "500 MHz", "voltage": "0.6 V"},
    "third": {"clock": "333 MHz", "voltage": "0.5 V"}, "fast": {"clock": "1500 MHz", "voltage": "1 V"},
}  # fmt: skip


def chip(point: str | None, unit: str = "array", array: dict[str, Any] | None = None, **keys: Any) -> Arch:
    """Return a chip of 1 GHz whose array, or lanes, run at a point; without points where it is None."""
    units: dict[str, Any] = {
        "array": {"kind": "systolic", "rows": 8, "cols": 8, **(array or {})}, "vector": {"kind": "vector", "lanes": 8},
    }  # fmt: skip
    if point:
        units[unit]["dvfs"] = {"points": POINTS, "nominal": "base", "point": point}
    buffers = {"sram": {"capacity": "32 KiB", "holds": ["weight", "input", "output"], "bandwidth": "64 B/cycle"}}
    memory = {"kind": "simple", "bandwidth": "64 GB/s", "latency": "100 ns"}
    return Arch.model_validate(
        {"name": "chip", "clock": "1 GHz", "units": units, "buffers": buffers, "memory": memory} | keys
    )


KNOBS = st.fixed_dictionaries({
    "dataflow": st.sampled_from(("ws", "os", "is", "rs")), "weight_buffers": st.sampled_from((1, 2)),
    "drain": st.sampled_from(("serial", "overlap")), "sram_read_latency": st.integers(0, 2),
})  # fmt: skip


@law(st.tuples(*[st.integers(1, 90)] * 3), KNOBS, quick=8, full=100)
def test_a_point_at_the_clock_of_the_chip_changes_no_cycle(size: tuple[int, int, int], knobs: dict[str, Any]) -> None:
    network = "gemm:{}x{}x{}".format(*size)
    plain, same = (run(chip(point, array=knobs), network) for point in (None, "base"))
    assert (same.cycles, same.energy_pj, same.layers) == (plain.cycles, plain.energy_pj, plain.layers)


@law(st.tuples(*[st.integers(1, 120)] * 3), KNOBS, quick=8, full=100)
def test_an_array_alone_at_half_the_clock_takes_twice_the_cycles(
    size: tuple[int, int, int], knobs: dict[str, Any]
) -> None:
    network = "gemm:{}x{}x{}".format(*size)
    plain, half = (run(chip(point, array=knobs, memory="ideal"), network) for point in ("base", "half"))
    assert half.cycles == 2 * plain.cycles
    assert half.utilization == pytest.approx(plain.utilization)


@law(st.tuples(*[st.integers(1, 60)] * 3), KNOBS, st.sampled_from(("third", "fast")), quick=8, full=100)
def test_a_tile_is_converted_as_a_whole(size: tuple[int, int, int], knobs: dict[str, Any], point: str) -> None:
    """With everything in one tile the cycles are those of the array times the ratio, two roundings up at most."""
    if knobs["dataflow"] == "rs":
        return  # it works in passes, each with times of its own
    network, pace = "gemm:{}x{}x{}".format(*size), Fraction(10**9, 333 * 10**6 if point == "third" else 1500 * 10**6)
    plain, scaled = (run(chip(each, array=knobs, memory="ideal"), network) for each in ("base", point))
    assert plain.cycles * pace <= scaled.cycles < plain.cycles * pace + 3


def test_what_waits_for_memory_hardly_notices_a_slower_array() -> None:
    starved = {"memory": {"kind": "simple", "bandwidth": "250 MB/s", "latency": "100 ns"}}
    plain, half = (run(chip(point, **starved), "gemm:8x256x256") for point in ("base", "half"))
    assert plain.cycles <= half.cycles < 1.02 * plain.cycles


def test_lanes_at_half_the_clock_take_twice_the_cycles() -> None:
    apart: dict[str, Any] = {"memory": "ideal", "mapping": {"attention": "layers"}}
    plain, half = (run(chip(point, "vector", **apart), "attention:1x1x64x8") for point in ("base", "half"))
    (before,), (after,) = ([la.cycles for la in each.layers if la.op == "softmax"] for each in (plain, half))
    assert after == 2 * before


@law(st.tuples(*[st.integers(1, 70)] * 3), st.sampled_from(("half", "third", "fast")), KNOBS, quick=6, full=100)
def test_causes_add_up_and_nothing_beats_its_bound(
    size: tuple[int, int, int], point: str, knobs: dict[str, Any]
) -> None:
    one, graph, _ = open_both(chip(point, array=knobs), "gemm:{}x{}x{}".format(*size), {})
    found, slowly = run(one, graph), run(one, graph, fast_forward=False)
    assert found.cycles == slowly.cycles and found.units == slowly.units
    assert all(sum(unit["cycles"].values()) == found.cycles for unit in found.units.values())
    lowered, design = lower(graph, one), bounds.Designs.of(one)
    assert bounds.cycles(bounds.needs_of(lowered, one, design), lowered, one, design)[0] <= found.cycles


@pytest.mark.parametrize(("unit", "workload"), [("array", "gemm:64x64x64"), ("vector", "attention:1x1x64x8")])
def test_energy_of_a_unit_goes_with_the_square_of_its_voltage_and_of_no_other(unit: str, workload: str) -> None:
    plain, half = (run(chip(point, unit, memory="ideal"), workload) for point in ("base", "half"))
    for component, spent in plain.energy_pj["by_component"].items():
        share = (0.6 / 0.8) ** 2 if component == unit else 1
        assert half.energy_pj["by_component"][component] == pytest.approx(spent * share)
    assert half.units[unit]["clock_hz"] == 500_000_000
    assert (half.units[unit]["point"], half.units[unit]["voltage"]) == ("half", 0.6)
    other = {"array": "vector", "vector": "array"}[unit]
    assert half.units[other]["clock_hz"] == 10**9 and "point" not in half.units[other]


def test_power_of_a_slower_unit_is_lower_by_clock_and_voltage() -> None:
    """P = E / t: at half the clock and three quarters of the voltage an array that never waits takes 9/32."""
    keys = {"array": {"weight_buffers": 2}, "memory": "ideal"}
    plain, half = (power(run(chip(point, **keys), "gemm:512x64x64", record=True)) for point in ("base", "half"))
    assert plain is not None and half is not None
    assert half.average == pytest.approx(plain.average * 9 / 32)
    assert half.peak == pytest.approx(plain.peak * 9 / 32, rel=0.02)
    assert np.sum(half.watts["array"]) == pytest.approx(np.sum(half.total))


def test_a_higher_point_is_faster() -> None:
    faster = [run(chip(point), "gemm:96x96x96").cycles for point in ("third", "half", "base", "fast")]
    assert faster == sorted(faster, reverse=True)


def test_a_published_chip_runs_at_its_points() -> None:
    slow, base, fast = (
        sim.run("eyeriss", "conv:16,14,14,32,3,3,pad=1", {"point": point}) for point in ("low", "nominal", "high")
    )
    assert slow.cycles > base.cycles > fast.cycles
    ratio = slow.energy_pj["by_action"]["array.mac"] / base.energy_pj["by_action"]["array.mac"]
    assert ratio == pytest.approx(0.82**2)
    assert "high: 250 MHz at 1.17 V" in sim.summarize(fast)
    recorded = sim.run("eyeriss", "conv:4,8,8,4,3,3", {"point": "high"}, record=True)
    assert "array (systolic, 250 MHz at 1.17 V)" in to_page(recorded)


def test_points_are_shown_with_their_units_in_lines_of_the_page() -> None:
    text = show("eyeriss", {"point": "low"}, width=100)
    assert "clock        100 MHz" in text and "voltage      0.82 V" in text
    assert max(map(len, text.splitlines())) <= 100


COMPANION = "extends: pim_gpt\nname: mine\nunits: {{companion: {{{}dvfs: {{nominal: base, points: {{{}}}}}}}}}\n"


def test_a_companion_runs_at_a_point_of_its_own(tmp_path: Path) -> None:
    found = {}
    for clock in ("1 GHz", "500 MHz"):
        path = tmp_path / "mine.yaml"
        path.write_text(COMPANION.format("", f"base: {{clock: {clock}, voltage: 1 V}}"), encoding="utf-8")
        found[clock] = sim.run(str(path), "gpt2", {"phase": "decode", "context": 64, "depth": 1})
    slow, base = found["500 MHz"], found["1 GHz"]
    assert slow.units["companion"]["clock_hz"] == 500_000_000
    assert slow.units["companion"]["cycles"]["compute"] == 2 * base.units["companion"]["cycles"]["compute"]


def test_a_companion_has_one_clock(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(COMPANION.format("clock: 1 GHz, ", "base: {clock: 1 GHz, voltage: 1 V}"), encoding="utf-8")
    with pytest.raises(ConfigError, match="its clock is that of its point; remove clock or dvfs"):
        sim.run(str(path), "gpt2", {"phase": "decode", "context": 64, "depth": 1})


def test_the_array_as_a_circuit_counts_in_its_own_clock() -> None:
    array = bare(chip("half")).array
    assert array is not None and array.dvfs is None


MESSAGES = {
    "array: {kind: systolic, dvfs: {nominal: base, point: hi, points: {base: {clock: 1 GHz, voltage: 1 V}}}}":
        "unknown point 'hi'; choose from: base",
    "array: {kind: systolic, dvfs: {nominal: base, points: {base: {clock: 1 GHz, voltage: 1}}}}":
        "voltage 1 needs a unit, as in '0.9 V'",
    "array: {kind: systolic, dvfs: {nominal: base, points: {base: {clock: 1 GHz, voltage: 0 V}}}}":
        "voltage '0 V' must be greater than zero",
    "array: {kind: systolic, dvfs: {nominal: base, points: {}}}": "must not be empty",
    "array: {kind: systolic, dvfs: {points: {base: {clock: 1 GHz, voltage: 1 V}}}}": "nominal",
}  # fmt: skip


@pytest.mark.parametrize("units", MESSAGES)
def test_mistakes_in_points_are_told(units: str, tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(f"name: chip\nclock: 1 GHz\nmemory: ideal\nunits:\n  {units}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        sim.run(str(path), "gemm:4x4x4")
    assert MESSAGES[units] in str(caught.value) and "chip.yaml" in str(caught.value)
