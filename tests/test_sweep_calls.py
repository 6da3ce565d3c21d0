"""Calls beside sweeps: latency tables for architecture search, and how far simple counts can be trusted."""

import csv
import io

import pytest
from hypothesis import strategies as st

import sim
from sim.errors import ConfigError
from sim.sweep import correlate, latency_table
from sim.sweep.latency import to_csv
from sim.sweep.trust import spearman
from tests.laws import law

SMALL = {"size": 32}


def test_a_latency_table_has_each_distinct_layer_once_and_what_it_takes_alone() -> None:
    entries = latency_table("edge_tpu_like", ["mobilenet_v1"], SMALL)
    places = [place for entry in entries for place in entry.used_by]
    whole = sim.run("edge_tpu_like", "mobilenet_v1", SMALL)
    assert places != sorted(set(places)) or len(entries) < len(places)
    assert sorted(places) == sorted(f"mobilenet_v1/{layer.name}" for layer in whole.layers)
    assert len(next(e for e in entries if "mobilenet_v1/sep7.0.dw" in e.used_by).used_by) == 5
    first = entries[0]
    alone = sim.run("edge_tpu_like", "mobilenet_v1", SMALL, layers="conv")
    assert (first.cycles, first.energy_pj) == (alone.cycles, alone.energy_pj["total"])
    lines = list(csv.DictReader(io.StringIO(to_csv(entries))))
    assert lines[0]["op"] == "conv2d+batchnorm+relu6"
    assert lines[0]["input_shapes"] == "1x3x32x32"
    assert int(lines[0]["cycles"]) == first.cycles


@pytest.mark.parametrize(("chip", "fused"), [("fusemax", True), ("edge_tpu_like_simple", False)])
def test_attention_stands_in_a_latency_table_as_the_chip_runs_it(chip: str, fused: bool) -> None:
    small = {"context": 24, "depth": 2, "hidden": 64, "heads": 4, "vocab": 80}
    if not fused:
        small["mapping.attention"] = "layers"
    entries = {entry.op: entry for entry in latency_table(chip, ["gpt2"], small)}
    whole = sim.run(chip, "gpt2", small)
    assert sorted(p for e in entries.values() for p in e.used_by if "attn" in p) == sorted(
        f"gpt2/{layer.name}" for layer in whole.layers if "attn" in layer.name
    )
    parts = ["scores+softmax+values"] if fused else ["scores", "softmax", "values"]
    for part in parts:
        name = "layer.0.attn" if fused else f"layer.0.attn.{part}"
        assert entries[part].cycles == sim.run(chip, "gpt2", small, layers=name).cycles


def test_a_latency_table_needs_a_network() -> None:
    with pytest.raises(ConfigError, match=r"^needs at least one workload$"):
        latency_table("edge_tpu_like", [])


def test_counts_are_ranked_against_cycles_and_energy() -> None:
    networks = ["gemm:8x8x8", "gemm:16x16x16", "gemm:32x32x32", "gemm:40x40x40"]
    trust = correlate("tiny_4x4", networks)
    assert trust.with_cycles["MACs"] == trust.with_energy["MACs"] == pytest.approx(1.0)
    assert trust.counts["MACs"] == (8**3, 16**3, 32**3, 40**3)
    assert trust.counts["arithmetic intensity"][0] == pytest.approx(512 / (64 + 64))
    assert set(trust.with_cycles) == {
        "MACs", "activations", "arithmetic intensity", "weighted intensity", "alpha-FLOPs"
    }  # fmt: skip


def test_two_networks_are_too_few() -> None:
    with pytest.raises(ConfigError, match=r"^a rank correlation needs at least 3 workloads, not 2$"):
        correlate("tiny_4x4", ["gemm:8x8x8", "gemm:4x4x4"])


@law(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30), quick=50, full=2000)
def test_spearman_is_symmetric_bounded_and_blind_to_monotone_change(pairs: list[tuple[int, int]]) -> None:
    one, other = ([float(p[i]) for p in pairs] for i in (0, 1))
    assert spearman(one, other) == pytest.approx(spearman(other, one))
    assert abs(spearman(one, other)) <= 1 + 1e-12
    assert spearman([v**3 for v in one], other) == pytest.approx(spearman(one, other))
    assert spearman([-v for v in one], other) == pytest.approx(-spearman(one, other))


def test_spearman_of_published_ranks() -> None:
    """By hand: ranks (1 2 3 4 5) and (2 1 4 3 5), sum of squared differences 4, 1 - 6·4/120 = 0.8."""
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)
