"""A network as the rest of the package sees it: named operators in an executable order, and their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PlainValidator

from sim import display
from sim.errors import TiletickError
from sim.kernel import Kernel
from sim.op import Array, Compound, Op, Shape, random_integers
from sim.yamlfile import Strict

Weights = dict[str, dict[str, Array]]
"""Layer name, then parameter name, to its values."""


def _figure(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _ROUNDED.fullmatch(value):
        return value
    raise ValueError(f"expected a whole number, or a rounded one as '4.1 G', not {value}")


_ROUNDED = re.compile(r"\d+(\.\d+)? [kMGT]")
Figure = Annotated[int | str, PlainValidator(_figure)]


class Published(Strict):
    """What the network's authors or a named implementation state; a string is rounded, as '4.1 G'."""

    parameters: Figure | None = Field(None, description="trained parameters: exact, or rounded as 4.1 G")
    macs: Figure | None = Field(
        None, description="multiply-accumulates of conv, linear layers and attention: exact, or rounded as 4.1 G"
    )
    macs_at: dict[str, Any] = Field({}, description="params at which the MACs are stated, where not the file's own")
    kv_bytes_per_token: int | None = Field(None, description="growth of the KV cache with a token, in bf16")
    source: str = Field("", description="who states it")


class NotModelled(Strict):
    """Something that a file names and that no operator expresses, such as sparsity."""

    what: str = Field(description="what is left out")
    where: list[str] = Field(description="the layers that have it")


@dataclass(frozen=True)
class Node:
    """One layer: an operator, the tensors it reads and makes, and their shapes."""

    name: str
    op_name: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    shares: str = ""
    """The layer whose weights it uses, where it has none of its own."""

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The work of this layer, in order."""
        return self.op.kernels(self.input_shapes)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of this layer."""
        return self.op.macs(self.input_shapes)

    @cached_property
    def parameters(self) -> int:
        """Trained parameters of this layer; none where it shares those of another."""
        return 0 if self.shares else self.op.parameters(self.input_shapes)


def expand(node: Node) -> tuple[Node, ...]:
    """Return the parts of a compound operator as layers of their own, down to operators without parts."""
    op = node.op
    if not isinstance(op, Compound):
        return (node,)
    names: dict[int | str, str] = dict(enumerate(node.inputs))
    shapes = op.shapes(node.input_shapes)
    found = list[Node]()
    for index, (part, read, made) in enumerate(shapes):
        full = f"{node.name}.{part.name}"
        several = tuple(f"{full}.{i}" for i in range(len(made))) if len(made) > 1 else (full,)
        outputs = node.outputs if index == len(shapes) - 1 else several
        names.update({part.name: outputs[0]} | {f"{part.name}.{i}": tensor for i, tensor in enumerate(outputs)})
        inputs = tuple(names[name] for name in part.inputs)
        found += expand(Node(full, part.op_name, part.op, inputs, outputs, read, made))
    return tuple(found)


@dataclass(frozen=True, repr=False)
class Graph:
    """A network. `nodes` are in an order in which every tensor is made before it is read."""

    name: str
    inputs: Mapping[str, Shape]
    nodes: tuple[Node, ...]
    digest: str
    """SHA-256 of the resolved layers: equal digests are equal networks, however they were written."""
    title: str = ""
    source: str = ""
    published: Published = field(default_factory=Published)
    not_modelled: tuple[dict[str, Any], ...] = ()
    """What the file says that no operator expresses: `what`, and `where` (layer names)."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The values that the file's `params` ended up with."""

    def __repr__(self) -> str:
        layers = "1 layer" if len(self.nodes) == 1 else f"{len(self.nodes)} layers"
        return f"<Graph: {self.name}, {layers}, {self.macs:,} MACs, {self.parameters:,} parameters>"

    def _repr_html_(self) -> str:
        """Return the network as a table of its layers."""
        rows = [
            (node.name, node.op_name, "; ".join("x".join(map(str, shape)) for shape in node.output_shapes),
             f"{node.macs:,}", f"{node.parameters:,}")
            for node in self.nodes
        ]  # fmt: skip
        figures = [(f"{len(self.nodes)}", "layers"), (f"{self.macs:,}", "MACs"), (f"{self.parameters:,}", "parameters")]
        heads = ("layer", "op", "output", "MACs", "parameters")
        return display.card(self.title or self.name, figures, display.table(heads, rows))

    @cached_property
    def tensors(self) -> dict[str, Shape]:
        """Every tensor by name, the inputs first, to its shape."""
        made = {t: s for node in self.nodes for t, s in zip(node.outputs, node.output_shapes, strict=True)}
        return {**self.inputs, **made}

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that no layer reads, in the order in which they are made."""
        read = {tensor for node in self.nodes for tensor in node.inputs}
        return tuple(tensor for tensor in self.tensors if tensor not in read)

    @cached_property
    def parameters(self) -> int:
        """Trained parameters of the whole network."""
        return sum(node.parameters for node in self.nodes)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network: convolutions, linear layers and matrix products."""
        return sum(node.macs for node in self.nodes)

    @cached_property
    def expanded(self) -> Graph:
        """The same network with every compound operator written out as its parts, named `layer.part`."""
        nodes = tuple(part for node in self.nodes for part in expand(node))
        return self if len(nodes) == len(self.nodes) else replace(self, nodes=nodes)

    @cached_property
    def cache_elements(self) -> int:
        """Elements that the KV cache grows by with every token of a sequence, over all layers."""
        return sum(node.op.cache_elements(node.input_shapes) for node in self.nodes)

    @cached_property
    def active_parameters(self) -> int:
        """Trained parameters that one run reads: of a mixture of experts those with a token, of a table its rows."""
        return sum(node.op.active_parameters(node.input_shapes) for node in self.expanded.nodes)

    def random_weights(self, seed: int = 0) -> Weights:
        """Return small integer weights (and state) for every layer that has any; the same seed, the same weights."""
        seeds = np.random.SeedSequence(seed).generate_state(len(self.nodes) or 1)
        weights: Weights = {}
        for index, node in enumerate(self.nodes):
            if node.shares:
                continue
            shapes = node.op.weight_shapes(node.input_shapes) | node.op.state_shapes(node.input_shapes)
            for offset, (name, shape) in enumerate(shapes.items()):
                values = random_integers(shape, int(seeds[index]) + offset)
                weights.setdefault(node.name, {})[name] = values
        return weights

    def evaluate(self, inputs: Mapping[str, Array], weights: Weights) -> dict[str, Array]:
        """Return every tensor by name, computed layer by layer with the operators' numpy references.

        `inputs` holds an array of the stated shape for each of the graph's inputs, else TiletickError.
        """
        given = {name: array.shape for name, array in inputs.items()}
        if given != dict(self.inputs):
            raise TiletickError(f"'{self.name}' takes the inputs {dict(self.inputs)}, not {given}")
        tensors = dict(inputs)
        for node in self.nodes:
            arguments = [tensors[name] for name in node.inputs]
            results = node.op.reference(arguments, weights.get(node.shares or node.name, {}))
            tensors.update(zip(node.outputs, results, strict=True))
        return tensors
