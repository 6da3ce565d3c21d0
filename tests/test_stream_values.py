"""Tokens that carry values: every kind computes what numpy says, and rates that depend on values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from sim.errors import ConfigError
from sim.streaming.graph import Channel, Graph, Phase, Unit
from sim.streaming.schema import build, load
from sim.streaming.simulate import simulate
from sim.streaming.units.matvec import MatVec
from sim.streaming.units.sliding_window import SlidingWindow
from sim.streaming.values import carry, resolve
from sim.yamlfile import parse
from tests.laws import law
from tests.streaming_oracle import same


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def operands(n: int, seed: int) -> tuple[np.ndarray, ...]:
    return tuple(np.random.default_rng(seed).normal(size=(3, n, 5)))


@pytest.mark.parametrize("graph", ["naive", "scaled", "reorder", "reorder_nomax", "memory_free"])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_streaming_attention_is_softmax_of_qk_times_v(graph: str, n: int) -> None:
    q, k, v = operands(n, n)
    given = {"q": list(q), "k": list(k) * n, "v": list(v) * n}
    found = np.array(carry(load(f"attention/{graph}", {"n": n}), given)["o"])
    assert np.allclose(found, softmax(q @ k.T) @ v, rtol=1e-12)


def test_scores_too_large_for_the_exponential_need_the_maximum() -> None:
    q, k, v = operands(4, 0)
    given = {"q": list(q * 1000), "k": list(k) * 4, "v": list(v) * 4}
    for graph in ("scaled", "reorder", "memory_free"):
        found = np.array(carry(load(f"attention/{graph}", {"n": 4}), given)["o"])
        assert np.allclose(found, softmax(1000 * q @ k.T) @ v, rtol=1e-12), graph


@pytest.mark.parametrize(("n", "window"), [(9, 2), (9, 4), (3, 6)])
def test_window_attention_is_attention_to_the_last_keys(n: int, window: int) -> None:
    """A last element of queries (1) and keys (0, or -1e30 before the first) masks what is before the first key."""
    q, k, v = operands(n, 3)
    given = {"q": list(np.c_[q, np.ones(n)]), "k": list(np.c_[k, np.zeros(n)]), "v": list(v)}
    nothing = {"kept_keys": [np.r_[np.zeros(5), -1e30]] * (window - 1), "kept_values": [np.zeros(5)] * (window - 1)}
    found = np.array(carry(load("attention/window", {"n": n, "window": window}), given, nothing)["o"])
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    scores = np.where((distance >= 0) & (distance < window), q @ k.T, -np.inf)
    assert np.allclose(found, softmax(scores) @ v, rtol=1e-12)


def layer(height: int, width: int, channels: int, filters: int, kernel: int, stride: int, pad: int,
          simd: int, pe: int) -> Graph:  # fmt: skip
    """A convolution as FPGAs stream it: the windows of a picture into a matrix-vector unit."""
    window = SlidingWindow(kind="sliding_window", height=height, width=width, kernel=kernel, stride=stride, pad=pad,
                           folds=channels // simd, pop="x", push="w").build("window")  # fmt: skip
    words = kernel**2 * channels // simd
    vectors = window.tokens("w", "push") // words
    product = MatVec(kind="matvec", inputs=kernel**2 * channels, outputs=filters, simd=simd, pe=pe, vectors=vectors,
                     pop="w", push="y").build("product")  # fmt: skip
    source = Unit("source", "source", (Phase.of(1, pushes=["x"]),), window.tokens("x", "pop", "read"))
    sink = Unit("sink", "sink", (Phase.of(1, pops=["y"], interval=0),), product.tokens("y", "push"), 0)
    return Graph.of("layer", [source, window, product, sink], [Channel(name, 4) for name in "xwy"])


@law(st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.sampled_from((1, 2, 4)), st.sampled_from((1, 3)),
     quick=15, full=300)  # fmt: skip
def test_sliding_window_and_matrix_vector_unit_are_a_convolution(kernel, pad, stride, simd, pe) -> None:
    height, width, channels, filters, pad = 5, 6, 4, 3, min(pad, kernel - 1)
    rng = np.random.default_rng(5)
    picture = rng.integers(-9, 9, (height, width, channels))
    weights = rng.integers(-9, 9, (filters, kernel, kernel, channels))
    padded = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)))
    wanted = [
        np.einsum("fyxc,yxc->f", weights, padded[y : y + kernel, x : x + kernel])
        for y in range(0, height + 2 * pad - kernel + 1, stride)
        for x in range(0, width + 2 * pad - kernel + 1, stride)
    ]
    graph = layer(height, width, channels, filters, kernel, stride, pad, simd, pe)
    found = carry(graph, {"x": list(picture.reshape(-1, simd))}, parameters={"product": weights.reshape(filters, -1)})
    assert np.array_equal(np.concatenate(found["y"]), np.concatenate(wanted))
    assert not simulate(graph).deadlock


def test_streamed_weights_give_the_same_product() -> None:
    matrix, vectors = np.arange(24).reshape(4, 6), np.arange(12).reshape(2, 6)
    unit = MatVec(kind="matvec", inputs=6, outputs=4, simd=3, pe=2, vectors=2, pop="x", push="y", weights="w")
    units = [Unit("a", "source", (Phase.of(1, pushes=["x"]),), 4), Unit("b", "source", (Phase.of(1, pushes=["w"]),), 8),
             unit.build("mv"), Unit("c", "sink", (Phase.of(1, pops=["y"]),), 4)]  # fmt: skip
    graph = Graph.of("g", units, [Channel(name) for name in "xwy"])
    tiles = [matrix[2 * row : 2 * row + 2, 3 * word : 3 * word + 3] for row in range(2) for word in range(2)] * 2
    found = carry(graph, {"x": list(vectors.reshape(-1, 3)), "w": tiles})
    assert np.array_equal(np.concatenate(found["y"]).reshape(2, 4), vectors @ matrix.T)


def run(units: str, given: dict[str, list], tokens: str = "y") -> list[float]:
    """Return what the sink of a graph with these units takes."""
    lines = "\n".join(f"  {line.strip()}" for line in units.strip().splitlines())
    return [float(value) for value in carry(build(parse(f"name: g\nunits:\n{lines}\n", "g.yaml")), given)[tokens]]


KINDS = [
    ("f: {kind: map, firings: 6, pop: x, push: y, compute: x * x + 1}", [1, 2, 5, 10, 17, 26]),
    ("f: {kind: map, firings: 6, pop: x, push: y}", [0, 1, 2, 3, 4, 5]),
    ("f: {kind: reduce, firings: 6, group: 3, pop: x, push: y, by: add}", [3, 12]),
    ("f: {kind: reduce, firings: 6, group: 2, pop: x, push: y, by: max, compute: '-x'}", [0, -2, -4]),
    ("f: {kind: scan, firings: 6, group: 3, pop: x, push: y, state: {s: 1}, update: {s: s * (x + 1)}, compute: s}",
     [1, 2, 6, 4, 20, 120]),
    ("f: {kind: repeat, firings: 12, group: 2, pop: x, push: y}", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
    ("f: {kind: flatmap, firings: 12, group: 2, pop: x, push: y, compute: x * 10 + i}",
     [0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51]),
    ("f: {kind: flatmap, firings: 6, pop: x, push: y, count: x % 3, compute: x * 10 + i}", [10, 20, 21, 40, 50, 51]),
    ("f: {kind: map, firings: 6, pop: x, push: y, compute: 'where(last, 1, 0) + firing'}", [1, 2, 3, 4, 5, 6]),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "wanted"), KINDS)
def test_a_kind_computes_what_its_formulas_say(unit: str, wanted: list[int]) -> None:
    graph = f"""
        a: {{kind: source, firings: 6, push: x}}
        {unit}
        z: {{kind: sink, firings: {len(wanted)}, pop: y}}
    """
    assert run(graph, {"x": list(range(6))}) == wanted


def test_zip_and_broadcast() -> None:
    graph = """
        a: {kind: source, firings: 4, push: x, compute: firing + 1}
        b: {kind: broadcast, firings: 4, pop: x, push: [p, q]}
        c: {kind: zip, firings: 4, group: 2, pop: {p: each, q: each}, push: y, compute: p * q}
        z: {kind: sink, firings: 4, pop: y}
    """
    assert run(graph, {}) == [1, 4, 9, 16]


DYNAMIC = """\
name: graph
params: {n: 12, made: 10}
units:
  a: {kind: source, firings: "=n", push: x, compute: "(firing * 5) % 3 - (firing % 4 == 3)"}
  f: {kind: flatmap, firings: "=n", pop: x, push: y, count: "maximum(x, 0)", latency: 3}
  z: {kind: sink, firings: "=made", pop: y}
"""


def test_a_rate_that_depends_on_values_is_fixed_by_them_and_then_timed() -> None:
    counts = [max(0, (i * 5) % 3 - (i % 4 == 3)) for i in range(12)]
    graph = build(parse(DYNAMIC, "graph.yaml"), {"made": sum(counts)})
    assert graph.units["f"].dynamic
    fixed = resolve(graph)
    assert fixed.units["f"].tokens("y", "push") == sum(counts)
    assert fixed.units["f"].firings == sum(max(1, count) for count in counts)
    same(fixed)
    assert simulate(graph).cycles == simulate(fixed).cycles


def told(call) -> list[str]:
    with pytest.raises(ConfigError) as error:
        call()
    return str(error.value).splitlines()


def test_what_is_missing_or_wrong_is_told() -> None:
    graph = load("attention/naive", {"n": 2})
    assert told(lambda: carry(graph, {"q": [1, 2], "k": [1] * 4})) == [
        "attention/naive: units.v: nothing says what it pushes, and 'o' depends on it; give its values"
    ]
    assert told(lambda: carry(graph, {"q": [1], "w": []}, {"bb": []}, {"exq": 1})) == [
        "attention/naive: unknown source channel 'w'; choose from: k, q, v",
        "attention/naive: unknown channel 'bb'; did you mean 'b'? choose from: a, b, d, k, o, q, s, v",
        "attention/naive: unknown unit 'exq'; did you mean 'exp'? choose from: div, exp, k, mv, q, sink, sum, v",
        "attention/naive: channels.q: 1 values are given, 2 tokens are sent",
    ]
    vector = layer(3, 3, 1, 2, 1, 1, 0, 1, 1)
    assert told(lambda: carry(vector, {"x": [1] * 9}, parameters={"product": np.ones(3)})) == [
        "layer: units.product: cannot compute: a matrix of 2 x 1 is needed, not (3,)"
    ]


def test_a_dynamic_graph_that_cannot_be_fixed_or_does_not_match_is_told() -> None:
    nameless = build(parse(DYNAMIC.replace(', compute: "(firing * 5) % 3 - (firing % 4 == 3)"', ""), "graph.yaml"))
    assert told(lambda: simulate(nameless)) == [
        "graph: units.f: cannot compute: its rate depends on values, and nothing says what 'a' pushes; give 'a' a "
        "'compute', or its values"
    ]
    assert told(lambda: simulate(build(parse(DYNAMIC, "graph.yaml"), {"made": 5}))) == [
        "graph: channels.y: f pushes 10 tokens in the whole run, z pops 5; make their firings or patterns match"
    ]
    half = build(parse(DYNAMIC.replace("maximum(x, 0)", "x / 4"), "graph.yaml"))
    assert told(lambda: simulate(half)) == ["graph: units.f: cannot compute: 'x / 4' is 0.5, no number of tokens"]
