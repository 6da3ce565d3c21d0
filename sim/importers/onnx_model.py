"""An ONNX model as tensors with shapes and nodes with attributes: read, its open dimensions set, constants found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim import extras
from sim.errors import ConfigError, Problem, unknown

Shape = tuple[int, ...]


@dataclass(frozen=True)
class OnnxNode:
    """One node: its operator, attributes, and the names of what it reads ("" where left out) and makes."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A model with every shape known. `values` holds small constants, `stored` every one, by name to its shape."""

    inputs: Mapping[str, Shape]
    nodes: tuple[OnnxNode, ...]
    shapes: Mapping[str, Shape]
    stored: frozenset[str]
    values: Mapping[str, Any]
    producer: str

    def uses(self, tensor: str) -> int:
        """Return how many nodes read a tensor; an output of the model counts as read."""
        return sum(node.inputs.count(tensor) for node in self.nodes)


_SMALL = 1 << 16
"""Elements up to which a constant's values are read: enough for shapes, axes and pads."""


def read_model(path: Path, sizes: Mapping[str, int]) -> Model:
    """Return the model in `path`, its open dimensions set to `sizes` by name, shapes inferred.

    Raises ConfigError where it is no ONNX file, a dimension is open (asks for --set), or a size is for none;
    TiletickError where the package onnx is missing.
    """
    onnx = extras.load("onnx", "onnx")
    protobuf = extras.load("google.protobuf.message", "onnx")
    if not path.is_file():
        raise ConfigError(Problem("no such file", file=str(path)))
    try:
        model = onnx.load(str(path), load_external_data=False)
    except protobuf.DecodeError as error:
        raise ConfigError(Problem(f"is no ONNX model: {_first_line(error)}", file=str(path))) from None
    graph = model.graph
    if not graph.node:
        raise ConfigError(Problem("is no ONNX model: it holds no node", file=str(path)))
    stored = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    _set_dimensions(graph, stored, sizes, str(path))
    try:
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=False, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise ConfigError(Problem(f"its shapes cannot be inferred: {_first_line(error)}", file=str(path))) from None
    nodes = tuple(_node(onnx, node, index) for index, node in enumerate(graph.node))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer if _readable(t)}
    constants = {n.outputs[0]: n.attributes["value"] for n in nodes if n.kind == "Constant" and "value" in n.attributes}
    infos = (*graph.input, *graph.value_info, *graph.output)
    shapes = {info.name: shape for info in infos if (shape := _shape(info)) is not None} | stored
    shapes |= {name: value.shape for name, value in constants.items()}
    inputs = {info.name: shapes[info.name] for info in graph.input if info.name not in stored}
    return Model(inputs, nodes, shapes, frozenset(stored) | frozenset(constants), values | constants,
                 model.producer_name or "an unnamed program")  # fmt: skip


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _readable(tensor: Any) -> bool:
    size = 1
    for dimension in tensor.dims:
        size *= dimension
    return size <= _SMALL and tensor.data_location != 1  # 1: in another file


def _set_dimensions(graph: Any, stored: Mapping[str, Shape], sizes: Mapping[str, int], file: str) -> None:
    """Give every open dimension of the inputs its size."""
    problems, known = [], set[str]()
    for info in graph.input:
        for axis, dimension in enumerate(info.type.tensor_type.shape.dim if info.name not in stored else ()):
            if dimension.HasField("dim_value") and dimension.dim_value > 0:
                continue
            name = dimension.dim_param or f"{info.name}.{axis}"
            known.add(name)
            if name in sizes:
                dimension.dim_value = sizes[name]
            else:
                message = f"input '{info.name}' has no size on axis {axis}: give it with --set {name}=..."
                problems.append(Problem(message, file))
    for name in sizes:
        if name not in known:
            problems.append(Problem(unknown("open dimension", name, known), f"--set {name}"))
    if problems:
        raise ConfigError(*problems)


def _shape(info: Any) -> Shape | None:
    """Return the shape of a tensor where every size is known."""
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        return None
    dimensions = info.type.tensor_type.shape.dim
    if any(not d.HasField("dim_value") for d in dimensions):
        return None
    return tuple(d.dim_value for d in dimensions)


def _node(onnx: Any, node: Any, index: int) -> OnnxNode:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Constant" and "value" in attributes:
        attributes["value"] = onnx.numpy_helper.to_array(attributes["value"])
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    return OnnxNode(node.name or f"{node.op_type}_{index}", kind, tuple(node.input), tuple(node.output), attributes)
