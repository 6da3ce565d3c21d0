"""What is set and has no effect is named; what the cycles leave out can be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from sim.arch import load
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError
from sim.result import Result
from sim.simulate import run
from tests.laws import law

LINK = {"bandwidth": "8 B/cycle"}
KNOBS: dict[str, st.SearchStrategy[Any]] = {
    "dataflow": st.sampled_from(sorted(DATAFLOWS)),
    "sram_read_latency": st.integers(0, 3),
    "output_register": st.integers(0, 3),
    "pe_pipeline": st.integers(1, 3),
    "weight_buffers": st.sampled_from([1, 2]),
    "swap": st.sampled_from(["wave", "global"]),
    "drain": st.sampled_from(["serial", "overlap", "stream"]),
    "convention": st.sampled_from(["rtl", "scalesim"]),
}


def noted(arch: str, workload: str, **settings: Any) -> dict[str, list[str]]:
    result = run(arch, workload, {key.replace("__", "."): value for key, value in settings.items()})
    return {note["what"]: note["where"] for note in result.notes}


@law(st.data(), quick=25, full=400)
def test_a_knob_that_is_noted_changes_nothing_and_nothing_else_is_noted(data: st.DataObject) -> None:
    settings = {key: data.draw(values, key) for key, values in KNOBS.items()}
    if settings["dataflow"] == "rs":
        settings["convention"] = "rtl"  # SCALE-Sim has no such dataflow, and the mapper says so
    m, n, k = (data.draw(st.integers(1, 40)) for _ in range(3))
    work = f"gemm:{m}x{n}x{k}"
    result = run("array", work, settings)
    idle = {where.split(":")[0] for note in result.notes for where in note["where"]}
    assert idle.isdisjoint({"dataflow", "convention"})
    without = run("array", work, {key: value for key, value in settings.items() if key not in idle})
    assert alike(result) == alike(without) and not without.notes


def alike(result: Result) -> dict[str, Any]:
    return {key: value for key, value in result.to_dict().items() if key not in ("notes", "provenance")}


@pytest.mark.parametrize(
    ("settings", "what", "where"),
    [
        ({"dataflow": "os", "weight_buffers": 2, "swap": "global"},
         "keys of 'array' that play no part with dataflow os, convention rtl", ["swap: global", "weight_buffers: 2"]),
        ({"drain": "overlap"},
         "keys of 'array' that play no part with dataflow ws, convention rtl, weight_buffers 1", ["drain: overlap"]),
        ({"convention": "scalesim", "pe_pipeline": 2},
         "keys of 'array' that play no part with dataflow ws, convention scalesim", ["pe_pipeline: 2"]),
        ({"dataflow": "rs", "mapping.tile.m": 4}, "dataflow rs works in passes", ["mapping.tile"]),
        ({"mapping.passes.p": 4}, "dataflow ws works in folds", ["mapping.passes"]),
        ({"mapping.passes.e": 4, "scratchpads.sums": 8},
         "dataflow ws works in folds", ["mapping.passes", "array.scratchpads"]),
        ({"dataflow": "rs", "drain": "overlap", "weight_buffers": 2},
         "keys of 'array' that play no part with dataflow rs, convention rtl",
         ["drain: overlap", "weight_buffers: 2"]),
        ({"mapping.split": "k"}, "one array has nothing to split", ["mapping.split: k"]),
        ({"link": LINK}, "one array has no other to link with", ["link"]),
        ({"mapping.order": ["n", "m", "k"], "mapping.resident": ["weight"]},
         "memory is ideal, and one tile holds all", ["mapping.resident: weight", "mapping.order: n, m, k"]),
    ],
)  # fmt: skip
def test_what_is_noted(settings: dict[str, Any], what: str, where: list[str]) -> None:
    assert noted("array", "gemm:8x8x8", **settings) == {what: where}


def test_groups_that_cannot_be_packed_are_noted_by_layer() -> None:
    packed = {"mapping__groups": "packed"}
    said = "mapping.groups: packed, but a group leaves no room on the array for another"
    assert noted("tiny_4x4", "conv:8,8,8,8,3,3,groups=2", **packed) == {said: ["conv"]}
    assert noted("array", "conv:4,8,8,4,1,1,groups=2", **packed) == {}
    assert noted("array", "conv:4,8,8,4,1,1", **packed) == {}


def test_patterns_that_reach_nothing_are_noted_where_the_file_has_them(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    few = "{effort: 2}"
    path.write_text(f"extends: tiny_4x4\nmapping: {{layers: {{conv9: {few}, pool: {few}, conv1: {few}}}}}\n")
    net = tmp_path / "net.yaml"
    net.write_text(
        "name: net\ninputs: {x: [1, 2, 8, 8]}\nlayers:\n"
        "  - {name: conv1, op: conv2d, filters: 2, kernel: 3}\n  - {name: pool, op: maxpool, kernel: 2}\n"
    )
    assert noted(str(path), str(net)) == {
        "mapping.layers: no layer of the network has such a name": ["conv9"],
        "mapping.layers: these layers run on no array, there is nothing to map": ["pool"],
    }
    with pytest.raises(ConfigError) as caught:
        run("tiny_4x4", str(net), {"mapping.layers": {"conv9": {"effort": 2}}})
    assert str(caught.value) == (
        "--set mapping.layers: unknown layer 'conv9'; did you mean 'conv1'? choose from: conv1, pool"
    )


def test_presets_as_they_ship_set_nothing_in_vain() -> None:
    for name in ("tpu_v1", "edge_tpu_like", "gemmini_16x16", "scalesim_32x32", "fpga_zcu102_16x16", "tiny_4x4"):
        assert noted(name, "gemm:4x4x4") == {}, name


def test_several_arrays_have_something_to_split() -> None:
    assert noted("tiny_4x4", "gemm:8x8x8", count=2, link=LINK, mapping__split="m") == {}


# --- strict


SPARSE = """\
name: net
inputs: {x: [4, 8]}
layers: [{name: fc, op: linear, features: 8}]
not_modelled: [{what: "N:M sparsity 2:4", where: [fc]}]
"""


def test_strict_refuses_what_the_cycles_leave_out_and_names_what_the_energy_does(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(SPARSE)
    gaps = {gap["what"]: gap["affects"] for gap in run("array", str(path)).not_modelled}
    assert gaps == {"N:M sparsity 2:4": "cycles", "energy of memories (memory is ideal)": "energy"}
    with pytest.raises(ConfigError) as caught:
        run("array", str(path), strict=True)
    assert str(caught.value) == "not modelled: N:M sparsity 2:4: fc"


def test_strict_takes_a_network_that_is_modelled_whole() -> None:
    settings = {"swap": "global"}  # a note is no gap
    lax, strict = (run("array", "gemm:8x8x8", settings, strict=strict) for strict in (False, True))
    assert lax == strict and [gap["affects"] for gap in strict.not_modelled] == ["energy"] and strict.notes


def test_strict_refuses_what_a_chip_without_lanes_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("name: net\ninputs: {x: [4, 8]}\nlayers: [{name: sm, op: softmax}]\n")
    assert load("array").vector is None
    with pytest.raises(ConfigError) as caught:
        run("array", str(path), strict=True)
    assert str(caught.value) == "not modelled: softmax (the chip has no vector unit): sm"


def test_granules_that_dram_does_not_bring_are_noted() -> None:
    found = noted("edge_tpu_like", "gemm:64x64x64", buffers__weights__granule="64 B")
    assert found["DRAM brings the bursts that a load touches, and no whole granules"] == ["weights.granule"]
    simple = noted("edge_tpu_like_simple", "gemm:64x64x64", buffers__weights__granule="64 B")
    assert not any("granule" in what for what in simple)
