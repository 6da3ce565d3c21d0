"""Chips whose units share memory: each alone is what it is alone, together they wait, and everything adds up."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import strategies as st

from sim import run
from sim.arch import Arch
from sim.errors import CapacityError, ConfigError
from sim.graph import Graph
from sim.pim.cost import gemv
from sim.report.placement import placed, placement_text
from sim.report.summary import summarize
from sim.result import Result
from sim.timeline import CAUSES
from sim.workload import open_workload
from tests.laws import law

FAST = {"kind": "simple", "bandwidth": "64 GB/s", "latency": "50 ns", "burst": "64 B", "technology": "lpddr4"}
SLOW = FAST | {"bandwidth": "2 GB/s"}


def shared(memory: Any = None, **keys: Any) -> Arch:
    """Return a chip with an array, lanes and a fabric on one memory; layers called f* go to the fabric."""
    sizes = {"capacity": "64 KiB", "bandwidth": "64 B/cycle"}
    return Arch.model_validate({
        "name": "shared", "clock": "1 GHz", "technology": "22nm",
        "units": {
            "array": {"kind": "systolic", "rows": 8, "cols": 8}, "lanes": {"kind": "vector", "lanes": 8},
            "fabric": {"kind": "fabric", "dsp": 64, "macs_per_dsp": 1},
        },
        "buffers": {"a": {**sizes, "holds": ["input"]}, "w": {**sizes, "holds": ["weight"]},
                    "o": {**sizes, "holds": ["output"]}},
        "memory": memory or FAST, "assign": [{"unit": "fabric", "layers": "f*"}], **keys,
    })  # fmt: skip


def network(folder: Path, text: str) -> Graph:
    """Return the workload that the lines of `text` describe."""
    path = folder / "net.yaml"
    path.write_text(f"name: net\n{text}", encoding="utf-8")
    return open_workload(str(path), {})


def two(rows: int = 64, width: int = 64, apart: int = 64) -> str:
    """Return two products that know nothing of each other, one for the fabric and one for the array."""
    return (f"inputs: {{x: [{rows}, {width}], y: [{apart}, {width}]}}\nlayers:\n"
            f"  - {{name: f, op: linear, in: x, features: {width}}}\n"
            f"  - {{name: a, op: linear, in: y, features: {width}}}\n")  # fmt: skip


def ledgers(result: Result) -> dict[str, int]:
    """Return the cycles of every unit, over all causes."""
    return {name: sum(unit["cycles"].values()) for name, unit in result.units.items()}


def off_chip(result: Result) -> int:
    """Return the bytes to and from memory."""
    return sum(sum(operands.values()) for operands in result.traffic_bytes["dram"].values())


def test_layers_run_where_a_rule_sends_them(tmp_path: Path) -> None:
    found = {layer.name: layer.unit for layer in run(shared(), network(tmp_path, two())).layers}
    assert found == {"f": "fabric", "a": "array"}
    rules = [{"unit": "fabric", "rows": 4}, {"unit": "fabric", "operators": "softmax"}]
    graph = network(tmp_path, "inputs: {x: [4, 8], y: [5, 8]}\nlayers:\n"
                    "  - {name: few, op: linear, in: x, features: 8}\n"
                    "  - {name: s, op: softmax}\n  - {name: many, op: linear, in: y, features: 8}\n"
                    "  - {name: g, op: gelu, in: x}\n")  # fmt: skip
    found = {layer.name: layer.unit for layer in run(shared(assign=rules), graph).layers}
    assert found == {"few": "fabric", "many": "array", "g": "lanes"}  # the softmax is in the pipeline behind `few`


def test_a_rule_without_its_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown unit 'fabrik'; did you mean 'fabric'"):
        shared(assign=[{"unit": "fabrik"}])


def test_a_fabric_among_others_takes_as_long_as_alone(tmp_path: Path) -> None:
    """With ideal memory, a pipeline's time is that of the streaming engine."""
    text = ("inputs: {x: [1, 4, 12, 12]}\nlayers:\n  - {name: f1, op: conv2d, filters: 8, kernel: 3}\n"
            "  - {name: f2, op: relu}\n  - {name: f3, op: conv2d, filters: 4, kernel: 3, stride: 2}\n")  # fmt: skip
    graph, ideal = network(tmp_path, text), {"kind": "ideal"}
    alone = Arch.model_validate({
        "name": "alone", "clock": "1 GHz", "technology": "22nm", "memory": ideal,
        "units": {"fabric": {"kind": "fabric", "dsp": 64, "macs_per_dsp": 1}},
    })  # fmt: skip
    beside = run(shared(ideal), graph)
    assert beside.cycles == run(alone, graph).cycles
    assert [layer.fused for layer in beside.layers] == [("f2", "f3")]


@pytest.mark.parametrize("memory", [FAST, SLOW, {"kind": "dram", "device": "ddr4_2400r"}], ids=str)
def test_a_network_that_no_rule_sends_away_runs_as_on_arrays_alone(memory: dict[str, Any], tmp_path: Path) -> None:
    """Loops are skipped then, and long runs on DRAM are sampled: two units would meet at memory anywhere."""
    graph = network(tmp_path, two(300, 96, 200))
    beside, bare = shared(memory, assign=[]), shared(memory, assign=[])
    bare = bare.model_copy(update={"units": {n: u for n, u in bare.units.items() if n != "fabric"}})
    found, alone = run(beside, graph), run(bare, graph)
    assert (found.cycles, found.dram, found.traffic_bytes) == (alone.cycles, alone.dram, alone.traffic_bytes)
    assert [(layer.start, layer.causes) for layer in found.layers] == [(a.start, a.causes) for a in alone.layers]
    assert found.energy_pj == alone.energy_pj


def test_a_long_network_that_no_rule_sends_away_is_sampled_on_dram(tmp_path: Path) -> None:
    graph, memory = network(tmp_path, two(8, 256, 8)), {"kind": "dram", "device": "ddr4_2400r"}
    with patch("sim.hardware.dram.FEW", 1000):  # it has more bursts
        found, both = run(shared(memory, assign=[]), graph), run(shared(memory), graph)
    every = run(shared(memory, assign=[]), graph)
    assert abs(found.cycles / every.cycles - 1) <= found.dram["dram"]["extrapolation_error_bound"]
    assert "extrapolation_error_bound" not in both.dram["dram"]


@law(st.integers(1, 96), st.integers(1, 48), st.integers(1, 96), quick=6, full=150)
def test_each_slows_when_the_other_loads_memory(rows: int, width: int, apart: int) -> None:
    """Bytes are those of both alone; the run takes at least as long as either, and at most as long as both in turn."""
    whole, only_f, only_a = (_run(rows, width, apart, layers) for layers in (None, "f", "a"))
    assert off_chip(whole) == off_chip(only_f) + off_chip(only_a)
    assert whole.macs == only_f.macs + only_a.macs
    assert max(only_f.cycles, only_a.cycles) <= whole.cycles <= only_f.cycles + only_a.cycles
    assert set(ledgers(whole).values()) == {whole.cycles}
    assert all(set(unit["cycles"]) == set(CAUSES) for unit in whole.units.values())
    assert sum(layer.energy_pj for layer in whole.layers) <= whole.energy_pj["total"] * (1 + 1e-9)


def _run(rows: int, width: int, apart: int, layers: str | None) -> Result:
    with TemporaryDirectory() as folder:
        return run(shared(SLOW), network(Path(folder), two(rows, width, apart)), layers=layers)


def test_who_waits_for_memory_says_so(tmp_path: Path) -> None:
    """On starved memory both channels wait for the other's transfers, and the bytes bound the whole."""
    graph = network(tmp_path, two(256, 64, 256))
    result = run(shared(SLOW), graph)
    waits = {name: result.units[name]["cycles"]["wait_port"] for name in ("dram", "fabric.dram")}
    assert all(cycles > 0 for cycles in waits.values())
    assert result.cycles >= off_chip(result) / 2  # 2 bytes a cycle
    busy = sum(result.units[name]["cycles"]["compute"] for name in waits)
    assert busy <= result.cycles


def test_what_one_unit_makes_another_waits_for(tmp_path: Path) -> None:
    text = ("inputs: {x: [32, 32]}\nlayers:\n  - {name: a1, op: linear, features: 32}\n"
            "  - {name: f1, op: linear, features: 32}\n  - {name: a2, op: linear, features: 32}\n")  # fmt: skip
    result = run(shared(), network(tmp_path, text))
    spans = {layer.name: (layer.start, layer.start + layer.cycles) for layer in result.layers}
    stored = result.layers[1].causes
    assert stored["compute"] > 0 and result.layers[2].causes["wait_dependency"] > 0
    assert spans["a1"][1] < spans["f1"][1] < spans["a2"][1]


def test_a_shared_run_has_a_timeline(tmp_path: Path) -> None:
    result = run(shared(), network(tmp_path, two()), record=True)
    assert result.timeline is not None and result.timeline.cycles == result.cycles
    assert {"array", "fabric", "dram", "fabric.dram"} <= set(result.timeline.ledgers)


def test_no_unit_for_a_layer_is_an_error(tmp_path: Path) -> None:
    chip = Arch.model_validate({
        "name": "lanes", "clock": "1 GHz", "units": {"lanes": {"kind": "vector", "lanes": 8}}, "memory": "ideal",
    })  # fmt: skip
    with pytest.raises(ConfigError, match="has no systolic unit"):
        run(chip, network(tmp_path, two()))


THREE = {
    "technology": "22nm", "precision": {"weight": "bf16", "input": "bf16", "output": "bf16", "partial_sum": "fp32"},
    "units": {
        "array": {"kind": "systolic", "rows": 8, "cols": 8}, "lanes": {"kind": "vector", "lanes": 8},
        "fabric": {"kind": "fabric", "dsp": 64, "macs_per_dsp": 1},
        "banks": {"kind": "pim", "device": "gddr6_aim", "channels": 2, "order": "oouter", "refresh": "off"},
    },
    "assign": [{"unit": "fabric", "layers": "f*"}, {"unit": "banks", "rows": 1}],
}  # fmt: skip
DEVICE = {"kind": "dram", "device": "gddr6_14000", "channels": 2}
THREE_CHAINS = (
    "inputs: {x: [64, 64], y: [64, 64], z: [1, 512]}\nlayers:\n"
    "  - {name: f, op: linear, in: x, features: 64}\n"
    "  - {name: a, op: linear, in: y, features: 64}\n"
    "  - {name: b, op: linear, in: z, features: 512, bias: false}\n"
)


@pytest.mark.parametrize("memory", [SLOW, DEVICE], ids=["simple", "dram"])
def test_three_families_share_memory_in_one_run(tmp_path: Path, memory: dict[str, Any]) -> None:
    """Each unit works at the same time as the others and waits for them; bytes and causes add up."""
    graph, chip = network(tmp_path, THREE_CHAINS), shared(memory, **THREE)
    whole = run(chip, graph)
    alone = {name: run(chip, graph, layers=name) for name in "fab"}
    assert {layer.name: layer.unit for layer in whole.layers} == {"f": "fabric", "a": "array", "b": "banks"}
    assert off_chip(whole) == sum(off_chip(each) for each in alone.values())
    assert whole.macs == sum(each.macs for each in alone.values())
    assert max(each.cycles for each in alone.values()) < whole.cycles < sum(each.cycles for each in alone.values())
    assert set(ledgers(whole).values()) == {whole.cycles}
    peak = 8 * 8 + 64 + 2 * 16 * 16  # array, fabric, banks: 16 lanes each, a command every 2 clocks of 2 GHz
    assert whole.utilization == pytest.approx(whole.macs / (peak * whole.cycles))
    spans = {layer.name: layer.cycles for layer in whole.layers}
    assert all(spans[name] >= each.layers[0].cycles for name, each in alone.items())
    assert sum(unit["cycles"]["wait_port"] for unit in whole.units.values()) > 0


def test_banks_among_others_take_as_long_as_their_program(tmp_path: Path) -> None:
    """Their time is that of the command-level model, and they hold memory for it."""
    graph = network(tmp_path, "inputs: {z: [1, 512]}\nlayers:\n  - {name: b, op: linear, features: 700, bias: false}\n")
    chip = shared(DEVICE, **THREE)
    assert chip.pim is not None
    device = chip.pim.open()
    cost = gemv(device, 700, 512)
    found = run(chip, graph)
    clocks = cost.cycles + cost.closing
    assert found.units["banks"]["cycles"]["compute"] == -(-clocks * chip.clock // int(device.clock_hertz))
    assert found.layers[0].mapping_efficiency == pytest.approx(700 / (-(-700 // 32) * 32))


def test_gemm_goes_to_the_array_and_gemv_to_the_banks() -> None:
    found = run("npu_pim", "gpt2", {"phase": "decode", "depth": 1})
    units = {layer.name.split(".")[-1]: layer.unit for layer in found.layers}
    assert units["fc"] == units["scores"] == units["head"] == "banks" and units["softmax"] == "vector"
    found = run("npu_pim", "gpt2", {"depth": 1, "tokens": 32}, layers="layer.0.fc")
    assert found.layers[0].unit == "array"


def test_a_moe_block_runs_on_three_families() -> None:
    """The block of a vision transformer with experts: every family works, and every cycle of a unit has its cause."""
    found = run("npu_fabric_pim", "m3vit_like", layers="blocks.0.*")
    assert {layer.unit for layer in found.layers} == {"array", "vector", "fabric", "banks"}
    assert set(ledgers(found).values()) == {found.cycles}
    assert sum(layer.macs for layer in found.layers) == found.macs
    assert sum(found.energy_pj["by_component"].values()) == pytest.approx(found.energy_pj["total"])


@pytest.mark.parametrize(("keys", "message"), [
    ({"memory": "banks"}, "other units load from memory: name the kind that the banks are in"),
    ({"memory": DEVICE | {"channels": 4}}, "the banks have 2 channels, memory 4; they are the same"),
    ({"units": {**THREE["units"], "c": {"kind": "companion", "adders": 8, "multipliers": 8}}},
     "a companion serves banks alone; beside other units lanes do its work"),
])  # fmt: skip
def test_banks_beside_others_are_those_of_memory(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shared(**{"memory": DEVICE, **THREE, **keys})


def test_a_matrix_that_does_not_fit_into_the_banks_says_by_how_much(tmp_path: Path) -> None:
    text = "inputs: {z: [1, 65536]}\nlayers:\n  - {name: b, op: linear, features: 65536, bias: false}\n"
    with pytest.raises(CapacityError, match=r"matrix of 'b' does not fit .* rows of every bank too many"):
        run(shared(SLOW, **THREE), network(tmp_path, text))


@pytest.mark.parametrize("past", [1, 24, 200])
def test_a_fabric_reads_the_cache_of_earlier_tokens(tmp_path: Path, past: int) -> None:
    """Keys and values of all earlier tokens come from memory, once; those of this one go there."""
    graph = network(tmp_path, "inputs: {q: [1, 1, 32], k: [1, 1, 32], v: [1, 1, 32]}\nlayers:\n"
                    f"  - {{name: f, op: attention, in: [q, k, v], heads: 4, past: {past}, cache: true}}")  # fmt: skip
    found = run(shared(SLOW), graph)
    assert {layer.unit for layer in found.layers} == {"fabric"}
    assert found.traffic_bytes["dram"]["read"] == {"input": 3 * 32, "kv": 2 * past * 32}
    assert found.cycles >= 2 * past * 32 / 2  # 2 bytes a cycle
    assert set(ledgers(found).values()) == {found.cycles}
    step = {"phase": "decode", "context": past, "depth": 1, "vocab": 100}
    whole = run("npu_fabric_pim", "gpt2", step | {"assign": [{"unit": "fabric"}]}, layers="layer.0.*")
    assert whole.traffic_bytes["dram"]["read"]["kv"] == 4 * past * 768
    assert whole.traffic_bytes["dram"]["write"]["kv"] == 4 * 768
    alone = run("streaming_fabric", graph)
    assert alone.traffic_bytes["dram"]["read"]["kv"] == pytest.approx(2 * past * 32, abs=128)  # whole words
    grown = run("streaming_fabric", "gpt2", {"phase": "decode", "context": past, "depth": 1}, layers="layer.0.*")
    assert grown.traffic_bytes["dram"]["read"]["kv"] == pytest.approx(2 * past * 768, abs=128)
    assert grown.traffic_bytes["dram"]["write"]["kv"] == 2 * 768


RULES = "assign: no layer of the network fits, or the unit does not compute those that do"


@pytest.mark.parametrize(("rules", "idle"), [
    ([{"unit": "banks", "rows": 1}], []),
    ([{"unit": "banks", "layers": "fc", "rows": 1}, {"unit": "banks", "rows": 1}], ["assign[0]: banks"]),
    ([{"unit": "banks", "operators": "liner"}, {"unit": "vector"}], ["assign[0]: banks", "assign[1]: vector"]),
])  # fmt: skip
def test_a_rule_that_sends_nothing_is_noted(rules: list[dict[str, Any]], idle: list[str]) -> None:
    """And nothing else is: buffers, mapping and prefetch count where there are arrays."""
    found = run("npu_pim", "gemv:64x64", {"assign": rules, "prefetch": False, "mapping.effort": 2})
    assert {note["what"]: note["where"] for note in found.notes} == ({RULES: idle} if idle else {})


def test_what_stays_in_the_banks_is_told() -> None:
    text = " ".join(summarize(run("npu_pim", "gemv:64x64")).split())
    assert "less, as tensors stay on chip or in the banks)" in text


@pytest.mark.parametrize(("arch", "network", "settings"), [
    ("npu_pim", "gpt2", {"phase": "decode", "depth": 1}), ("npu_fabric_pim", "gpt2", {"phase": "decode", "depth": 1}),
    ("npu_pim", "gpt2", {"depth": 1, "context": 16}), ("npu_pim", "gemm:8x8x8", {}),
])  # fmt: skip
def test_placement_shows_what_the_banks_compute(arch: str, network: str, settings: dict[str, Any]) -> None:
    found, result = placed(arch, network, settings), run(arch, network, settings)
    there = {place.name for place in found.places} - {"tables, norms and biases"}
    assert there == {layer.name for layer in result.layers if layer.unit == "banks"}
    assert "in rows that are free" in placement_text(arch, network, settings, 200)


def test_sums_that_nobody_adds_are_refused_by_strict() -> None:
    """Parts of a sum, which `kouter` reads apart, are added by no unit of a shared chip."""
    with pytest.raises(ConfigError, match="not modelled: adding partial sums outside the banks: gemv"):
        run("npu_pim", "gemv:64x1500", {"units.banks.order": "kouter"}, strict=True)
    assert run("npu_pim", "gemv:64x1500", strict=True).not_modelled == ()


def test_every_burst_of_shared_controllers_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, chip = network(tmp_path, THREE_CHAINS), shared(DEVICE, **THREE)
    exact = run(chip, graph)
    monkeypatch.setattr("sim.hardware.dram.FEW", 1)
    assert run(chip, graph).to_json() == exact.to_json()


def test_a_fabric_loads_through_its_own_port_and_not_that_of_the_arrays_buffers(tmp_path: Path) -> None:
    graph = network(tmp_path, two())
    slow = {"a": {"capacity": "64 KiB", "bandwidth": "1 B/cycle", "holds": ["input", "weight", "output"]}}
    assert run(shared(buffers=slow), graph, layers="f").cycles == run(shared(), graph, layers="f").cycles
