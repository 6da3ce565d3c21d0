"""Precision-scalable units: rates by format, what they pack, and what is told where one is missing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import sim
from sim.arch import load
from sim.arch.rates import NoRate, rate_of
from sim.area import chip_area
from sim.errors import TiletickError
from sim.report.show import show
from sim.rtl.check import check
from tests.laws import law

IDEAL: dict[str, Any] = {"array.rows": 4, "array.cols": 4}


def rates(text: str, **more: Any) -> dict[str, Any]:
    """Settings of a 4 x 4 array with rates, "int4 4, int8 2"."""
    pairs = (entry.split() for entry in text.split(", "))
    return IDEAL | {"array.rates": {name: int(rate) for name, rate in pairs}} | more


def told(overrides: dict[str, Any], arch: str = "array", network: str = "gemm:8x8x8") -> str:
    with pytest.raises(TiletickError) as error:
        sim.run(arch, network, overrides)
    return str(error.value)


@law(st.integers(1, 30), st.integers(1, 30), st.integers(1, 90), st.integers(1, 5), st.sampled_from(("ws", "os", "is")),
     quick=30, full=500)  # fmt: skip
def test_a_rate_makes_k_as_many_times_shorter(m: int, n: int, k: int, rate: int, flow: str) -> None:
    """For whole words along k, an array of any rate takes what a plain one takes for a reduction of K / rate."""
    packed = sim.run("array", f"gemm:{m}x{n}x{k}", rates(f"int8 {rate}", dataflow=flow))
    plain = sim.run("array", f"gemm:{m}x{n}x{-(-k // rate)}", IDEAL | {"dataflow": flow})
    assert packed.cycles == plain.cycles
    assert packed.macs == m * n * k
    assert packed.utilization == pytest.approx(packed.macs / (16 * rate * packed.cycles))
    assert packed.utilization <= packed.mapping_efficiency + 1e-9 <= 1 + 2e-9


def test_every_format_runs_at_its_own_rate() -> None:
    """Weight stationary, one fold: 2R + C + M cycles; int4 folds four times the reduction into a row."""
    table = rates("int4 4, int8 2, int16 1")
    for name, folds in (("int16", 8), ("int8", 4), ("int4", 2)):
        formats = {"precision.weight": name, "precision.input": name}
        assert sim.run("array", "gemm:10x4x32", table | formats).cycles == folds * (8 + 4 + 10), name


def test_a_pair_runs_at_the_slower_rate_unless_it_has_its_own() -> None:
    assert rate_of({"int8": 2, "int4": 4}, "int8", "int4") == 2
    assert rate_of({"int8": 1, "int4": 4, "int4xint8": 2}, "int8", "int4") == 2
    assert rate_of({"int8": 1, "int4": 4, "int4xint8": 2}, "int4", "int8") == 2
    assert rate_of({"int4xint8": 2}, "int4", "int8") == 2
    assert rate_of({"fp4": 4, "fp8": 2}, "mxfp4", "mxfp8") == 2, "elements of blocks are multiplied in their own format"
    assert rate_of({}, "fp32", "int4") == 1
    with pytest.raises(NoRate, match="has no rate for int4; it has: int8"):
        rate_of({"int8": 1}, "int4", "int4")


def test_keys_and_values_have_the_rate_of_their_own_format() -> None:
    """Decode of one head: the queries are bf16, and meet keys of fp8 at twice the rate of keys of bf16."""
    chip = IDEAL | {"array.rates": {"bf16": 1, "fp8": 2, "bf16xfp8": 2}, "precision.weight": "bf16",
                    "precision.input": "bf16", "precision.partial_sum": "fp32"}  # fmt: skip
    network = "attention:1x1x1x64,kv=256"
    plain, narrow = (sim.run("array", network, chip | {"precision.kv": kv}) for kv in ("bf16", "fp8"))
    products = [[layer for layer in run.layers if layer.macs] for run in (plain, narrow)]
    assert sum(layer.cycles for layer in products[1]) < 0.6 * sum(layer.cycles for layer in products[0])
    assert narrow.energy_pj["by_action"]["array.mac_kv"] < plain.energy_pj["by_action"]["array.mac"]


def test_bit_fusion_equals_the_formula_of_its_simulator() -> None:
    """With N x M units a product of ni x no takes batch * ceil(no / M) * ceil(ni / (N * factor)) cycles, and here the
    fill and drain of the array once (github.com/hsharma35/bitfusion, accelerator.py, get_compute_cycles)."""
    for weight, inputs, factor in (("int8", "int8", 1), ("int4", "int8", 2), ("int8", "int4", 2), ("int4", "int4", 4)):
        formats = {"precision.weight": weight, "precision.input": inputs, "memory": "ideal"}
        for batch, no, ni in ((1000, 64, 256), (777, 100, 300)):
            theirs = batch * math.ceil(no / 32) * math.ceil(ni / (16 * factor))
            assert sim.run("bit_fusion", f"gemm:{batch}x{no}x{ni}", formats).cycles == theirs + 2 * 16 + 32, formats


def test_lanes_take_as_many_elements_as_their_format_allows(tmp_path: Path) -> None:
    network = tmp_path / "n.yaml"
    network.write_text("name: n\ninputs: {x: [1, 64, 16, 16]}\nlayers:\n  - {name: add, op: add, in: [x, x]}\n")
    lanes: dict[str, Any] = {"memory": "ideal", "vector.rates": {"fp16": 2, "fp32": 1}, "vector.latency": 0}
    wide = sim.run("bit_fusion", str(network), lanes | {"vector.number_format": "fp32"})
    half = sim.run("bit_fusion", str(network), lanes | {"vector.number_format": "fp16"})
    assert (wide.cycles, half.cycles) == (64 * 16 * 16 // 32, 64 * 16 * 16 // 64)
    assert half.energy_pj["by_action"]["vector.add"] < wide.energy_pj["by_action"]["vector.add"]


def test_products_of_narrow_formats_take_less_energy_each() -> None:
    def mac(name: str) -> float:
        formats = {"precision.weight": name, "precision.input": name, "memory": "ideal"}
        result = sim.run("bit_fusion", "gemm:64x64x64", formats)
        return result.energy_pj["by_action"]["array.mac"] / result.macs

    assert mac("int4") < mac("int8")


def test_a_scalable_pe_has_room_for_its_largest_mode() -> None:
    """Four 4-bit products and their adders against one of 8 bits; one mode alone is a plain PE."""
    def area(table: dict[str, int], name: str) -> float:
        chip = load("bit_fusion", {"array.rates": table, "precision.weight": name, "precision.input": name})
        return chip_area(chip).by_component["array"]

    plain = area({}, "int8")
    assert area({"int8": 1}, "int8") == plain
    assert area({"int8": 1, "int4": 4}, "int8") == area({"int8": 1, "int4": 4}, "int4") > plain
    assert area({"int8": 2}, "int8") > 1.5 * plain
    assert area({}, "int4") < plain


def test_show_says_what_each_format_reaches() -> None:
    text = show("bit_fusion", {"precision.weight": "int4"})
    assert "peak         1,024 MACs/cycle = 1.024 TOPS, two operations a MAC" in text
    assert "int4       4 a PE and cycle: 2,048 MACs/cycle = 2.048 TOPS" in text
    more = show("bit_fusion", {"vector.rates": {"int32": 2}})
    assert "32 GOPS: 32 lanes, 2 elements of int32 each" in more


def test_a_format_without_a_rate_is_told_with_those_that_there_are() -> None:
    there = "it has: int8, int4; choose another format, or add its rate to units.array.rates"
    table = rates("int8 1, int4 4")
    assert told(table | {"precision.weight": "int16"}) == (
        f"--set precision.weight: unit 'array' has no rate for int16 x int8; {there}"
    )
    assert told(table | {"precision.input": "mxfp8"}) == (
        f"--set precision.input: unit 'array' has no rate for int8 x fp8; {there}"
    )
    assert told(table | {"precision.kv": "fp8"}) == (
        f"--set precision.kv: unit 'array' has no rate for fp8 x int8; {there}"
    )
    assert told({"vector.rates": {"fp32": 1}}, "bit_fusion") == (
        "--set units.vector.rates: precision.partial_sum: unit 'vector' has no rate for int32; it has: fp32; choose "
        "another format, or add its rate to units.vector.rates"
    )
    assert told({"vector.rates": {"fp32": 1}, "vector.number_format": "fp16"}, "bit_fusion").startswith(
        "--set units.vector.number_format: unit 'vector' has no rate for fp16; it has: fp32"
    )


def test_a_product_of_activations_without_a_rate_is_told() -> None:
    """Weights meet inputs at the rate of the pair; inputs that meet inputs have none."""
    table = rates("int4xint8 2, int4 4", **{"precision.weight": "int4", "precision.input": "int8"})
    assert told(table, network="attention:1x2x8x8") == (
        "units.array.rates: unit 'array' has no rate for int8; it has: int4xint8, int4; add a rate"
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"int3": 1}, "unknown number format 'int3'; did you mean 'int32'? choose from: bf16, fp16, fp32, fp4, fp6, "
         "fp8, int16, int32, int4, int8"),
        ({"mxfp4": 4}, "elements of mxfp4 are multiplied as fp4; give fp4 a rate"),
        ({"int8xint4xint2": 4}, "unknown number format 'int2'"),
        ({"int8xint4xint4": 4}, "'int8xint4xint4' names 3 formats; a rate belongs to one, or to a pair: int8xint4"),
        ({"int8xint4": 2, "int4 x int8": 3}, "'int4 x int8' has two rates; keep one"),
        ({"int8": 0}, "0 is out of range: greater than 0"),
    ],
)  # fmt: skip
def test_rates_that_make_no_sense_are_told(table: dict[str, int], message: str) -> None:
    assert message in told(IDEAL | {"array.rates": table})


def test_a_rate_of_one_more_format_is_set_by_its_own_key() -> None:
    """The way out that the message tells: rates may have formats that the file does not name."""
    wide = {"precision.weight": "int16", "precision.input": "int16", "memory": "ideal", "array.rates.int16": 1}
    assert sim.run("bit_fusion", "gemm:8x8x16", wide).cycles == 2 * 16 + 32 + 8
    assert sim.run("array", "gemm:10x4x32", IDEAL | {"array.rates.int8": 2}).cycles == 4 * (8 + 4 + 10)
    assert "unknown number format 'int3'" in told(IDEAL | {"array.rates.int3": 2})


def test_units_that_run_at_one_rate_are_told() -> None:
    assert told({"array.rates": {"int8": 1}, "array.dataflow": "rs"}).endswith(
        "PEs of dataflow 'rs' take one word a cycle from their scratchpads; rates need ws, os or is"
    )
    assert "PEs of a flexible array hold one score each, and run at one rate; remove rates" in told(
        {"array.rates": {"bf16": 1}}, "fusemax")
    assert "unknown key 'fabric.rates'" in told({"fabric.rates": {"int8": 1}}, "streaming_fabric")
    assert "unknown key 'banks.rates'" in told({"banks.rates": {"int8": 1}}, "gddr6_aim", "gemv:512x1024")


def test_register_by_register_views_ask_for_plain_pes() -> None:
    with pytest.raises(TiletickError) as error:
        check("bit_fusion", "gemm:4x4x4", {"precision.weight": "int4", "precision.input": "int4"})
    assert str(error.value) == (
        "units.array.rates: PEs are shown that make one product a cycle, not 4; choose formats of rate 1, or "
        "--set array.rates={}"
    )


def test_one_rate_or_function_can_be_set_by_its_key() -> None:
    chip = load("tiny_4x4", {"array.rates.int8": 2, "vector.functions.div.method": "newton", "cycles_per.exp": 3})
    assert chip.array is not None
    assert chip.vector is not None
    assert (chip.array.rates, chip.vector.cycles_per) == ({"int8": 2}, {"exp": 3})
    assert chip.vector.functions["div"].method == "newton"
    with pytest.raises(TiletickError) as error:
        load("tiny_4x4", {"array.rates.int3": 2})
    assert "unknown number format 'int3'" in str(error.value)
