"""An ONNX model as a workload, with a report of what is covered and what is not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.errors import ConfigError, Problem
from sim.importers.document import Report, to_yaml, write
from sim.importers.onnx_model import Model, OnnxNode, read_model
from sim.importers.onnx_operators import CONVERTERS, Context, Made, Unmodelled
from sim.workload import load


def import_onnx(path: str | Path, out: str | Path, sizes: Mapping[str, int] | None = None) -> Report:
    """Write the ONNX model in `path` as a workload to the YAML file `out`, and report on it.

    `sizes` gives the open dimensions by name. What does not depend on an input is folded away; a node that no
    operator expresses stands in the network without work, and is named in every result. Raises ConfigError
    where the file is no model, a dimension is open, or what was written does not have the model's shapes;
    TiletickError where the package onnx is missing.
    """
    source, target = Path(path), Path(out)
    if target.suffix not in (".yaml", ".yml"):
        raise ConfigError(Problem("must end in .yaml", file=str(target)))
    model = read_model(source, sizes or {})
    network = _Network(model, target.stem)
    notes = network.notes()
    text = to_yaml(network.data, notes)
    write(network.data, target, notes)
    graph = load(str(target))
    _same_shapes(network, graph.tensors, str(source))
    counts = network.counts | {"parameters": graph.parameters, "macs": graph.macs}
    return Report("workload", source, target, text, tuple(notes), counts, tuple(network.reasons))


def _same_shapes(network: _Network, found: Mapping[str, Any], file: str) -> None:
    problems = [
        Problem(f"'{tensor}' has the shape {shape} in the model and {found[name]} here", file)
        for tensor, name in network.tensors.items()
        if (shape := network.model.shapes.get(tensor)) is not None and shape and found[name] != shape
    ]
    if problems:
        raise ConfigError(*problems)


class _Network:
    """Builds the workload's document node by node."""

    def __init__(self, model: Model, name: str) -> None:
        self.model = model
        self.tensors: dict[str, str] = {}
        self.layers: list[dict[str, Any]] = []
        self.unmodelled: dict[str, list[str]] = {}
        self.reasons: list[str] = []
        self.constant = set(model.stored)
        self.folded = 0
        self.names: set[str] = set()
        self.inputs = {self._name(tensor): list(shape) for tensor, shape in model.inputs.items()}
        self.tensors = dict(zip(model.inputs, self.inputs, strict=True))
        for node in model.nodes:
            self._node(node)
        self.data: dict[str, Any] = {
            "name": name, "title": name, "source": f"an ONNX model made by {model.producer}",
            "inputs": self.inputs, "layers": self.layers,
        }  # fmt: skip
        if self.unmodelled:
            self.data["not_modelled"] = [{"what": kind, "where": where} for kind, where in self.unmodelled.items()]

    @property
    def counts(self) -> dict[str, int]:
        """What there is of each kind of node."""
        missing = sum(map(len, self.unmodelled.values()))
        return {"nodes": len(self.model.nodes), "folded": self.folded, "not_modelled": missing}

    def notes(self) -> list[str]:
        """Return what a reader must know."""
        return [f"Not modelled, no work and no time: {reason}" for reason in self.reasons]

    def _name(self, text: str) -> str:
        base = re.sub(r"[^\w-]+", "_", text).strip("_") or "node"
        name, number = base, 1
        while name in self.names:
            number += 1
            name = f"{base}_{number}"
        self.names.add(name)
        return name

    def _node(self, node: OnnxNode) -> None:
        reads = [name for name in node.inputs if name]
        if node.kind == "Shape" or all(name in self.constant for name in reads):
            self.constant.update(node.outputs)
            self.folded += 1
            return
        if self._is_bias(node):
            return
        name = self._name(node.name)
        context = Context(self.model, node, frozenset(self.constant))
        try:
            if node.kind not in CONVERTERS:
                raise Unmodelled("no such operator here")
            made = CONVERTERS[node.kind](context)
        except Unmodelled as reason:
            made = self._opaque(context, name, str(reason))
        sources = [self.tensors[tensor] for tensor in made.inputs]
        self.layers.append({"name": name, "op": made.op, "in": sources, **made.parameters})
        outputs = [output for output in node.outputs if output]
        several = len(outputs) > 1 and made.op == "split"
        self.tensors |= {t: f"{name}.{i}" if several else name for i, t in enumerate(outputs)}

    def _is_bias(self, node: OnnxNode) -> bool:
        """Take an addition of a constant vector behind a linear layer into that layer."""
        moving = [name for name in node.inputs if name not in self.constant]
        if node.kind != "Add" or len(moving) != 1 or not self.layers or self.model.uses(moving[0]) != 1:
            return False
        (stored,) = (name for name in node.inputs if name in self.constant)
        layer = next((each for each in self.layers if each["name"] == self.tensors[moving[0]]), {})
        if layer.get("op") != "linear" or layer["bias"] or self.model.shapes.get(stored) != (layer["features"],):
            return False
        layer["bias"] = True
        self.tensors[node.outputs[0]] = layer["name"]
        return True

    def _opaque(self, context: Context, name: str, reason: str) -> Made:
        node = context.node
        moving = tuple(tensor for tensor in node.inputs if tensor in self.tensors)
        if node.outputs[0] not in self.model.shapes:
            raise ConfigError(Problem(f"node '{node.name}' ({node.kind}) is not modelled, and its shape is not known"))
        self.unmodelled.setdefault(node.kind, []).append(name)
        self.reasons.append(f"{node.kind} '{node.name}': {reason}")
        return Made("opaque", moving, {"shape": list(context.output)})
