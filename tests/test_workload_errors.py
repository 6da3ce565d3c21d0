"""Every mistake in a workload is told in full: file, line, key, and the way out; all of a file's together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.errors import ConfigError
from sim.op import OPS
from sim.workload import load, open_workload

X = "'x' (1, 4, 8, 8), the graph's input"
BLOCK = "blocks: {b: {params: {w: null, s: 1}, layers: [{name: c, op: conv2d, filters: =w, kernel: =s}]}}"
SIDES = "0 or a positive integer, one per spatial axis, [low, high] per spatial axis, or 'same'"


def told(tmp_path: Path, text: str, **overrides: object) -> list[str]:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path), {key.replace("__", "."): value for key, value in overrides.items()})
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def net(*layers: str, inputs: str = "x: [1, 4, 8, 8]", head: str = "title: Net") -> str:
    """A workload whose first layer stands on line 5."""
    return "\n".join(["name: net", head, f"inputs: {{{inputs}}}", "layers:", *(f"  - {{{x}}}" for x in layers)])


ONE_LAYER = [
    ("op: conv2d, filters: 3, kernal: 3", [
        ".kernel: missing key 'kernel'",
        ".kernal: unknown key 'kernal'; did you mean 'kernel'? "
        "choose from: bias, dilation, filters, groups, kernel, pad, stride",
    ]),
    ("op: relu, inputs: x", [
        ".inputs: unknown key 'inputs'; there is none to choose from; beside these there are: in, name, op, when",
    ]),
    ("op: conv2d, filters: 3, kernel: 3, from: x", [
        ".from: unknown key 'from'; choose from: bias, dilation, filters, groups, kernel, pad, stride; "
        "beside these there are: in, name, op, when",
    ]),
    ("op: conv2d, kernel: 3", [": missing key 'filters'"]),
    ("op: conv2d, filters: 0, kernel: -1, stride: [1, 0], pad: -1, groups: 0", [
        ".kernel: expected a positive integer or a list of one per spatial axis, not -1",
        ".filters: expected a positive integer, not 0",
        ".stride: expected a positive integer or a list of one per spatial axis, not [1, 0]",
        f".pad: expected {SIDES}, not -1",
        ".groups: expected a positive integer or 'depthwise', not 0",
    ]),
    ("op: conv2d, filters: =4 / 2, kernel: 1", [".filters: expected a positive integer, not 2.0"]),
    ("op: conv2d, filters: =4 /, kernel: 1", [".filters: '=4 /' is not an expression"]),
    ("op: conv2d, filters: 3, kernel: 9", [
        f": layer 'a' (conv2d): kernel 9 is larger than the padded input 8 on spatial axis 0; it reads {X}",
    ]),
    ("op: conv2d, filters: 3, kernel: 3, dilation: 5, pad: 1", [
        ": layer 'a' (conv2d): kernel 3 with dilation 5 (spanning 11) is larger than the padded input 10 "
        f"on spatial axis 0; it reads {X}",
    ]),
    ("op: conv2d, filters: 3, kernel: 3, groups: 3",
     [f": layer 'a' (conv2d): 3 groups do not divide 4 input channels; it reads {X}"]),
    ("op: conv2d, filters: 3, kernel: 3, groups: 4",
     [f": layer 'a' (conv2d): 4 groups do not divide 3 filters; it reads {X}"]),
    ("op: conv2d, filters: 3, kernel: [3, 3, 3]",
     [f": layer 'a' (conv2d): kernel has 3 values for 2 spatial axes; it reads {X}"]),
    ("op: conv2d, filters: 3, kernel: 3, pad: [[1, 0]]",
     [f": layer 'a' (conv2d): pad has 1 pairs for 2 spatial axes; it reads {X}"]),
    ("op: conv1d, filters: 3, kernel: 3", [
        ": layer 'a' (conv1d): needs an input of (batch, channels, 1 spatial axis), not (1, 4, 8, 8); "
        f"it reads {X}",
    ]),
    ("op: conv_transpose2d, filters: 2, kernel: 2, stride: 2, output_pad: 2",
     [f": layer 'a' (conv_transpose2d): output_pad 2 must be smaller than stride 2; it reads {X}"]),
    ("op: conv_transpose2d, filters: 2, kernel: 2, pad: same", [
        ": layer 'a' (conv_transpose2d): pad 'same' is not defined for a transposed convolution; "
        f"give numbers; it reads {X}",
    ]),
    ("op: conv_transpose2d, filters: 2, kernel: 2, pad: 9", [
        ": layer 'a' (conv_transpose2d): pad 9 + 9 leaves nothing of the output on spatial axis 0; "
        f"it reads {X}",
    ]),
    ("op: conv_transpose2d, filters: 2, kernel: 2, groups: 4",
     [f": layer 'a' (conv_transpose2d): 4 groups do not divide 2 filters; it reads {X}"]),
    ("op: conv_transpose2d, filters: 2, kernel: 2, output_pad: -1",
     [".output_pad: expected 0 or a positive integer or a list of one per spatial axis, not -1"]),
    ("op: maxpool, kernel: 2, pad: 2", [": pad 2 must be smaller than kernel 2"]),
    ("op: matmul, in: [x, x], transpose_b: 1", [".transpose_b: expected true or false, not 1"]),
    ("op: groupnorm, groups: 3", [f": layer 'a' (groupnorm): 3 groups do not divide 4 input channels; it reads {X}"]),
    ("op: split, parts: 3",
     [f": layer 'a' (split): 3 parts do not divide 4 on axis 1 of (1, 4, 8, 8); it reads {X}"]),
    ("op: split, parts: [1, 2]",
     [f": layer 'a' (split): parts 1 + 2 do not add up to 4 on axis 1 of (1, 4, 8, 8); it reads {X}"]),
    ("op: channel_shuffle, groups: 3",
     [f": layer 'a' (channel_shuffle): 3 groups do not divide the channels of (1, 4, 8, 8); it reads {X}"]),
    ("op: pixel_shuffle, factor: 3",
     [f": layer 'a' (pixel_shuffle): factor 3 needs a multiple of 9 channels, not 4; it reads {X}"]),
    ("op: pixel_unshuffle, factor: 3", [
        ": layer 'a' (pixel_unshuffle): factor 3 does not divide the spatial sizes of (1, 4, 8, 8); "
        f"it reads {X}",
    ]),
    ("op: reshape, shape: [3, -1]",
     [f": layer 'a' (reshape): cannot reshape (1, 4, 8, 8) to (3, -1); it reads {X}"]),
    ("op: reshape, shape: 3", [".shape: expected a list of integers, not 3"]),
    ("op: transpose, axes: [0, 1]",
     [f": layer 'a' (transpose): axes (0, 1) do not name each axis of (1, 4, 8, 8) once; it reads {X}"]),
    ("op: softmax, axis: 4", [
        f": layer 'a' (softmax): has no axis 4: its input has the shape (1, 4, 8, 8); it reads {X}",
    ]),
    ("op: resize", [": needs either 'factor' or 'size'"]),
    ("op: resize, factor: [2, 2, 2]",
     [f": layer 'a' (resize): factor has 3 values for 2 spatial axes; it reads {X}"]),
    ("op: resize, factor: 0, mode: cubic", [
        ".factor: expected a positive number or a list of one per spatial axis, not 0",
        ".mode: unknown value 'cubic'; choose from: bilinear, nearest",
    ]),
    ("op: pad, pad: same", [
        ".pad: expected an integer, one per spatial axis, or [low, high] per spatial axis, not same",
    ]),
    ("op: pad, pad: -4", [f": layer 'a' (pad): makes an empty tensor (1, 4, 0, 0); it reads {X}"]),
    ("op: add", [": layer 'a' (add): takes 2 or more inputs, not 1"]),
    ("op: sub", [": layer 'a' (sub): takes 2 inputs, not 1"]),
    ("op: relu, in: [x, x]", [": layer 'a' (relu): takes 1 input, not 2"]),
    ("op: relu, when: 1", [".when: expected true or false, not '1'"]),
    ("op: relu, in: 3", [".in: expected the name of a tensor or a list of them, not 3"]),
    ("op: relu, in: y", [".in: layer 'a': unknown tensor 'y'; choose from: a, x"]),
    ("block: b, op: relu", [": 'a' needs either 'op' or 'block'"]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "messages"), ONE_LAYER, ids=[layer for layer, _ in ONE_LAYER])
def test_one_wrong_layer(tmp_path: Path, layer: str, messages: list[str]) -> None:
    assert told(tmp_path, net(f"name: a, {layer}")) == [f"net.yaml:5: layers[0]{m}" for m in messages]


def test_an_unknown_operator_names_the_nearest(tmp_path: Path) -> None:
    (message,) = told(tmp_path, net("name: a, op: cnov2d, filters: 3"))
    start = "net.yaml:5: layers[0].op: layer 'a': unknown operator 'cnov2d'; did you mean 'conv2d'? choose from: "
    assert message.startswith(start + "adaptive_avgpool, add, ")


def test_shapes_that_do_not_meet_name_both_layers_and_both_shapes(tmp_path: Path) -> None:
    lines = told(tmp_path, net(
        "name: small, op: maxpool, kernel: 2", "name: wide, op: conv2d, in: x, filters: 6, kernel: 1",
        "name: sum, op: add, in: [small, wide]", "name: join, op: concat, in: [wide, small]",
        "name: product, op: matmul, in: [small, wide]", "name: fine, op: relu, in: sum",
    ))  # fmt: skip
    small, wide = "'small' (1, 4, 4, 4), made by layer 'small'", "'wide' (1, 6, 8, 8), made by layer 'wide'"
    assert lines == [
        f"net.yaml:7: layers[2]: layer 'sum' (add): cannot combine (1, 4, 4, 4) and (1, 6, 8, 8); it reads {small}; "
        f"{wide}",
        "net.yaml:8: layers[3]: layer 'join' (concat): cannot join (1, 6, 8, 8) and (1, 4, 4, 4) along axis 1: "
        f"the other axes differ; it reads {wide}; {small}",
        "net.yaml:9: layers[4]: layer 'product' (matmul): cannot multiply (1, 4, 4, 4) by (1, 6, 8, 8); "
        f"it reads {small}; {wide}",
    ]


def test_shapes_without_the_axes_an_operator_needs(tmp_path: Path) -> None:
    lines = told(tmp_path, net(
        "name: a, op: maxpool, kernel: 2", "name: b, op: batchnorm, in: y", "name: c, op: linear, features: 2, in: y",
        "name: d, op: matmul, in: [x, y]", inputs="x: [2, 3], y: [5]",
    ).replace("kernel: 2", "kernel: 2, in: x"))  # fmt: skip
    assert lines == [
        "net.yaml:5: layers[0]: layer 'a' (maxpool): needs an input of (batch, channels, spatial axes), not (2, 3); "
        "it reads 'x' (2, 3), the graph's input",
        "net.yaml:6: layers[1]: layer 'b' (batchnorm): needs an input of (batch, channels, ...), not (5,); "
        "it reads 'y' (5,), the graph's input",
        "net.yaml:7: layers[2]: layer 'c' (linear): needs an input of (batch, ..., features), not (5,); "
        "it reads 'y' (5,), the graph's input",
        "net.yaml:8: layers[3]: layer 'd' (matmul): needs two inputs of the same rank, at least 2, not (2, 3) "
        "and (5,); it reads 'x' (2, 3), the graph's input; 'y' (5,), the graph's input",
    ]


def test_names_that_are_taken_missing_or_unknown(tmp_path: Path) -> None:
    lines = told(tmp_path, net(
        "name: relu1, op: relu", "name: relu1, op: relu", "name: x, op: relu", "op: relu", "name: d e, op: relu",
        "name: b, op: relu, in: rleu1", "name: c, op: relu",
    ))  # fmt: skip
    spelled = "a layer needs a name of letters, digits, '_', '-' and '.'"
    assert lines == [
        "net.yaml:6: layers[1].name: duplicate layer 'relu1' (first on line 5)",
        "net.yaml:7: layers[2].name: 'x' is the name of an input already",
        f"net.yaml:8: layers[3].name: {spelled}",
        f"net.yaml:9: layers[4].name: {spelled}",
        "net.yaml:10: layers[5].in: layer 'b': unknown tensor 'rleu1'; did you mean 'relu1'? "
        "choose from: b, c, relu1, x",
    ]


def test_a_long_list_of_tensors_is_not_recited(tmp_path: Path) -> None:
    layers = [f"name: relu{n}, op: relu" for n in range(30)]
    lines = told(tmp_path, net(*layers, "name: a, op: relu, in: relu200"))
    assert lines == ["net.yaml:35: layers[30].in: layer 'a': unknown tensor 'relu200'; did you mean 'relu20'?"]


def test_a_cycle_lists_its_layers_and_two_cycles_are_both_told(tmp_path: Path) -> None:
    lines = told(tmp_path, net(
        "name: a, op: relu, in: c", "name: b, op: relu", "name: c, op: relu", "name: d, op: relu, in: d",
        "name: e, op: relu, in: d",
    ))  # fmt: skip
    assert lines == [
        "net.yaml:5: layers[0].in: layers read each other in a circle: a -> b -> c -> a",
        "net.yaml:8: layers[3].in: layers read each other in a circle: d -> d",
    ]


def test_outputs_of_an_operator_with_several(tmp_path: Path) -> None:
    lines = told(tmp_path, net(
        "name: a, op: split, parts: 2", "name: b, op: relu", "name: c, op: relu, in: a.2",
        "name: d, op: relu, in: x.0", "name: a.1, op: relu, in: x",
    ))  # fmt: skip
    assert lines == [
        "net.yaml:6: layers[1]: layer 'b' (relu): 'a' has 2 outputs: read one of a.0, a.1",
        "net.yaml:7: layers[2]: layer 'c' (relu): there is no tensor 'a.2': 'a' makes a.0, a.1",
        "net.yaml:8: layers[3]: layer 'd' (relu): there is no tensor 'x.0': 'x' makes x",
        "net.yaml:9: layers[4]: layer 'a.1' (relu): 'a.1' names another tensor already",
    ]


def test_wrong_uses_of_blocks(tmp_path: Path) -> None:
    lines = told(tmp_path, net(
        "name: a, block: c", "name: d, block: b", "name: e, block: b, with: {w: 2, v: 1}",
        "name: f, block: b, with: {w: 2}, repeat: 0", "name: g, block: b, with: 3", "name: h, block: b, wth: 3",
        "name: k, block: b, with: {w: 2, s: 10}, in: x", "name: l, block: b, repeat: 2, with: {w: =q}",
        "name: k, block: b, with: {w: 2}", head=BLOCK,
    ))  # fmt: skip
    assert lines == [
        "net.yaml:2: blocks.b.layers[0]: layer 'k.c' (conv2d): kernel 10 is larger than the padded input 8 "
        f"on spatial axis 0; it reads {X}",
        "net.yaml:5: layers[0].block: unknown block 'c'; choose from: b",
        "net.yaml:6: layers[1].with: block 'b' needs 'w': give it under 'with'",
        "net.yaml:7: layers[2].with.v: unknown parameter of block 'b' 'v'; choose from: s, w",
        "net.yaml:8: layers[3].repeat: expected a positive integer, not '0'",
        "net.yaml:9: layers[4].with: expected keys and values, not '3'",
        "net.yaml:10: layers[5].wth: unknown key 'wth'; did you mean 'with'? "
        "choose from: block, in, name, repeat, when, with",
        "net.yaml:12: layers[7].with.w: unknown name 'q'; choose from: i",
        "net.yaml:13: layers[8].name: duplicate layer 'k' (first on line 11)",
    ]


def test_a_block_is_not_repeated_without_end(tmp_path: Path) -> None:
    """A slip of a few zeros is told at once, and does not fill the memory first."""
    assert told(tmp_path, net("name: a, block: b, with: {w: 2}, repeat: 1000000000000", head=BLOCK)) == [
        "net.yaml:5: layers[0].repeat: 1000000000000 is out of range: at most 10000"
    ]


def test_blocks_that_use_each_other_in_a_circle(tmp_path: Path) -> None:
    head = "blocks: {p: {layers: [{name: q, block: q}]}, q: {layers: [{name: p, block: p}]}}"
    lines = told(tmp_path, net("name: a, block: p", head=head))
    assert lines == ["net.yaml:2: blocks.q.layers[0].block: block uses itself: p -> q -> p"]


def test_a_mistake_in_a_block_is_told_once_however_often_it_is_used(tmp_path: Path) -> None:
    head = "blocks: {b: {params: {n: =k}, layers: [{name: c, op: leaky_relu, slop: 1}]}}"
    lines = told(tmp_path, net("name: a, block: b, repeat: 3", "name: d, block: b", head=head))
    assert lines == [
        "net.yaml:2: blocks.b.params.n: unknown name 'k'; choose from: i",
        "net.yaml:2: blocks.b.layers[0].slop: unknown key 'slop'; did you mean 'slope'? choose from: slope",
    ]


def test_wrong_inputs_and_params(tmp_path: Path) -> None:
    text = net("name: a, op: relu, in: y", head="params: {n: null, m: =k}", inputs="x: [1, 0, 3], y: [], z: [=l]")
    assert told(tmp_path, text) == [
        "net.yaml:2: params.n: has no value: give it one with --set n=...",
        "net.yaml:2: params.m: unknown name 'k'; choose from: m, n",
        "net.yaml:3: inputs.x: expected positive integers, not 0 in [1, 0, 3]",
        "net.yaml:3: inputs.y: expected the shape of the tensor, not an empty list",
        "net.yaml:3: inputs.z: unknown name 'l'; choose from: m, n",
    ]


def test_a_param_that_must_be_given_is_told_once(tmp_path: Path) -> None:
    text = net("name: a, op: linear, features: =n", head="params: {n: null}", inputs="x: [2, =n]")
    assert told(tmp_path, text) == ["net.yaml:2: params.n: has no value: give it one with --set n=..."]
    assert told(tmp_path, net("name: a, op: relu", inputs="x: [2, null]")) == [
        "net.yaml:3: inputs.x: expected positive integers, not None in [2, None]"
    ]


def test_the_first_layer_of_several_inputs_must_say_which(tmp_path: Path) -> None:
    lines = told(tmp_path, net("name: a, op: relu", inputs="x: [1, 3], y: [2, 3]"))
    assert lines == ["net.yaml:5: layers[0]: 'a' needs 'in': there is no layer before it"]


def test_the_frame_of_the_file(tmp_path: Path) -> None:
    assert told(tmp_path, "name: other\ninputs: {x: [1]}\nlayers: []\n") == [
        "net.yaml:1: name: must be the name of its file, 'net', not 'other'",
        "net.yaml:3: layers: holds no layer",
    ]
    assert told(tmp_path, "name: net\ninput: {x: [1]}\n") == [
        "net.yaml:1: inputs: missing key 'inputs'",
        "net.yaml:1: layers: missing key 'layers'",
        "net.yaml:2: input: unknown key 'input'; did you mean 'inputs'? "
        "choose from: blocks, choices, inputs, layers, name, not_modelled, params, patches, published, source, title",
    ]
    assert told(tmp_path, net("name: a, op: relu", head="published: {parameters: 1.5, macs: 4 giga}")) == [
        "net.yaml:2: published.parameters: expected a whole number, or a rounded one as '4.1 G', not 1.5",
        "net.yaml:2: published.macs: expected a whole number, or a rounded one as '4.1 G', not 4 giga",
    ]


def test_two_mistakes_of_different_kinds_are_told_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = told(tmp_path, net("name: a, op: conv2d, filters: 2, kernel: 9", "name: b, op: relu, in: c"))
    assert [line.split(": ")[:2] for line in lines] == [["net.yaml:5", "layers[0]"], ["net.yaml:6", "layers[1].in"]]


def test_wrong_overrides(tmp_path: Path) -> None:
    text = net("name: a, op: leaky_relu", head="params: {batch: 1}")
    lines = told(tmp_path, text, **{
        "bacth": 2, "params.q": 1, "layers.a": 1, "layers.b.slope": 2, "layers.a.slop": 2, "a.slope": 3,
    })  # fmt: skip
    choices = "choose from: batch, layers.NAME.KEY"
    assert lines == [
        "--set a.slope: unknown key 'a.slope'; did you mean 'layers.a.slope'? "
        "choose from: batch, layers.NAME.KEY, layers.a.slope",
        f"--set bacth: unknown key 'bacth'; did you mean 'batch'? {choices}",
        f"--set layers.a: unknown key 'layers.a'; did you mean 'layers.NAME.KEY'? {choices}",
        "--set layers.a.slop: layers[0].slop: unknown key 'slop'; did you mean 'slope'? choose from: slope",
        "--set layers.b.slope: unknown layer 'b'; choose from: a",
        f"--set params.q: unknown key 'q'; {choices}",
    ]


VALUES = st.sampled_from([
    None, -1, 0, 1, 2, 3, 2.5, True, "same", "depthwise", "last", "channels", "bilinear", "=n", "=1 /", [], [1],
    [2, 2], [1, -1], [[1, 2], [0, 1]], [[1]], {}, "x", "y", ["x", "y"], ["x", "x"],
])  # fmt: skip
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=5)
KEYS = {name: ["in", "when", *OPS[name].model_fields] for name in OPS}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(KEYS)), x=SHAPES, y=SHAPES)
def test_whatever_stands_in_a_layer_it_loads_or_is_told(tmp_path: Path, data, name: str, x, y) -> None:
    keys = data.draw(st.lists(st.sampled_from(KEYS[name]), unique=True))
    layer = {"name": "a", "op": name, "in": "x"} | {key: data.draw(VALUES) for key in keys}
    path = tmp_path / "net.yaml"
    path.write_text(json.dumps({"name": "net", "inputs": {"x": x, "y": y}, "layers": [layer]}))
    try:
        graph = load(str(path))
    except ConfigError as error:
        assert all(problem.file == str(path) and problem.line == 1 for problem in error.problems)
    else:
        assert graph.macs >= 0 and graph.parameters >= 0


CONV = "write conv:C,H,W,K,R,S[,stride=2][,pad=1][,groups=g][,dilation=1][,batch=1]"
FORMS = f"the forms are gemm:MxNxK, gemv:OUTxIN, {CONV.removeprefix('write ')}, attention:BxHxNxE[,kv=M][,causal]"
INPUT = "it reads 'input' (1, 1, 2, 8), the graph's input"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gemm:4x5", "needs 3 sizes, M x N x K, not '4x5'; write gemm:MxNxK"),
        ("gemm:4x5x0", "K must be a whole number of at least 1, not '0'; write gemm:MxNxK"),
        ("gemm:axbxc", "M must be a whole number of at least 1, not 'a'; write gemm:MxNxK"),
        ("gemv:3", "needs 2 sizes, OUT x IN, not '3'; write gemv:OUTxIN"),
        ("conv:1,2,3", f"needs the 6 sizes C, H, W, K, R, S and then the options, not '1,2,3'; {CONV}"),
        ("conv:1,2,3,4,5,6,strid=2",
         f"unknown option 'strid'; did you mean 'stride'? choose from: batch, dilation, groups, pad, stride; {CONV}"),
        ("conv:1,2,3,4,5,6,stride=0", f"stride must be a whole number of at least 1, not '0'; {CONV}"),
        ("conv:1,2,3,4,5,6,pad=-1", f"pad must be a whole number of at least 0, not '-1'; {CONV}"),
        ("conv:1,2,8,4,3,3", "layers[0]: layer 'conv' (conv2d): kernel 3 is larger than the padded input 2 "
         f"on spatial axis 0; {INPUT}"),
        ("conv:1,2,8,4,1,1,groups=2",
         f"layers[0]: layer 'conv' (conv2d): 2 groups do not divide 1 input channels; {INPUT}"),
        ("gem:3x3x3",
         f"unknown inline workload 'gem'; did you mean 'gemv'? choose from: attention, conv, gemm, gemv; {FORMS}"),
    ],
)  # fmt: skip
def test_malformed_inline_workloads(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_workload(text)
    assert str(caught.value) == f"{text}: {message}"


def test_an_unknown_network_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^unknown workload 'resnet5'; did you mean 'resnet50'\?"):
        open_workload("resnet5")
    with pytest.raises(ConfigError, match=r"^no/such\.yaml: no such file$"):
        open_workload("no/such.yaml")


def test_a_layer_of_more_than_arrays_can_count_is_told(tmp_path: Path) -> None:
    for form, what, most in (
        ("gemm:1000000000000000000x1x1", "elements", 2**56), ("gemm:1000000x1000000x1000000", "MACs", 2**59)
    ):  # fmt: skip
        with pytest.raises(ConfigError) as error:
            open_workload(form)
        assert str(error.value) == (
            f"{form}: layers[0]: layer 'gemm' (linear): 1000000000000000000 {what} are more than {most}"
        )
    assert open_workload("gemm:1000000x1000000x1000").macs == 10**15
