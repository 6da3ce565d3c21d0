"""Contract of every registered operator: whatever joins the registry is tested on its own examples."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from sim.graph import Node, expand
from sim.kernel import Contraction, VectorWork
from sim.op import OPS, Compound, Op, Shape, random_integers

KINDS = {"add", "mul", "max", "exp", "div", "sqrt", "tanh", "erf"}
ALL = [
    (f"{name}-{index}", op, shapes)
    for name in OPS
    for index, (op, shapes) in enumerate(OPS[name].examples())
]


COMPOUND = [case for case in ALL if isinstance(case[1], Compound)]


def parts_of(name: str, op: Op, shapes: tuple[Shape, ...]) -> list[tuple[str, Op, tuple[Shape, ...]]]:
    """Return an operator, or each of the operators that it is made of, down to those without parts."""
    node = Node(name, name, op, tuple(map(str, range(len(shapes)))), ("out",), shapes, op.infer(shapes))
    return [(part.name, part.op, part.input_shapes) for part in expand(node)]


REGISTERED = {OPS[name] for name in OPS}
PRIMITIVE = [part for case in ALL for part in parts_of(*case)]


def over(cases):
    return pytest.mark.parametrize(
        ("op", "shapes"), [pytest.param(op, shapes, id=name) for name, op, shapes in cases]
    )


def is_contraction(op: Op, shapes: tuple[Shape, ...]) -> bool:
    return any(isinstance(kernel, Contraction) for kernel in op.kernels(shapes))


contract = over(ALL)
compound = over(COMPOUND)
primitive = over(PRIMITIVE)
contractions = over([case for case in PRIMITIVE if is_contraction(*case[1:])])
batched = over(
    [(name, op, shapes) for name, op, shapes in ALL
     if getattr(op, "routing", "") != "histogram" and type(op) not in (OPS["matmul"], OPS["reshape"])
     and len({shape[0] for shape in shapes}) == 1]
)  # fmt: skip


def arrays(op: Op, shapes: tuple[Shape, ...]) -> tuple[list, dict]:
    inputs = [random_integers(shape, seed) for seed, shape in enumerate(shapes)]
    sizes = op.weight_shapes(shapes) | op.state_shapes(shapes)
    return inputs, {name: random_integers(size, 50 + n) for n, (name, size) in enumerate(sizes.items())}


@contract
def test_the_reference_makes_the_shapes_that_are_inferred(op: Op, shapes: tuple[Shape, ...]) -> None:
    inputs, weights = arrays(op, shapes)
    assert tuple(result.shape for result in op.reference(inputs, weights)) == op.infer(shapes)


@contractions
def test_products_assembled_plus_bias_equal_the_reference(op: Op, shapes: tuple[Shape, ...]) -> None:
    kernels = [kernel for kernel in op.kernels(shapes) if isinstance(kernel, Contraction)]
    inputs, weights = arrays(op, shapes)
    operands = op.operands(inputs, weights)
    for kernel, (left, right) in zip(kernels, operands, strict=True):
        assert left.reshape(kernel.input_shape).size == left.size
        assert right.shape == (kernel.groups, kernel.k, kernel.n)
    products = [kernel.compute(*pair) for kernel, pair in zip(kernels, operands, strict=True)]
    result = op.assemble(products, shapes)
    if "bias" in weights:
        channel_axis = -1 if type(op) is OPS["linear"] else 1
        result = np.moveaxis(np.moveaxis(result, channel_axis, -1) + weights["bias"], -1, channel_axis)
    np.testing.assert_array_equal(result, op.reference(inputs, weights)[0])


@contractions
def test_contractions_read_each_stored_weight_once(op: Op, shapes: tuple[Shape, ...]) -> None:
    kernels = [kernel for kernel in op.kernels(shapes) if isinstance(kernel, Contraction)]
    stored = op.weight_shapes(shapes)
    used = sum(kernel.right_elements for kernel in kernels if kernel.right_is == "weight")
    if type(op).gathered is Op.gathered:
        assert used == prod(stored.get("weight", (0,)))
    else:
        assert used == op.gathered(shapes)
    assert all(kernel.bias_elements == prod(stored.get("bias", (0,))) for kernel in kernels)


@primitive
def test_lane_work_reads_and_writes_whole_tensors(op: Op, shapes: tuple[Shape, ...]) -> None:
    for kernel in op.kernels(shapes):
        if isinstance(kernel, VectorWork):
            whole = tuple(map(prod, shapes))
            if type(op) in REGISTERED:
                assert kernel.inputs == whole
            assert all(read <= there for read, there in zip(kernel.inputs, whole, strict=True))
            assert kernel.outputs == sum(map(prod, op.infer(shapes)))
            assert kernel.weights == op.gathered(shapes) + op.constants(shapes)
            assert {kind for kind, _ in kernel.operations} <= KINDS
            assert all(count > 0 for _, count in kernel.operations)


@contract
def test_a_fusible_operator_keeps_its_only_input_s_shape(op: Op, shapes: tuple[Shape, ...]) -> None:
    if op.fusible:
        assert op.infer(shapes) == shapes[:1] and len(shapes) == 1
        assert all(isinstance(kernel, VectorWork) for kernel in op.kernels(shapes))


@compound
def test_a_compound_operator_equals_its_definition_part_by_part(op: Op, shapes: tuple[Shape, ...]) -> None:
    assert isinstance(op, Compound)
    inputs, weights = arrays(op, shapes)
    inputs, weights = [x / 8 for x in inputs], {name: x / 8 for name, x in weights.items()}
    for made, wanted in zip(op.by_parts(inputs, weights), op.reference(inputs, weights), strict=True):
        np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-12)


@compound
def test_a_compound_operator_is_expanded_to_parts_that_carry_its_work(op: Op, shapes: tuple[Shape, ...]) -> None:
    parts = parts_of("layer", op, shapes)
    assert all(name.startswith("layer.") and not isinstance(part, Compound) for name, part, _ in parts)
    assert sum(part.macs(read) for _, part, read in parts) == op.macs(shapes)
    assert sum(part.parameters(read) for _, part, read in parts) == op.parameters(shapes)


@contract
def test_equal_operators_are_equal_keys(op: Op, shapes: tuple[Shape, ...]) -> None:
    assert hash(op) == hash(op.model_copy()) and op == op.model_copy()
    assert op.kernels(shapes) == op.model_copy().kernels(shapes)


@batched
def test_the_batch_scales_macs_and_leaves_the_parameters(op: Op, shapes: tuple[Shape, ...]) -> None:
    double = tuple((2 * shape[0], *shape[1:]) for shape in shapes)
    assert op.macs(double) == 2 * op.macs(shapes)
    assert op.parameters(double) == op.parameters(shapes)


def test_every_operator_of_the_format_is_there() -> None:
    assert list(OPS) == [
        "adaptive_avgpool", "add", "attention", "avgpool", "batchnorm", "channel_shuffle", "concat",
        "constant", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
        "embedding", "erf", "exp", "flatten", "geglu", "gelu", "global_avgpool", "grouped_linear", "groupnorm",
        "hardsigmoid", "hardswish", "identity", "instancenorm", "layernorm", "leaky_relu", "linear",
        "linear_attention", "matmul", "maxpool", "mla", "moe", "mosaic", "mul", "opaque", "pad",
        "pixel_shuffle", "pixel_unshuffle", "positions", "prepend", "reciprocal", "reduce", "reglu", "relu", "relu6",
        "reshape", "resize", "rmsnorm", "rotary", "scale", "selective_scan", "sigmoid", "silu", "slice", "softmax",
        "split", "sqrt", "sub", "swiglu", "take", "tanh", "to_image", "to_tokens", "top_k", "transpose",
        "window",
    ]  # fmt: skip
    assert OPS["dropout"] is OPS["identity"] and OPS["swish"] is OPS["silu"]
