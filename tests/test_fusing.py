"""Attention where its mapping is left open: the fastest way, and why; never slower than layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from sim import run, summarize
from sim.arch import load
from sim.bounds import Designs, cycles, needs_of
from sim.errors import MappingError
from sim.fusing import Trial
from sim.layers import lower
from sim.sweep import run_sweep
from sim.workload import open_workload
from tests.laws import law

WAYS = ("layers", "one_pass", "row_fused", "unfused")
MLA = """
name: mla
inputs: {queries: [1, %d, 96], latent: [1, %d, 20]}
layers:
  - {name: mla, op: mla, in: [queries, latent], heads: 8, rank: 16, rope: 4, nope: 8, value: 8, past: %d}
"""


@st.composite
def cases(draw: Any) -> tuple[str, dict[str, Any]]:
    """An attention, and a small chip with lanes that are fast or slow, and buffers that hold much or little."""
    heads, queries, size = draw(st.integers(1, 4)), draw(st.sampled_from((1, 7, 40))), draw(st.integers(1, 24))
    keys = max(queries, draw(st.sampled_from((9, 64, 150))))
    mask = draw(st.sampled_from(("", ",causal"))) if queries > 1 else ""
    network = f"attention:1x{heads}x{queries}x{size},kv={keys}{mask}"
    return network, {
        "array.rows": draw(st.sampled_from((4, 8))), "array.cols": draw(st.sampled_from((4, 8))),
        "array.dataflow": draw(st.sampled_from(("ws", "os", "is"))),
        "vector.lanes": draw(st.sampled_from((1, 8, 64))),
        "outputs.capacity": draw(st.sampled_from(("2 KiB", "64 KiB"))),
        "weights.capacity": draw(st.sampled_from(("1 KiB", "16 KiB"))),
        "memory.bandwidth": draw(st.sampled_from(("100 MB/s", "10 GB/s"))),
    }  # fmt: skip


@law(cases(), quick=8, full=150)
def test_auto_is_the_fastest_way_that_fits(case: tuple[str, dict[str, Any]]) -> None:
    network, settings = case
    found = run("tiny_4x4", network, settings)
    took = {}
    for way in WAYS:
        try:
            took[way] = run("tiny_4x4", network, settings | {"mapping.attention": way}).cycles
        except MappingError:
            continue
    assert found.cycles == min(took.values())
    assert found.to_json() == run("tiny_4x4", network, settings).to_json(), "the same every time"
    (chosen,) = found.chosen
    assert chosen["where"] == ["attention"]
    assert f"{found.cycles:,} cycles alone" in chosen["what"]


@pytest.mark.parametrize("chip", ["tpu_v1", "edge_tpu_like_simple", "gemmini_16x16"])
def test_a_model_is_never_slower_than_layer_by_layer(chip: str) -> None:
    settings = {"depth": 2, "context": 256}
    found, apart = (run(chip, "gpt2", settings | {"mapping.attention": way}) for way in ("auto", "layers"))
    assert found.cycles <= apart.cycles
    assert found.macs == apart.macs
    assert not apart.chosen


def test_long_contexts_are_fused_on_a_tpu_and_the_reason_is_told() -> None:
    """The scores of 12 heads do not stay on chip any more; in tiles they never leave it."""
    found = run("tpu_v1", "attention:1x12x1024x64,causal")
    apart = run("tpu_v1", "attention:1x12x1024x64,causal", {"mapping.attention": "layers"})
    assert found.cycles < apart.cycles / 3
    assert [layer.op for layer in found.layers] == ["attention"]
    assert found.chosen == ({
        "what": f"mapping.attention: auto takes one_pass, {found.cycles:,} cycles alone (layers: {apart.cycles:,})",
        "where": ["attention"],
    },)  # fmt: skip
    assert "Left open, and chosen:\n  - mapping.attention: auto takes one_pass" in summarize(found)


def test_what_is_fixed_of_its_layers_keeps_them_layers() -> None:
    network = "attention:1x12x1024x64,causal"
    fixed = run("tpu_v1", network, {"mapping.layers": {"*.scores": {"tile": {"m": 128}}}})
    assert [layer.name for layer in fixed.layers] == ["attention.scores", "attention.softmax", "attention.values"]
    assert [layer.name for layer in run("tpu_v1", network, layers="*.softmax").layers] == ["attention.softmax"]
    assert [layer.name for layer in run("tpu_v1", network, layers="attention").layers] == ["attention"]


def test_a_network_that_fusing_would_slow_down_runs_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here every attention is said to be faster alone; the network as a whole says otherwise."""
    network = "attention:1x12x256x64"
    apart = run("tpu_v1", network, {"mapping.attention": "layers"})
    monkeypatch.setattr(Trial, "fuses", property(lambda trial: True))
    monkeypatch.setattr("sim.fusing.Stages.limit", None, raising=False)
    monkeypatch.setattr("sim.mapper.attention._fastest", lambda plans, least, arch, limit: plans[0])
    found = run("tpu_v1", network)
    assert found.cycles == apart.cycles
    assert found.chosen[0]["what"].startswith(f"mapping.attention: auto takes layers, {apart.cycles:,} cycles for the ")


def test_where_only_tiles_fit_attention_is_fused() -> None:
    found = Trial(None, (10, 1.0), "one_pass")
    assert found.fuses
    assert found.reason() == "mapping.attention: auto takes one_pass, 10 cycles alone (layers: do not fit)"
    assert not Trial((10, 1.0), (10, 1.0), "one_pass").fuses, "ties: layer by layer"
    assert Trial((10, 1.0), (10, 0.5), "one_pass").fuses, "the same time for less energy"
    assert Trial((10, 1.0), None, "").reason().endswith("(fused: takes more, or does not fit)")


@pytest.mark.parametrize("context", [64, 500])
def test_the_latent_of_mla_is_loaded_once_where_attention_is_fused(tmp_path: Path, context: int) -> None:
    """Keys and values are one tensor of 16 + 4 features a token; layer by layer scores and values load it in turn."""
    file = tmp_path / "mla.yaml"
    file.write_text(MLA % (1, 1, context - 1))
    fused, rows, apart = (
        run("tiny_4x4", str(file), {"mapping.attention": way, "weights.capacity": "16 KiB"})
        for way in ("one_pass", "row_fused", "layers")
    )
    cached = context * 20
    assert [found.traffic_bytes["dram"]["read"]["kv"] for found in (fused, rows, apart)] == [
        cached, cached + context * 16, cached + context * 16
    ]  # fmt: skip
    assert {found.compulsory_bytes["kv"] for found in (fused, rows, apart)} == {cached}
    for found in (fused, rows, apart):
        moved = found.traffic_bytes["dram"]["read"]
        assert all(moved[operand] >= found.compulsory_bytes[operand] for operand in ("kv", "weight"))


def test_no_bound_is_above_what_is_fused(tmp_path: Path) -> None:
    """What may be fused has no bound as layers: with and without pruning a sweep finds the same front."""
    sweep: dict[str, Any] = {
        "name": "s", "arch": "tpu_v1", "workloads": ["attention:1x12x1024x64,causal"],
        "axes": {"array.rows": [64, 128, 256]}, "objectives": ["cycles", "area"],
    }  # fmt: skip
    fronts = [
        [dict(row.settings) for row in run_sweep(sweep, out=tmp_path / str(prune), prune=prune).front()]
        for prune in (False, True)
    ]
    assert fronts[0] == fronts[1]
    chip, graph = load("tpu_v1"), open_workload("attention:1x12x1024x64,causal")
    apart = lower(graph, chip)
    least = cycles(needs_of(apart, chip, Designs.of(chip)), apart, chip, Designs.of(chip))
    assert least[0] > run(chip, graph).cycles, "as layers the bound would be wrong"


def test_tiles_of_fewer_keys_are_tried_where_those_of_the_array_do_not_fit() -> None:
    roomy, tight = (
        run("tiny_4x4", "attention:1x1x8x64", {"mapping.attention": "one_pass", "weights.capacity": size})
        for size in ("16 KiB", "1 KiB")
    )
    tiles = [(found.layers[0].mapping or {})["attention"]["n"] for found in (roomy, tight)]
    assert tiles[0] == 4 > tiles[1]
    assert roomy.macs == tight.macs
