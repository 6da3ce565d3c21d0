"""ONNX operators as operators of a workload, one function each; what none can say is Unmodelled, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.importers.onnx_model import Model, OnnxNode, Shape


class Unmodelled(Exception):
    """A node that no operator expresses: why, in the user's words."""


@dataclass(frozen=True)
class Made:
    """A layer: its operator, parameters, and which tensors of the model it reads."""

    op: str
    inputs: tuple[str, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """A node and what is known around it."""

    model: Model
    node: OnnxNode
    constant: frozenset[str]
    """Tensors that do not depend on any input."""

    def shape(self, tensor: str) -> Shape:
        """Return the shape of a tensor; Unmodelled where shape inference found none."""
        if tensor not in self.model.shapes:
            raise Unmodelled(f"the shape of '{tensor}' is not known")
        return self.model.shapes[tensor]

    def value(self, index: int) -> Any:
        """Return the values of an input that is a constant, None where it is left out."""
        if index >= len(self.node.inputs) or not self.node.inputs[index]:
            return None
        name = self.node.inputs[index]
        if name not in self.model.values:
            raise Unmodelled(f"'{name}' is computed, and must be a constant")
        return self.model.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.node.attributes.get(name, default)

    @property
    def input(self) -> str:
        """The first tensor that is read."""
        return self.node.inputs[0]

    @property
    def output(self) -> Shape:
        """The shape of the first tensor that is made."""
        return self.shape(self.node.outputs[0])


Converter = Callable[[Context], Made]


def _one(op: str, **parameters: Any) -> Converter:
    """Return a converter to an operator of one input and fixed parameters."""
    return lambda context: Made(op, (context.input,), parameters)


def _window(context: Context, kernel: Sequence[int]) -> dict[str, Any]:
    pads = context.get("pads", [0] * 2 * len(kernel))
    auto = context.get("auto_pad", b"NOTSET").decode()
    if auto not in ("NOTSET", "VALID", "SAME_UPPER"):
        raise Unmodelled(f"auto_pad {auto}")
    sides = [list(pair) for pair in zip(pads[: len(kernel)], pads[len(kernel) :], strict=True)]
    return {
        "kernel": list(kernel), "stride": list(context.get("strides", [1] * len(kernel))),
        "pad": "same" if auto == "SAME_UPPER" else sides,
    }  # fmt: skip


def _conv(context: Context) -> Made:
    weight = context.shape(context.node.inputs[1])
    rank = len(weight) - 2
    if context.node.inputs[1] not in context.constant or not 1 <= rank <= 3:
        raise Unmodelled("a weight that is no constant of 3 to 5 axes")
    parameters = {
        "filters": weight[0], **_window(context, weight[2:]), "groups": context.get("group", 1),
        "dilation": list(context.get("dilations", [1] * rank)), "bias": len(context.node.inputs) > 2,
    }  # fmt: skip
    return Made(f"conv{rank}d", (context.input,), parameters)


def _conv_transpose(context: Context) -> Made:
    weight = context.shape(context.node.inputs[1])
    rank, groups = len(weight) - 2, context.get("group", 1)
    if any(step != 1 for step in context.get("dilations", [])):
        raise Unmodelled("dilations")
    window = _window(context, weight[2:])
    parameters = {
        "filters": weight[1] * groups, **window, "groups": groups, "bias": len(context.node.inputs) > 2,
        "output_pad": list(context.get("output_padding", [0] * rank)),
    }  # fmt: skip
    return Made(f"conv_transpose{rank}d", (context.input,), parameters)


def _gemm(context: Context) -> Made:
    left, right = context.node.inputs[:2]
    if right not in context.constant or context.get("transA", 0):
        raise Unmodelled("a product of transposed or computed matrices")
    features = context.shape(right)[0 if context.get("transB", 0) else 1]
    bias = len(context.node.inputs) > 2 and context.node.inputs[2] != ""
    return Made("linear", (left,), {"features": features, "bias": bias})


def _matmul(context: Context) -> Made:
    left, right = context.node.inputs
    if right in context.constant and len(context.shape(right)) == 2:
        return Made("linear", (left,), {"features": context.shape(right)[1], "bias": False})
    if {left, right} & context.constant:
        raise Unmodelled("a product with a stored operand that is no matrix on the right")
    if context.shape(left)[:-2] != context.shape(right)[:-2]:
        raise Unmodelled("a product whose leading axes differ")
    return Made("matmul", (left, right), {})


def _binary(op: str) -> Converter:
    """Return a converter of an elementwise operator; a constant operand becomes the layer's own."""

    def convert(context: Context) -> Made:
        stored = [name for name in context.node.inputs if name in context.constant]
        moving = tuple(name for name in context.node.inputs if name not in context.constant)
        if not stored:
            return Made(op, moving, {})
        if len(moving) != 1:
            raise Unmodelled("more than one constant operand")
        shape = context.shape(stored[0])
        kind = "mul" if op == "div" and context.node.inputs[1] in stored else op
        return Made("constant", moving, {"kind": "add" if kind == "sub" else kind, "shape": list(shape) or [1]})

    return convert


def _pool(op: str) -> Converter:
    def convert(context: Context) -> Made:
        if len(context.node.outputs) > 1:
            raise Unmodelled("pooling that returns indices")
        if any(d != 1 for d in context.get("dilations", [])):
            raise Unmodelled("dilated pooling")
        window = _window(context, context.get("kernel_shape"))
        return Made(op, (context.input,), {**window, "ceil": bool(context.get("ceil_mode", 0))})

    return convert


def _clip(context: Context) -> Made:
    low, high = context.get("min", None), context.get("max", None)
    if low is None and high is None:
        low, high = context.value(1), context.value(2)
    bounded = [bound for bound in (low, high) if bound is not None]
    return Made("relu6" if len(bounded) == 2 else "relu", (context.input,), {})


def _layer_norm(context: Context) -> Made:
    rank = len(context.shape(context.input))
    if context.get("axis", -1) not in (-1, rank - 1):
        raise Unmodelled("a normalisation over more than the last axis")
    return Made("layernorm", (context.input,), {})


def _group_norm(context: Context) -> Made:
    return Made("groupnorm", (context.input,), {"groups": context.get("num_groups")})


def _softmax(context: Context) -> Made:
    return Made("softmax", (context.input,), {"axis": context.get("axis", -1)})


def _reduce(kind: str) -> Converter:
    def convert(context: Context) -> Made:
        axes = context.get("axes")
        if axes is None:
            axes = context.value(1)
        rank = len(context.shape(context.input))
        chosen = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes]
        return Made("reduce", (context.input,),
                    {"kind": kind, "axes": chosen, "keep": bool(context.get("keepdims", 1))})  # fmt: skip

    return convert


def _reshape(context: Context) -> Made:
    return Made("reshape", (context.input,), {"shape": list(context.output)})


def _transpose(context: Context) -> Made:
    rank = len(context.shape(context.input))
    return Made("transpose", (context.input,), {"axes": list(context.get("perm", range(rank)[::-1]))})


def _concat(context: Context) -> Made:
    if set(context.node.inputs) & context.constant:
        raise Unmodelled("a constant part")
    return Made("concat", context.node.inputs, {"axis": context.get("axis")})


def _split(context: Context) -> Made:
    rank = len(context.shape(context.input))
    if context.get("axis", 0) % rank != 1:
        raise Unmodelled("a split of another axis than the second")
    parts = [context.shape(tensor)[1] for tensor in context.node.outputs]
    return Made("split", (context.input,), {"parts": parts})


def _gather(context: Context) -> Made:
    table, indices = context.node.inputs[:2]
    if table in context.constant and indices not in context.constant and context.get("axis", 0) == 0:
        entries, *features = context.shape(table)
        if len(features) == 1:
            return Made("embedding", (indices,), {"entries": entries, "features": features[0]})
    if table not in context.constant and indices in context.constant:
        return Made("slice", (table,), {"shape": list(context.output)})
    raise Unmodelled("a lookup that is no embedding")


def _slice(context: Context) -> Made:
    return Made("slice", (context.input,), {"shape": list(context.output)})


def _resize(context: Context) -> Made:
    before, after = context.shape(context.input), context.output
    mode = context.get("mode", b"nearest").decode()
    if mode not in ("nearest", "linear") or before[:2] != after[:2]:
        raise Unmodelled(f"resizing by {mode} or of other than the spatial axes")
    return Made("resize", (context.input,),
                {"size": list(after[2:]), "mode": "bilinear" if mode == "linear" else "nearest"})  # fmt: skip


CONVERTERS: dict[str, Converter] = {
    "Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul,
    "Add": _binary("add"), "Sum": _binary("add"), "Sub": _binary("sub"), "Mul": _binary("mul"),
    "Div": _binary("div"), "Pow": _binary("mul"),
    "BatchNormalization": _one("batchnorm"), "LayerNormalization": _layer_norm, "GroupNormalization": _group_norm,
    "InstanceNormalization": _one("instancenorm", affine=True), "SimplifiedLayerNormalization": _one("rmsnorm"),
    "RMSNormalization": _one("rmsnorm"), "Softmax": _softmax,
    "Relu": _one("relu"), "LeakyRelu": _one("leaky_relu"), "Sigmoid": _one("sigmoid"), "Tanh": _one("tanh"),
    "HardSigmoid": _one("hardsigmoid"), "HardSwish": _one("hardswish"), "Gelu": _one("gelu"), "Clip": _clip,
    "Erf": _one("erf"), "Exp": _one("exp"), "Sqrt": _one("sqrt"), "Reciprocal": _one("reciprocal"),
    "Neg": _one("identity"), "Swish": _one("silu"),
    "MaxPool": _pool("maxpool"), "AveragePool": _pool("avgpool"),
    "GlobalAveragePool": _one("global_avgpool", keep=True),
    "ReduceMean": _reduce("mean"), "ReduceSum": _reduce("sum"), "ReduceMax": _reduce("max"),
    "Reshape": _reshape, "Flatten": _reshape, "Squeeze": _reshape, "Unsqueeze": _reshape, "Transpose": _transpose,
    "Identity": _one("identity"), "Dropout": _one("identity"), "Cast": _one("identity"),
    "Concat": _concat, "Split": _split, "Gather": _gather, "Slice": _slice, "Resize": _resize,
}  # fmt: skip
"""Operators of ONNX to what they are here."""
