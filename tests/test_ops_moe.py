"""Mixtures of experts: the imbalance that is asked for, rows that are useful, and what each order of work loads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import arch as arch_module
from sim.execute import execute
from sim.graph import Graph, Node, expand
from sim.kernel import Contraction
from sim.mapper import search
from sim.op import OPS, random_integers
from sim.ops._routing import Routing, choices, load
from sim.simulate import run
from tests.laws import law

MOE = OPS["moe"]


@st.composite
def routings(draw):
    """A routing with its tokens, top k and experts."""
    experts, tokens = draw(st.integers(1, 12)), draw(st.integers(1, 20))
    top_k = draw(st.integers(1, experts))
    kind = draw(st.sampled_from(("balanced", "skewed", "histogram")))
    counts = np.zeros(experts, int)
    for _ in range(tokens if kind == "histogram" else 0):
        counts[draw(st.permutations(range(experts)))[:top_k]] += 1
    skew = draw(st.floats(0, 2))
    return Routing(kind, skew, draw(st.integers(0, 99)), tuple(counts.tolist())), tokens, top_k, experts


@law(routings(), quick=60, full=2000)
def test_every_token_gets_different_experts_and_every_expert_the_tokens_it_was_given(case) -> None:
    routing, tokens, top_k, experts = case
    chosen, counts = choices(*case), load(*case)
    assert chosen.shape == (tokens, top_k)
    assert all(len(set(row)) == top_k for row in chosen.tolist())
    assert tuple(np.bincount(chosen.ravel(), minlength=experts)) == counts
    if routing.kind == "histogram":
        assert counts == routing.histogram
    if routing.kind == "balanced":
        assert max(counts) - min(counts) <= 1


def test_a_larger_zipf_exponent_is_more_uneven_and_the_seed_decides() -> None:
    largest = [max(load(Routing("skewed", skew, seed=3), 512, 2, 32)) for skew in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert all(a < b for a, b in pairwise(largest))
    assert load(Routing("skewed", 1.0, 1), 64, 2, 8) == load(Routing("skewed", 1.0, 1), 64, 2, 8)
    assert load(Routing("skewed", 1.0, 1), 64, 2, 8) != load(Routing("skewed", 1.0, 2), 64, 2, 8)


def test_a_trace_is_read_as_it_was_recorded(tmp_path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("0, 2\n2, 1\n2, 0\n")
    assert choices(Routing("trace", trace=str(path)), 3, 2, 4).tolist() == [[0, 2], [2, 1], [2, 0]]
    assert load(Routing("trace", trace=str(path)), 3, 2, 4) == (2, 1, 3, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n", "has 1 tokens, not 2"),
        ("0,1\n0,x\n", "line 2: expected numbers of experts, not '0,x'"),
        ("0,1\n1,1\n", "line 2: expected 2 different experts, not '1,1'"),
        ("0,1\n0,9\n", "line 2: there is no expert 9; there are 4"),
    ],
)
def test_a_broken_trace_is_told(tmp_path, text, message) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        choices(Routing("trace", trace=str(path)), 2, 2, 4)


@pytest.mark.parametrize(
    ("histogram", "tokens", "top_k", "experts", "tile", "useful"),
    [("qwen_b64_032_012", 64, 8, 128, 64, 13), ("mixtral_b64_008_010", 64, 2, 8, 16, 67)],
)
def test_static_tiles_of_a_measured_histogram_waste_what_was_published(
    histogram, tokens, top_k, experts, tile, useful
) -> None:
    """Useful rows in percent; an expert without a token has no tile."""
    sizes = {"experts": experts, "top_k": top_k, "ffn": 8, "tile": tile}
    op = MOE(**sizes, routing="histogram", histogram=histogram)
    used, rows = op.used([(1, tokens, 16)]), op.rows([(1, tokens, 16)])
    assert all((row == 0) == (count == 0) for row, count in zip(rows, used, strict=True))
    assert round(100 * sum(used) / sum(rows)) == useful
    kernels = [k for k in op.kernels([(1, tokens, 16)]) if isinstance(k, Contraction) and k.name == "experts"]
    assert round(100 * sum(k.macs for k in kernels) / sum(k.computed for k in kernels)) == useful


@pytest.mark.parametrize("capacity", [0.5, 1.0, 1.25])
def test_a_capacity_gives_every_expert_its_rows_and_drops_the_rest(capacity) -> None:
    op = MOE(experts=8, top_k=2, ffn=4, routing="skewed", skew=1.5, capacity=capacity)
    shape = [(2, 32, 4)]
    rows = int(np.ceil(capacity * 64 * 2 / 8))
    assert op.rows(shape) == (rows,) * 8
    assert op.used(shape) == tuple(min(count, rows) for count in op.load(shape))
    assert sum(op.used(shape)) < 64 * 2


def graph(op, shape) -> Graph:
    node = Node("moe", "moe", op, ("x",), ("moe",), (shape,), op.infer([shape]))
    return Graph("moe", {"x": shape}, (node,), "")


EDGE = {
    "name": "edge", "clock": "200 MHz", "units": {
        "array": {"kind": "systolic", "rows": 16, "cols": 16, "weight_buffers": 2},
        "vector": {"kind": "vector", "lanes": 16},
    },
    "buffers": {
        "weights": {"capacity": "256 KiB", "holds": ["weight"]}, "inputs": {"capacity": "128 KiB", "holds": ["input"]},
        "sums": {"capacity": "256 KiB", "holds": ["output"]},
    },
    "memory": {"kind": "simple", "bandwidth": "3.2 GB/s", "burst": "16 B"},
}  # fmt: skip
"""16 x 16 MACs, and a memory that brings 16 weights a cycle."""


def edge(order, tokens=129, counts=None):
    """Run the experts of an M3ViT-like layer: 192 features, 384 hidden, two matrices, 16 experts, top 2."""
    routing = {"routing": "histogram", "histogram": counts} if counts else {}
    op = MOE(experts=16, top_k=2, ffn=384, activation="gelu", order=order, **routing)
    result = run(arch_module.Arch.model_validate(EDGE), graph(op, (1, tokens, 192)))
    return [layer for layer in result.layers if layer.op == "experts"]


def test_expert_by_expert_loads_each_matrix_once_and_token_by_token_for_each_of_them() -> None:
    """Sarkar et al., Edge-MoE, ICCAD 2023: 258 matrices for 129 tokens, 16 for 16 experts: 16.1 times less."""
    weights = {
        order: sum(layer.traffic_bytes["dram"]["read"]["weight"] for layer in edge(order))
        for order in ("expert", "token")
    }
    assert weights["expert"] == 2 * 16 * 192 * 384
    assert weights["token"] == 2 * 129 * 2 * 192 * 384
    assert round(weights["token"] / weights["expert"], 1) == 16.1


@pytest.mark.parametrize("tokens", [8, 16, 24])
def test_load_and_compute_of_an_expert_break_even_at_16_tokens(tokens) -> None:
    """A matrix takes 192 · 384 / 16 = 4,608 cycles to load, a token 192 · 384 / 256 = 288 to compute."""
    counts = [tokens, tokens] + [0] * 14
    for layer in edge("expert", tokens, counts):
        load_cycles = layer.traffic_bytes["dram"]["read"]["weight"] // 16
        assert load_cycles == 2 * 4608
        assert layer.compute_cycles == 2 * tokens * 288
        assert (layer.compute_cycles >= load_cycles) == (tokens >= 16)


@pytest.mark.parametrize("index", range(len(MOE.examples())))
def test_what_a_mapped_plan_computes_is_the_mixture(index) -> None:
    op, shapes = MOE.examples()[index]
    chip = arch_module.load("tiny_4x4")
    values = {n: random_integers(s, 9) / 8 for n, s in op.weight_shapes(shapes).items()}
    tensors = {"x": random_integers(shapes[0], 1) / 8}
    wanted = op.reference([tensors["x"]], values)[0]
    for node in expand(Node("m", "moe", op, ("x",), ("y",), tuple(shapes), op.infer(shapes))):
        inputs = [tensors[name] for name in node.inputs]
        mine = node.name.removeprefix("m.") + "."
        own = {n.removeprefix(mine): array for n, array in values.items() if n.startswith(mine)}
        kernels = node.kernels
        if not kernels or not isinstance(kernels[0], Contraction):
            made = node.op.reference(inputs, own)[0]
        else:
            products = [
                execute(search(kernel, chip, "array").plan, left.reshape(kernel.input_shape), right, chip)
                for kernel, (left, right) in zip(kernels, node.op.operands(inputs, own), strict=True)
            ]
            made = node.op.assemble(products, node.input_shapes) + own.get("bias", 0)
        tensors[node.outputs[0]] = made
    np.testing.assert_allclose(tensors["y"], wanted, rtol=1e-9, atol=1e-9)


def test_routing_has_accounts_of_its_own() -> None:
    result = run("tiny_4x4", graph(MOE(experts=4, top_k=2, ffn=8), (1, 64, 16)))
    traffic = result.traffic_bytes["dram"]
    assert traffic["write"]["routing"] == 64 * 2 * 2 * 4  # value and index of 32 bit
    assert traffic["read"]["routing"] == 64 * 2 * 2 * 4
