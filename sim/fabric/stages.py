"""A layer as a stage of a pipeline: tokens in, work on each token, tokens out. No time and no width yet.

A token is all channels of one position of a tensor. Tensors flow token by token, image after image; a stage that
needs other tokens than its producer makes (a flattened image, heads of attention) waits for the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product
from math import ceil, gcd, prod
from typing import Literal

from sim.graph import Graph, Node
from sim.kernel import Axis, Contraction, VectorWork
from sim.layers import Lowered, Task
from sim.ops.pool import Pool

Flow = Literal["stream", "window", "whole"]
"""How a stage takes an input: a token a firing, through a line buffer, or all of an image before it begins."""


@dataclass(frozen=True)
class Source:
    """An input of a stage: the tensor, its tokens an image, the elements of a token, how it is taken, and as what.

    `operand` is "kv" for what is there from earlier steps, as the cache of keys; it comes from off chip.
    """

    tensor: str
    tokens: int
    width: int
    flow: Flow
    operand: str = "input"


@dataclass(frozen=True)
class Product:
    """A contraction an image: `rows` vectors of `depth` inputs each by a matrix of `columns`, `groups` in one."""

    rows: int
    depth: int
    columns: int
    groups: int
    stored: bool
    """Whether the matrix is trained; else it is another activation."""


@dataclass(frozen=True)
class Stage:
    """What a layer does with one image. `tokens` of `width` elements come out.

    `products` are its contractions, `elements` the elements that its lanes go through where it has none,
    `operations` the lane operations an element (of the output, where there are products), fused ones included.
    """

    task: Task
    sources: tuple[Source, ...]
    tokens: int
    width: int
    products: tuple[Product, ...] = ()
    elements: int = 0
    operations: int = 0
    axes: tuple[Axis, ...] = ()

    @property
    def name(self) -> str:
        """The layer."""
        return self.task.name

    @property
    def macs(self) -> int:
        """Multiply-accumulates an image, padding and hidden ones included."""
        return sum(p.rows * p.depth * p.columns * p.groups for p in self.products)

    @property
    def matrix(self) -> int:
        """Elements of the trained matrices."""
        return sum(p.depth * p.columns * p.groups for p in self.products if p.stored)

    @property
    def vectors(self) -> int:
        """Vectors that go through the matrix for an image."""
        return self.products[0].rows if self.products else self.tokens


@lru_cache(maxsize=1024)
def windows(axes: tuple[Axis, ...]) -> tuple[tuple[int, int], ...]:
    """Return for each window the first token that it or a later one needs, and the last that it waits for."""
    strides = [prod(axis.size for axis in axes[i + 1 :]) for i in range(len(axes))]
    ends = [[_reach(axis, at) for at in range(axis.out)] for axis in axes]
    own = [
        [sum(end[side] * step for end, step in zip(place, strides, strict=True)) for side in (0, 1)]
        for place in product(*ends)
    ]
    firsts = list(accumulate((first for first, _ in reversed(own)), min))[::-1]
    return tuple(zip(firsts, accumulate((last for _, last in own), max), strict=True))


def _reach(axis: Axis, at: int) -> tuple[int, int]:
    """Return the first and the last input that output `at` reads; the nearest one where it reads padding alone."""
    begin = at * axis.stride - axis.pad
    end = begin + (axis.kernel - 1) * axis.dilation
    return min(max(begin, 0), axis.size - 1), max(min(end, axis.size - 1), 0)


def frames(graph: Graph, lowered: Lowered) -> int:
    """Return into how many images, all alike, the network's run falls: the batch that every tensor has."""
    heads = [shape[0] for shape in graph.inputs.values()]
    counts = [_tokens_out(task, node) for task, node in _nodes(graph, lowered)]
    return gcd(*heads, *counts)


def stages(graph: Graph, lowered: Lowered) -> list[Stage]:
    """Return every layer as the stage that it is for one image, in order."""
    images, made = frames(graph, lowered), dict[str, int]()
    found = []
    for task, node in _nodes(graph, lowered):
        stage = _stage(task, node, images, made, graph)
        made[task.writes] = stage.tokens
        found.append(stage)
    return found


def _nodes(graph: Graph, lowered: Lowered) -> list[tuple[Task, Node]]:
    nodes = {node.name: node for node in graph.expanded.nodes}
    return [(task, nodes[task.name]) for task in lowered.tasks]


def _tokens_out(task: Task, node: Node) -> int:
    kernel = task.kernels[0]
    if isinstance(kernel, Contraction) and len(task.kernels) == 1:
        return kernel.m if kernel.right_is == "weight" else kernel.m * kernel.groups
    return _positions(node.output_shapes[0])


def _positions(shape: Sequence[int]) -> int:
    """Return the positions of a tensor: (batch, channels, *spatial) from four axes on, else (..., features)."""
    return shape[0] * prod(shape[2:]) if len(shape) > 3 else prod(shape[:-1])


def _stage(task: Task, node: Node, images: int, made: Mapping[str, int], graph: Graph) -> Stage:
    lanes = [k for k in (*task.kernels, *task.epilogue) if isinstance(k, VectorWork)]
    products = tuple(_product(k, images) for k in task.kernels if isinstance(k, Contraction))
    tensors = list(dict.fromkeys(tensor for _, tensor in task.reads))
    tokens = _tokens_out(task, node) // images
    if not products and _is_tokenwise(node):
        tokens = max((made[t] for t in tensors if t in made), default=tokens)
    size = task.elements // images
    tokens = tokens if tokens and size % tokens == 0 else 1
    elements = 0 if products else _elements(task, node, size, images)
    work = sum(count for k in lanes for _, count in k.operations)
    axes = _axes(task, node)
    sources = tuple(_source(t, task, node, tokens, axes, images, made, graph) for t in tensors)
    sources += tuple(_states(node, images))
    return Stage(task, sources, tokens, size // tokens, products, elements,
                 ceil(work / images / max(1, elements or size)), axes)  # fmt: skip


def _is_tokenwise(node: Node) -> bool:
    return node.op.tokenwise or node.op.fusible


def _product(kernel: Contraction, images: int) -> Product:
    """Return the product of one image; where images do not part its rows, they part its groups."""
    rows, groups = kernel.m, kernel.groups
    if rows % images == 0:
        rows //= images
    elif groups % images == 0:
        groups //= images
    return Product(rows, kernel.k, kernel.n, groups, kernel.right_is == "weight")


def _elements(task: Task, node: Node, size: int, images: int) -> int:
    """Return the elements that lanes go through for an image: the larger of what comes in and what goes out."""
    taps = prod(axis.kernel for axis in _axes(task, node))
    read = max((count // images for k in task.kernels if isinstance(k, VectorWork) for count in k.inputs), default=0)
    return max(size * taps, 0 if taps > 1 else read, 1)


def _axes(task: Task, node: Node) -> tuple[Axis, ...]:
    """Return the window of a layer that has one; a window of a single tap without stride or padding is none."""
    kernel = task.kernels[0]
    if isinstance(kernel, Contraction):
        axes = kernel.axes if len(task.kernels) == 1 else ()
    else:
        axes = node.op.axes(node.input_shapes[0]) if isinstance(node.op, Pool) else ()
    return axes if any(a.kernel > 1 or a.size != a.out for a in axes) else ()


def _source(tensor: str, task: Task, node: Node, tokens: int, axes: tuple[Axis, ...], images: int,
            made: Mapping[str, int], graph: Graph) -> Source:  # fmt: skip
    """Return an input; one from off chip comes in the tokens that the stage wants, where they divide it."""
    wanted = prod(axis.size for axis in axes) if axes else tokens
    elements = _elements_of(tensor, node, graph) // images
    kernel = task.kernels[0]
    moving = isinstance(kernel, VectorWork) and not _is_tokenwise(node) and not axes
    right = isinstance(kernel, Contraction) and kernel.right_is != "weight"
    late = right and tensor != task.reads[0][1]
    count = made.get(tensor, wanted if elements % wanted == 0 else 1)
    width = max(1, elements // count)
    if count != wanted or moving or late or len(task.kernels) > 1:
        return Source(tensor, count, width, "whole")
    return Source(tensor, count, width, "window" if axes else "stream")


def _states(node: Node, images: int) -> Iterator[Source]:
    """Yield what a layer reads of earlier steps, a cache or a recurrent state: all of an image's before it begins."""
    for name, shape in node.op.state_shapes(node.input_shapes).items():
        elements, rows = prod(shape) // images, prod(shape[:-1])
        if elements:
            tokens = rows // images if rows % images == 0 else 1
            yield Source(f"{node.name}.{name}", tokens, elements // tokens, "whole", "kv")


def _elements_of(tensor: str, node: Node, graph: Graph) -> int:
    shapes = graph.expanded.tensors
    return prod(shapes[tensor]) if tensor in shapes else sum(prod(shape) for shape in node.input_shapes)
