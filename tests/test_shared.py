"""Chips whose units share memory: each alone is what it is alone, together they wait, and everything adds up."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import strategies as st

from sim import run
from sim.arch import Arch
from sim.errors import ConfigError
from sim.graph import Graph
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
