"""Workload files to graphs: blocks, wiring, order, overrides, digests, and evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import TiletickError
from sim.graph import Graph
from sim.op import random_integers
from sim.workload import load, open_workload

RESIDUAL = """
name: net
params: {batch: 1, size: 8, widths: [4, 8]}
inputs: {image: ["=batch", 3, "=size", "=size"]}
blocks:
  basic:
    params: {width: null, stride: 1, project: "=stride > 1", inner: "=width * 2"}
    layers:
      - {name: conv1, op: conv2d, in: input, filters: "=inner", kernel: 3, stride: "=stride", pad: 1}
      - {name: relu, op: relu}
      - {name: conv2, op: conv2d, filters: "=width", kernel: 3, pad: 1, bias: false}
      - {name: down, op: conv2d, in: input, filters: "=width", kernel: 1, stride: "=stride", when: "=project"}
      - {name: add, op: add, in: [conv2, "='down' if project else 'input'"]}
layers:
  - {name: stem, op: conv2d, filters: "=widths[0]", kernel: 3, pad: 1}
  - {name: stage1, block: basic, with: {width: "=widths[0]"}}
  - {name: stage2, block: basic, repeat: 2, with: {width: "=widths[1]", stride: "=2 if i == 0 else 1"}}
  - {name: pool, op: global_avgpool}
  - {name: fc, op: linear, features: 10}
"""


def graph(tmp_path: Path, text: str, **overrides: object) -> Graph:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    return load(str(path), {key.replace("__", "."): value for key, value in overrides.items()})


def layers(text: str, inputs: str = "x: [1, 4, 8, 8]") -> str:
    return f"name: net\ninputs: {{{inputs}}}\nlayers:\n{text}"


def test_blocks_unfold_in_order_with_their_names(tmp_path: Path) -> None:
    net = graph(tmp_path, RESIDUAL)
    assert [node.name for node in net.nodes] == [
        "stem",
        "stage1.conv1", "stage1.relu", "stage1.conv2", "stage1.add",
        "stage2.0.conv1", "stage2.0.relu", "stage2.0.conv2", "stage2.0.down", "stage2.0.add",
        "stage2.1.conv1", "stage2.1.relu", "stage2.1.conv2", "stage2.1.add",
        "pool", "fc",
    ]  # fmt: skip
    reads = {node.name: node.inputs for node in net.nodes}
    assert reads["stage1.add"] == ("stage1.conv2", "stem")
    assert reads["stage2.0.down"] == ("stage1.add",)
    assert reads["stage2.0.add"] == ("stage2.0.conv2", "stage2.0.down")
    assert reads["stage2.1.add"] == ("stage2.1.conv2", "stage2.0.add")
    assert reads["pool"] == ("stage2.1.add",)
    assert net.tensors["stage2.0.conv1"] == (1, 16, 4, 4)
    assert net.outputs == ("fc",)


def test_parameters_and_macs_are_the_sums_over_the_layers(tmp_path: Path) -> None:
    net = graph(tmp_path, layers("  - {name: a, op: conv2d, filters: 5, kernel: 3}\n  - {name: b, op: relu}"))
    assert net.parameters == 5 * 4 * 9 + 5
    assert net.macs == 6 * 6 * 5 * 4 * 9


def test_a_block_is_known_outside_by_its_name_and_its_repetitions(tmp_path: Path) -> None:
    more = "  - {name: join, op: concat, in: [stage2, stage2.0, stage2.1.relu], axis: 0}\n"
    text = RESIDUAL.replace("  - {name: pool,", more + "  - {name: pool,").replace("width * 2", "width")
    net = graph(tmp_path, text)
    assert next(n.inputs for n in net.nodes if n.name == "join") == (
        "stage2.1.add", "stage2.0.add", "stage2.1.relu",
    )  # fmt: skip


def test_blocks_take_several_inputs_and_use_other_blocks(tmp_path: Path) -> None:
    net = graph(tmp_path, """
name: net
inputs: {x: [1, 4, 8], y: [1, 2, 8]}
blocks:
  join:
    layers:
      - {name: cat, op: concat, in: [input.0, input.1]}
      - {name: keep, block: act, in: cat}
  act: {params: {n: 1}, layers: [{name: relu, op: relu, when: "=n > 0"}]}
layers:
  - {name: up, block: join, in: [x, y], repeat: 2}
  - {name: none, block: act, with: {n: 0}}
  - {name: last, op: tanh, in: none}
""")
    assert [(node.name, node.inputs) for node in net.nodes] == [
        ("up.0.cat", ("x", "y")), ("up.0.keep.relu", ("up.0.cat",)),
        ("up.1.cat", ("up.0.keep.relu", "y")), ("up.1.keep.relu", ("up.1.cat",)),
        ("last", ("up.1.keep.relu",)),
    ]  # fmt: skip
    assert net.tensors["up.1.cat"] == (1, 8, 8)


def test_the_index_is_that_of_the_innermost_repetition(tmp_path: Path) -> None:
    net = graph(tmp_path, """
name: net
inputs: {x: [1, 4]}
blocks:
  outer: {layers: [{name: once, block: inner}, {name: twice, block: inner, repeat: 2}]}
  inner: {layers: [{name: fc, op: linear, features: "=10 + i"}]}
layers:
  - {name: o, block: outer, repeat: 3}
""")
    widths = [node.output_shapes[0][1] - 10 for node in net.nodes]
    assert widths == [0, 0, 1, 1, 0, 1, 2, 0, 1]


def test_an_operator_with_several_outputs_numbers_them(tmp_path: Path) -> None:
    net = graph(tmp_path, layers("""
  - {name: parts, op: split, parts: [1, 3]}
  - {name: a, op: relu, in: parts.1}
  - {name: b, op: concat, in: [a, parts.0]}
"""))
    assert net.nodes[0].outputs == ("parts.0", "parts.1")
    assert net.tensors["parts.1"] == (1, 3, 8, 8) and net.tensors["b"] == (1, 4, 8, 8)


def test_a_layer_may_stand_before_what_it_reads(tmp_path: Path) -> None:
    net = graph(tmp_path, layers("""
  - {name: a, op: relu, in: c}
  - {name: b, op: tanh, in: x}
  - {name: c, op: gelu, in: x}
  - {name: d, op: add, in: [a, b]}
"""))
    assert [node.name for node in net.nodes] == ["b", "c", "a", "d"]


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(8)), data=st.data())
def test_any_file_order_of_an_acyclic_graph_is_executable(tmp_path_factory, order, data) -> None:
    reads = [data.draw(st.sampled_from(["x", *(f"t{j}" for j in range(i))])) for i in range(8)]
    lines = "\n".join(f"  - {{name: t{i}, op: relu, in: {reads[i]}}}" for i in order)
    net = graph(tmp_path_factory.mktemp("w"), layers(lines))
    made = {"x"}
    for node in net.nodes:
        assert set(node.inputs) <= made
        made |= set(node.outputs)
    assert len(net.nodes) == 8


def test_overrides_reach_params_and_layers(tmp_path: Path) -> None:
    net = graph(tmp_path, RESIDUAL, batch=3, params__size=16, layers__stem__filters=4)
    assert net.inputs == {"image": (3, 3, 16, 16)} and net.params["batch"] == 3
    changed = graph(tmp_path, RESIDUAL, **{"layers__stage2.0.conv1__filters": 5})
    assert changed.tensors["stage2.0.conv1"] == (1, 5, 4, 4)
    assert changed.tensors["stage2.1.conv1"] == (1, 16, 4, 4)


def test_the_digest_is_of_the_network_and_not_of_how_it_is_written(tmp_path: Path) -> None:
    net = graph(tmp_path, RESIDUAL)
    retold = graph(tmp_path, RESIDUAL.replace("name: net\n", "# a comment\ntitle: Other\nname: net\n"))
    assert net.digest == retold.digest == graph(tmp_path, RESIDUAL, batch=1).digest
    others = [graph(tmp_path, RESIDUAL, batch=2), graph(tmp_path, RESIDUAL, layers__stem__bias=False)]
    assert len({net.digest, *(other.digest for other in others)}) == 3


def test_evaluation_equals_the_layers_done_by_hand(tmp_path: Path) -> None:
    net = graph(tmp_path, layers("""
  - {name: fc, op: linear, features: 3}
  - {name: act, op: relu}
  - {name: out, op: add, in: [act, x]}
""", "x: [2, 3]"))  # fmt: skip
    x, weights = random_integers((2, 3), 0), net.random_weights(seed=4)
    result = net.evaluate({"x": x}, weights)
    product = x @ weights["fc"]["weight"].T + weights["fc"]["bias"]
    np.testing.assert_array_equal(result["out"], np.maximum(product, 0) + x)
    assert list(result) == list(net.tensors)


def test_evaluation_makes_every_tensor_in_its_shape(tmp_path: Path) -> None:
    net = graph(tmp_path, RESIDUAL)
    result = net.evaluate({"image": random_integers((1, 3, 8, 8), 1)}, net.random_weights())
    assert {name: array.shape for name, array in result.items()} == net.tensors


def test_evaluation_wants_the_inputs_that_are_stated(tmp_path: Path) -> None:
    net = graph(tmp_path, layers("  - {name: a, op: relu}"))
    with pytest.raises(TiletickError) as caught:
        net.evaluate({"y": np.zeros((1, 4))}, {})
    assert str(caught.value) == "'net' takes the inputs {'x': (1, 4, 8, 8)}, not {'y': (1, 4)}"


def test_random_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    net = graph(tmp_path, RESIDUAL)
    one, same, other = net.random_weights(1), net.random_weights(1), net.random_weights(2)
    np.testing.assert_array_equal(one["fc"]["weight"], same["fc"]["weight"])
    assert not np.array_equal(one["fc"]["weight"], other["fc"]["weight"])
    assert not np.array_equal(one["stage2.0.conv2"]["weight"], one["stage2.1.conv2"]["weight"][:, :8])


def test_inline_forms() -> None:
    """As the command line documents them: gemm:MxNxK, gemv:OUTxIN, conv:C,H,W,K,R,S[,option=value]."""
    gemm, gemv = open_workload("gemm:5x6x7"), open_workload("gemv:8x9")
    (product,), (vector,) = gemm.nodes[0].kernels, gemv.nodes[0].kernels
    assert (product.m, product.n, product.k) == (5, 6, 7) and gemm.parameters == 42
    assert (vector.m, vector.n, vector.k) == (1, 8, 9) and gemv.tensors["gemv"] == (1, 8)
    conv = open_workload("conv:4,7,9,6,3,2,stride=2,pad=1,groups=2,dilation=1,batch=3")
    assert conv.inputs == {"input": (3, 4, 7, 9)} and conv.tensors["conv"] == (3, 6, 4, 5)
    assert conv.parameters == 6 * 2 * 3 * 2 and conv.name.startswith("conv:4,7,9")
    plain = open_workload("conv:4,7,9,6,3,2")
    assert plain.tensors["conv"] == (1, 6, 5, 8)


def test_an_inline_form_takes_overrides() -> None:
    assert open_workload("conv:4,7,9,6,3,2", {"batch": 2}).inputs == {"input": (2, 4, 7, 9)}
    assert open_workload("gemm:5x6x7", {"layers.gemm.features": 4}).tensors["gemm"] == (1, 5, 4)


def test_a_bundled_name_opens_the_library() -> None:
    assert open_workload("alexnet").name == "alexnet"
