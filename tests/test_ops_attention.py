"""Attention: what each query sees, what is useful, what keys and values cost, and that mapped plans compute it."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import arch as arch_module
from sim.errors import ConfigError
from sim.execute import execute
from sim.graph import Node, expand
from sim.kernel import Contraction
from sim.mapper import search
from sim.op import OPS, random_integers
from sim.ops._masks import Mask, Sight, pieces
from sim.ops.attention import visible
from sim.simulate import run
from sim.workload import open_workload
from tests.laws import law

KINDS = ("full", "causal", "sliding", "local", "blocked", "neighbourhood")


def sees(axis: Sight, query: int, key: int) -> bool:
    """Return whether a query sees a key, from the words of each paper and for one pair alone."""
    at = query + axis.keys - axis.queries
    if axis.kind == "full":
        return True
    if axis.kind == "causal":
        return key <= at
    if axis.kind == "sliding":
        return at - axis.window < key <= at
    if axis.kind == "local":
        return abs(key - at) <= axis.window // 2
    if axis.kind == "blocked":
        return key // axis.window == at // axis.window
    first = min(max(at - axis.window // 2, 0), max(axis.keys - axis.window, 0))
    return first <= key < first + axis.window


@st.composite
def sights(draw, most=12):
    kind = draw(st.sampled_from(KINDS))
    queries = draw(st.integers(1, most))
    past = draw(st.integers(0, 5)) if kind in ("full", "causal", "sliding") else 0
    return Sight(kind, queries, queries + past, draw(st.integers(1, most)))


@st.composite
def masks(draw):
    axes = tuple(draw(sights(12 if single else 5)) for single in [draw(st.booleans())] for _ in range(2 - single))
    return Mask(axes, tuple(draw(st.integers(1, axis.queries)) for axis in axes))


@law(masks(), quick=60, full=2000)
def test_every_pair_that_a_query_sees_is_scored_once_and_counted(mask) -> None:
    expected = np.zeros((mask.queries, mask.keys), int)
    spots = [list(product(*(range(getattr(axis, side)) for axis in mask.axes))) for side in ("queries", "keys")]
    for (i, query), (j, key) in product(*map(enumerate, spots)):
        expected[i, j] = all(sees(axis, q, k) for axis, q, k in zip(mask.axes, query, key, strict=True))
    np.testing.assert_array_equal(visible(mask), expected)
    found = np.zeros_like(expected)
    for queries, keys, seen in mask.indices():
        for mine, theirs, pairs in zip(queries, keys, seen, strict=True):
            found[np.ix_(mine, theirs)] += pairs
    np.testing.assert_array_equal(found, expected)
    assert mask.seen == expected.sum()
    shapes = [(queries.shape, keys.shape[1]) for queries, keys, _ in mask.indices()]
    assert [((p.count, p.queries), p.keys) for p in pieces(mask)] == shapes
    assert mask.seen <= mask.scored <= mask.queries * mask.keys


def parts(op, shapes):
    node = Node("a", "attention", op, tuple("qkv"), ("a",), shapes, op.infer(shapes))
    return expand(node)


@pytest.mark.parametrize("index", range(len(OPS["attention"].examples())))
def test_what_a_mapped_plan_computes_is_attention(index) -> None:
    op, shapes = OPS["attention"].examples()[index]
    chip = arch_module.load("tiny_4x4")
    tensors = {name: random_integers(shape, seed) for seed, (name, shape) in enumerate(zip("qkv", shapes, strict=True))}
    states = {n: random_integers(s, 9) for n, s in (op.state_shapes(shapes) | op.weight_shapes(shapes)).items()}
    wanted = op.reference(list(tensors.values()), states)[0]
    for node in parts(op, shapes):
        inputs = [tensors[name] for name in node.inputs]
        own = {n.partition(".")[2]: array for n, array in states.items() if node.name == f"a.{n.partition('.')[0]}"}
        if not isinstance(node.kernels[0], Contraction):
            tensors[node.outputs[0]] = node.op.reference(inputs, own)[0]
            continue
        products = [
            execute(search(kernel, chip, "array").plan, left.reshape(kernel.input_shape), right, chip)
            for kernel, (left, right) in zip(node.kernels, node.op.operands(inputs, own), strict=True)
        ]
        tensors[node.outputs[0]] = node.op.assemble(products, node.input_shapes)
    np.testing.assert_allclose(tensors["a"], wanted, rtol=1e-12)


@pytest.mark.parametrize("block", [None, 1, 4, 7])
def test_causal_attention_has_a_triangle_of_useful_products_however_it_is_blocked(block) -> None:
    n, heads, size = 16, 3, 5
    op = OPS["attention"](heads=heads, causal=True, block=block)
    shapes = ((2, n, heads * size),) * 3
    assert op.macs(shapes) == 2 * 2 * heads * size * n * (n + 1) // 2
    computed = sum(kernel.computed for kernel in op.kernels(shapes) if isinstance(kernel, Contraction))
    rows = n if block is None else block
    ends = [min(at + rows, n) for at in range(0, n, rows)]
    assert computed == 2 * 2 * heads * size * sum((end - at) * end for at, end in zip(range(0, n, rows), ends,
                                                                                       strict=True))  # fmt: skip


def test_smaller_blocks_of_causal_attention_waste_less_and_read_keys_more_often() -> None:
    read, cycles = [], []
    for block in (256, 64):
        graph = gqa(256, 0, heads=4, kv_heads=4, causal=True, block=block)
        result = run(arch_module.load("edge_tpu_like", {"mapping.attention": "layers"}), graph)
        read.append(result.traffic_bytes["dram"]["read"]["kv"])
        cycles.append(sum(layer.causes["compute"] for layer in result.layers if layer.op != "softmax"))
        assert result.macs == 2 * 4 * 64 * 256 * 257 // 2
    assert cycles[1] < cycles[0] and read[1] > read[0]


def gqa(tokens, past, heads, kv_heads, **more):
    op = OPS["attention"](heads=heads, kv_heads=kv_heads, past=past, **more)
    shapes = ((1, tokens, heads * 64), (1, tokens, kv_heads * 64), (1, tokens, kv_heads * 64))
    node = Node("a", "attention", op, tuple("qkv"), ("a",), shapes, op.infer(shapes))
    graph = open_workload("attention:1x1x1x1")
    return type(graph)("gqa", dict(zip("qkv", shapes, strict=True)), (node,), "")


@pytest.mark.parametrize("kv_heads", [1, 2, 8])
def test_query_heads_do_not_multiply_the_traffic_of_keys_and_values(kv_heads) -> None:
    """One token against 511 in the cache: each key and value is read once, whoever shares it."""
    result = run("edge_tpu_like", gqa(1, 511, heads=8, kv_heads=kv_heads, causal=True, cache=True))
    assert result.traffic_bytes["dram"]["read"]["kv"] == 2 * 512 * kv_heads * 64
    assert result.compulsory_bytes["kv"] == 2 * 512 * kv_heads * 64
    assert result.macs == 2 * 8 * 512 * 64


def test_a_sliding_window_reads_only_the_keys_in_it() -> None:
    result = run("edge_tpu_like", gqa(1, 511, heads=8, kv_heads=2, causal=True, window=128, cache=True))
    assert result.traffic_bytes["dram"]["read"]["kv"] == 2 * 128 * 2 * 64


def test_keys_and_values_have_a_format_of_their_own() -> None:
    wide = run("edge_tpu_like", "attention:1x2x1x64,kv=256", {"precision.kv": "bf16"})
    narrow = run("edge_tpu_like", "attention:1x2x1x64,kv=256")
    assert [r.traffic_bytes["dram"]["read"]["kv"] for r in (narrow, wide)] == [2 * 2 * 256 * 64, 2 * 2 * 2 * 256 * 64]


def test_inline_attention_is_the_operator() -> None:
    graph = open_workload("attention:2x4x8x16,kv=24")
    assert graph.inputs == {"q": (2, 8, 64), "k": (2, 24, 64), "v": (2, 24, 64)}
    assert graph.macs == 2 * 2 * 4 * 8 * 24 * 16
    assert graph.outputs == ("attention",) and graph.tensors["attention"] == (2, 8, 64)
    assert open_workload("attention:2x4x8x16,causal").macs == 2 * 2 * 4 * 16 * 8 * 9 // 2
    assert open_workload("attention:1x1x2x4,kv=5,causal").macs == 2 * 4 * (4 + 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attention:1x2x3", "attention:1x2x3: needs 4 sizes, B x H x N x E, not '1x2x3'; "
         "write attention:BxHxNxE[,kv=M][,causal]"),
        ("attention:1x2x3x4,kv", "attention:1x2x3x4,kv: unknown option 'kv'; did you mean 'kv=M'? "
         "choose from: causal, kv=M; write attention:BxHxNxE[,kv=M][,causal]"),
        ("attention:1x2x3x4,kv=2,causal", "attention:1x2x3x4,kv=2,causal: layers[0]: layer 'attention' (attention): "
         "causal attention of 3 queries needs as many keys, not 2; it reads 'q' (1, 3, 8), the graph's input; "
         "'k' (1, 2, 8), the graph's input; 'v' (1, 2, 8), the graph's input"),
    ],
)  # fmt: skip
def test_malformed_inline_attention_is_told(text, message) -> None:
    with pytest.raises(ConfigError) as error:
        open_workload(text)
    assert str(error.value) == message


FIT = ((1, 4, 8), (1, 4, 8), (1, 4, 8))


@pytest.mark.parametrize(
    ("parameters", "shapes", "message"),
    [
        ({"heads": 3}, FIT, "3 heads do not divide 8 query features"),
        ({"heads": 4, "kv_heads": 3}, FIT, "3 key and value heads do not divide 4 heads"),
        ({"heads": 4, "kv_heads": 2}, FIT, "queries have heads of 2 features, keys of 4"),
        ({"heads": 2}, ((1, 4, 8), (1, 4, 8), (1, 5, 8)),
         "queries (1, 4, 8), keys (1, 4, 8) and values (1, 5, 8) do not belong together"),
        ({"heads": 2}, ((4, 8), (1, 4, 8), (1, 5, 8)), "needs queries, keys and values of (batch, tokens, features), "
         "not ((4, 8), (1, 4, 8), (1, 5, 8))"),
        ({"heads": 2, "grid": 4}, FIT, "grid needs a window"),
        ({"heads": 2, "window": 2}, FIT, "a sliding window needs causal: true"),
        ({"heads": 2, "window": 2, "kind": "local", "causal": True}, FIT, "a local window needs causal: false"),
        ({"heads": 2, "window": 2, "kind": "blocked", "grid": [2, 3]}, FIT, "grid (2, 3) does not hold 4 queries "
         "and 4 keys"),
        ({"heads": 2, "window": [2, 2, 2], "kind": "blocked", "grid": [2, 2]}, FIT,
         "window (2, 2, 2) needs one size for each of 2 axes"),
        ({"heads": 2, "window": 3, "kind": "blocked", "block": 2}, FIT, "block (2,) does not divide the window (3,)"),
        ({"heads": 2, "window": 2, "kind": "local"}, ((1, 4, 8), (1, 6, 8), (1, 6, 8)),
         "a local window needs as many queries as keys, not 4 and 6"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(parameters, shapes, message) -> None:
    with pytest.raises(ValueError) as error:
        OPS["attention"](**parameters).infer(shapes)
    assert str(error.value) == message


@pytest.mark.parametrize(("grid", "window"), [((6, 8), (3, 5)), ((4, 4, 4), (3, 3, 3))])
def test_neighbourhood_attention_scores_a_window_for_each_query(grid, window) -> None:
    """Hassani et al., CVPR 2023: every query sees as many keys, at the borders too."""
    op = OPS["attention"](heads=2, window=window, kind="neighbourhood", grid=grid)
    shapes = ((1, prod(grid), 8),) * 3
    assert op.macs(shapes) == 2 * 2 * 4 * prod(grid) * prod(window)
