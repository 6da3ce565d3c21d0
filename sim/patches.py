"""The first layers of a network patch by patch: each patch alone from the image to the end of the stage.

No map of the stage is ever whole, so its memory is that of a patch. What neighbouring patches both need is computed
in each (the halo). Source: Lin et al., MCUNetV2: memory-efficient patch-based inference for tiny deep learning,
NeurIPS 2021; fused layers before it: Alwani et al., MICRO 2016.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from sim.errors import unknown
from sim.graph import Graph, Node
from sim.op import OPS, Op, Shape
from sim.yamlfile import Strict

Span = tuple[int, int]
"""First element along an axis, and the one behind the last."""
Box = tuple[Span, Span]


class Patches(Strict):
    """Which layers run patch by patch, and in how many patches; values may be expressions of the params."""

    until: str = Field(description="the last layer of the stage; its output is put together from the patches")
    rows: Any = Field(description="patches below each other")
    columns: Any = Field(description="patches beside each other")


def patched(graph: Graph, until: str, rows: int, columns: int) -> Graph:
    """Return the network with all that `until` needs written out patch by patch, and what is behind it as it was.

    Layers of a patch are called `patch.ROW.COLUMN.` and their own name; those of all patches have their weights in
    common (`Node.shares`). The numbers that it computes are those of the network. Raises ValueError, in the user's
    words, where there is no such layer, or the stage has a layer that cannot be cut.
    """
    stage = _Stage.of(graph, until)
    height, width = stage.nodes[-1].output_shapes[0][2:]
    for count, size, what in ((rows, height, "rows"), (columns, width, "columns")):
        if type(count) is not int or not 0 < count <= size:
            raise ValueError(f"{count} {what} of patches: '{until}' can be cut into 1 to {size}")
    boxes = [(down, across) for down in _parts(height, rows) for across in _parts(width, columns)]
    nodes, parts = list[Node](), list[str]()
    for index, box in enumerate(boxes):
        patch = _Patch(stage, f"patch.{index // columns}.{index % columns}.", "patch.0.0." if index else "")
        parts.append(patch.build(box))
        nodes += patch.nodes
    shapes = tuple(node.output_shapes[0] for node in nodes if node.name in parts)
    join = OPS["mosaic"](columns=columns)  # type: ignore[call-arg]
    last = stage.nodes[-1].outputs[0]
    nodes.append(Node(f"{until}.patches", "mosaic", join, tuple(parts), (last,), shapes, join.infer(shapes)))
    rest = [node for node in graph.nodes if node.name not in {one.name for one in stage.nodes}]
    digest = hashlib.sha256(f"{graph.digest} {until} {rows} {columns}".encode()).hexdigest()
    return replace(graph, nodes=(*nodes, *rest), digest=digest)


def _parts(size: int, count: int) -> list[Span]:
    return [(size * index // count, size * (index + 1) // count) for index in range(count)]


@dataclass(frozen=True)
class _Stage:
    """The layers that run patch by patch, and the image that they read."""

    nodes: tuple[Node, ...]
    image: str
    shapes: Mapping[str, Shape]

    @classmethod
    def of(cls, graph: Graph, until: str) -> _Stage:
        """Return all that `until` needs; ValueError where it cannot be cut."""
        by_name = {node.name: node for node in graph.nodes}
        if until not in by_name:
            raise ValueError(unknown("layer", until, list(by_name)))
        needed, nodes = set(by_name[until].outputs), list[Node]()
        for node in reversed(graph.nodes):
            if needed & set(node.outputs):
                needed |= set(node.inputs)
                nodes.append(node)
        nodes.reverse()
        images = [name for name in graph.inputs if name in needed]
        if len(images) != 1:
            raise ValueError(f"'{until}' reads {' and '.join(images) or 'no input'}; patches are of one image")
        own = {node.name for node in nodes}
        for node in nodes:
            _check(node)
            readers = [one.name for one in graph.nodes if one.name not in own and set(node.outputs) & set(one.inputs)]
            if node.name != until and readers:
                raise ValueError(f"'{node.name}' is read behind '{until}' too, by '{readers[0]}'; choose a later layer")
        return cls(tuple(nodes), images[0], graph.tensors)


def _check(node: Node) -> None:
    """Raise ValueError where a layer cannot be cut into patches."""
    spatial = all(len(shape) == 4 for shape in (*node.input_shapes, *node.output_shapes))
    same = all(shape[2:] == node.output_shapes[0][2:] for shape in node.input_shapes)
    if not spatial or len(node.outputs) > 1 or not (_windowed(node) or (_elementwise(node.op) and same)):
        told = "convolutions over two axes and what works element by element can be cut into patches"
        raise ValueError(f"'{node.name}' ({node.op_name}) cannot: {told}")


def _windowed(node: Node) -> bool:
    return node.op_name == "conv2d"


def _elementwise(op: Op) -> bool:
    return op.fusible or op.tokenwise


@dataclass
class _Patch:
    """Builds the layers of one patch."""

    stage: _Stage
    prefix: str
    shares: str
    nodes: list[Node] = field(default_factory=list)
    made: dict[str, tuple[str, Box]] = field(default_factory=dict)
    """Tensors of the network, to those of the patch and what part of them they are."""

    def build(self, box: Box) -> str:
        """Add all layers that make `box` of the stage's output; return the tensor that is that."""
        needs = self._needs(box)
        for node in self.stage.nodes:
            mine = needs[node.outputs[0]]
            self._add(node, mine, [needed for _, needed in _reads(node, mine)])
        return self.made[self.stage.nodes[-1].outputs[0]][0]

    def _needs(self, box: Box) -> dict[str, Box]:
        """Return what is needed of each tensor: the least box with all that its readers need."""
        needs = {self.stage.nodes[-1].outputs[0]: box}
        for node in reversed(self.stage.nodes):
            for tensor, mine in _reads(node, needs[node.outputs[0]]):
                needs[tensor] = _joined(needs.get(tensor, mine), mine)
        return needs

    def _add(self, node: Node, box: Box, reads: Sequence[Box]) -> None:
        inputs = [self._part(tensor, mine) for tensor, mine in zip(node.inputs, reads, strict=True)]
        op, name = node.op, self.prefix + node.name
        if _windowed(node):
            sides = zip(node.kernels[0].axes, box, reads[0], strict=True)  # type: ignore[union-attr]
            op = op.model_copy(update={"pad": tuple(_padding(*side) for side in sides)})
        shapes = tuple(shape for _, shape in inputs)
        made = op.infer(shapes)
        shares = self.shares + node.name if self.shares else ""
        names = tuple(tensor for tensor, _ in inputs)
        self.nodes.append(Node(name, node.op_name, op, names, (name,), shapes, made, shares))
        self.made[node.outputs[0]] = name, box

    def _part(self, tensor: str, box: Box) -> tuple[str, Shape]:
        """Return the tensor that is `box` of a tensor of the network, and its shape; cut out where it is a part."""
        whole = self.stage.shapes[tensor]
        source, there = self.made.get(tensor, (tensor, ((0, whole[2]), (0, whole[3]))))
        held = (*whole[:2], *(stop - start for start, stop in there))
        if there == box:
            return source, held
        cut = tuple((start - first, stop - start) for (start, stop), (first, _) in zip(box, there, strict=True))
        window = OPS["window"](box=cut)  # type: ignore[call-arg]
        number = sum(node.op_name == "window" for node in self.nodes)
        name, made = f"{self.prefix}window.{number}", window.infer([held])
        self.nodes.append(Node(name, "window", window, (source,), (name,), (held,), made))
        return name, made[0]


def _reads(node: Node, box: Box) -> Iterator[tuple[str, Box]]:
    """Yield what a layer reads of each input to make `box` of its output."""
    if not _windowed(node):
        yield from ((tensor, box) for tensor in node.inputs)
        return
    found = list[Span]()
    for axis, (start, stop) in zip(node.kernels[0].axes, box, strict=True):  # type: ignore[union-attr]
        first = start * axis.stride - axis.pad
        last = (stop - 1) * axis.stride - axis.pad + (axis.kernel - 1) * axis.dilation
        if last < 0 or first >= axis.size:
            raise ValueError(f"a patch of '{node.name}' would see nothing but padding; choose fewer patches")
        found.append((max(first, 0), min(last, axis.size - 1) + 1))
    yield node.inputs[0], (found[0], found[1])


def _padding(axis: Any, made: Span, read: Span) -> Span:
    """Return the zeros before and behind what is `read` to make `made` along an axis."""
    before = read[0] - (made[0] * axis.stride - axis.pad)
    reach = (made[1] - made[0] - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1
    return before, max(0, reach - before - (read[1] - read[0]))


def _joined(one: Box, other: Box) -> Box:
    down, across = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, other, strict=True))
    return down, across
