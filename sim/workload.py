"""Workloads: a YAML file or an inline form, with overrides, to a Graph with every shape known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from pydantic import Field

from sim import inline as inline_forms
from sim import library
from sim.blocks import Expansion, Layer, Scope, unknown_name
from sim.errors import ConfigError, Problem, unknown
from sim.expressions import resolve
from sim.extends import read_extended
from sim.graph import Graph, Node, NotModelled, Published
from sim.op import Shape
from sim.patches import Patches, patched
from sim.wiring import Wiring
from sim.yamlfile import Document, Strict, check, in_order


class Block(Strict):
    """A group of layers under one name; a parameter of null must be given where the block is used."""

    params: dict[str, Any] = Field(
        {}, description="names for expressions, with defaults; null: given where the block is used"
    )
    layers: list[dict[str, Any]] = Field(description="the layers of the block")


class Workload(Strict):
    """A workload file: inputs, and layers that are operators or blocks; any value may be an expression."""

    name: str = Field(description="the name of the file")
    title: str = Field("", description="the network in a sentence")
    source: str = Field("", description="where the layers come from")
    published: Published = Field(Published(), description="what the totals are compared with")
    params: dict[str, Any] = Field({}, description="names for expressions, which --set may change; null: must be set")
    choices: dict[str, list[Any]] = Field({}, description="the values that a param may take, where not all make sense")
    inputs: dict[str, list[Any]] = Field(description="input tensors and their shapes")
    blocks: dict[str, Block] = Field({}, description="groups of layers, by name")
    layers: list[dict[str, Any]] = Field(description="operators and blocks, in order")
    patches: Patches | None = Field(None, description="the first layers run patch by patch, so that no map is whole")
    not_modelled: list[NotModelled] = Field([], description="what the network has and no operator expresses")


def open_workload(text: str, overrides: Mapping[str, object] = {}) -> Graph:
    """Return the Graph that `text` means: an inline form such as gemm:64x64x64, a bundled name, or a path."""
    return inline(text, overrides) if inline_forms.is_inline(text) else load(text, overrides)


def load(name_or_path: str, overrides: Mapping[str, object] = {}) -> Graph:
    """Return the Graph in a workload file, found by name in the library or by path.

    `overrides` sets a param (`batch` or `params.batch`) or a key of a layer (`layers.conv1.stride`).
    Raises ConfigError with every problem of the file, in order.
    """
    path = library.find("workload", name_or_path)
    return _graph(read_extended("workload", path, _OWN), path, overrides)


_OWN = ("name", "title", "source", "published", "not_modelled")
"""Keys that tell of one network alone."""


def inline(text: str, overrides: Mapping[str, object] = {}) -> Graph:
    """Return the Graph of one layer that an inline form describes; ConfigError where it is malformed."""
    return _graph(inline_forms.document(text), None, overrides)


def _graph(document: Document, path: Path | None, overrides: Mapping[str, object]) -> Graph:
    file, problems = check(Workload, document)
    if file is None:
        raise ConfigError(*in_order(problems))
    if path is not None and file.name != path.stem:
        message = f"must be the name of its file, '{path.stem}', not '{file.name}'"
        problems.append(document.problem(("name",), message))
    document, of_layers, wrong = _override(document, overrides)
    values = _params(document, problems)
    inputs = _inputs(document, values, problems)
    if None in values.values():
        raise ConfigError(*in_order(problems))  # it would be said again of every layer
    root = Scope(values=values, inputs=tuple(inputs))
    expansion = Expansion(document, root, of_layers)
    wiring = Wiring(expansion.layers, inputs)
    problems += [*wrong, *_unused(of_layers, expansion.layers), *expansion.problems, *wiring.problems]
    if not document.data["layers"]:
        problems.append(document.problem(("layers",), "holds no layer"))
    problems = problems or _too_large(wiring.nodes, expansion.layers)
    if problems:
        raise ConfigError(*in_order(list(dict.fromkeys(problems))))
    graph = Graph(
        name=file.name, inputs=inputs, nodes=tuple(wiring.nodes), title=file.title, source=file.source,
        digest=_digest(inputs, wiring.nodes, expansion.layers), published=file.published, params=values,
        not_modelled=tuple(entry.model_dump() for entry in file.not_modelled),
    )  # fmt: skip
    return _in_patches(graph, document, values)


def _in_patches(graph: Graph, document: Document, values: Mapping[str, Any]) -> Graph:
    """Return the graph with its stage of patches written out, where the file has one."""
    written = document.data.get("patches")
    if not written:
        return graph
    try:
        return patched(graph, *(resolve(written[key], values) for key in Patches.model_fields))
    except ValueError as error:
        raise document.error(("patches",), str(error)) from None


def _override(
    document: Document, overrides: Mapping[str, object]
) -> tuple[Document, dict[str, dict[str, Any]], list[Problem]]:
    """Return the document with its params set, the values set on layers, and what could not be set."""
    of_layers: dict[str, dict[str, Any]] = {}
    problems = []
    params = document.data.get("params", {})
    for key, value in overrides.items():
        layer, _, name = key.removeprefix("layers.").rpartition(".")
        param = key.removeprefix("params.")
        if key.startswith("layers.") and layer:
            of_layers.setdefault(layer, {})[name] = value
        elif param in params:
            document = document.with_override(("params", param), value)
        else:
            named = [entry.get("name") for entry in document.data["layers"] if isinstance(entry, dict)]
            meant = [f"layers.{key}"] if layer in named else []
            message = unknown("key", param, [*params, *meant, "layers.NAME.KEY"])
            problems.append(Problem(message, file=f"--set {key}"))
    return document, of_layers, problems


def _unused(of_layers: Mapping[str, dict[str, Any]], layers: Mapping[str, Layer]) -> list[Problem]:
    return [
        Problem(unknown_name("layer", name, list(layers)), file=f"--set layers.{name}.{key}")
        for name, values in of_layers.items()
        if name not in layers
        for key in values
    ]


def _params(document: Document, problems: list[Problem]) -> dict[str, Any]:
    """Return the value of each param; one may be an expression over those before it."""
    values: dict[str, Any] = {}
    for key, written in document.data.get("params", {}).items():
        values[key] = written
        try:
            values[key] = resolve(written, values)
        except ValueError as error:
            problems.append(document.problem(("params", key), str(error)))
        allowed = document.data.get("choices", {}).get(key)
        if allowed and values[key] not in allowed:
            problems.append(document.problem(("params", key), unknown("value", values[key], allowed)))
        if written is None:
            message = f"has no value: give it one with --set {key}=..."
            problems.append(document.problem(("params", key), message))
    return values


def _inputs(document: Document, values: Mapping[str, Any], problems: list[Problem]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for name, written in document.data["inputs"].items():
        try:
            sizes = resolve(written, values)
            shapes[name] = () if None in sizes and None in values.values() else _shape(sizes)
        except ValueError as error:
            problems.append(document.problem(("inputs", name), str(error)))
            shapes[name] = ()
    return shapes


def _shape(sizes: list[Any]) -> Shape:
    for size in sizes:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"expected positive integers, not {size!r} in {sizes}")
    if not sizes:
        raise ValueError("expected the shape of the tensor, not an empty list")
    return tuple(sizes)


LARGEST = {"elements": 2**56, "MACs": 2**59}
"""Of a layer: counts beyond are a slip, and do not fit the arithmetic of arrays. (Attention over 2^20 tokens, batch 64,
16 heads of 128, has 2^58 MACs.)"""


def _too_large(nodes: list[Node], layers: Mapping[str, Layer]) -> list[Problem]:
    found = []
    for node in nodes:
        elements = max(prod(shape) for shape in (*node.input_shapes, *node.output_shapes))
        for what, count in (("elements", elements), ("MACs", node.macs)):
            if count > LARGEST[what]:
                message = f"layer '{node.name}' ({node.op_name}): {count} {what} are more than {LARGEST[what]}"
                found.append(layers[node.name].problem(message))
                break
    return found


def _digest(inputs: Mapping[str, Shape], nodes: list[Node], layers: Mapping[str, Layer]) -> str:
    written = [[n.name, n.op_name, list(n.inputs), layers[n.name].parameters] for n in nodes]
    text = json.dumps([dict(inputs), written], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
