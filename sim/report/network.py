"""A network as text: inputs, layers with shapes, and its totals beside what its authors published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.graph import Graph, Node
from sim.op import Shape
from sim.report.table import Column, pairs, table, wrap

COLUMNS = (
    Column("layer", right=False),
    Column("op", right=False),
    Column("input", spare=1),
    Column("output"),
    Column("MACs"),
    Column("parameters"),
)


def network_text(graph: Graph, width: int) -> str:
    """Return what `show` prints of a network."""
    about = [("inputs", "; ".join(f"{name} {_size(shape)}" for name, shape in graph.inputs.items()))]
    about += [("keys", ", ".join(f"{key}={value}" for key, value in graph.params.items()))] if graph.params else []
    about += [("source", graph.source)] if graph.source else []
    head = wrap(f"{graph.name}: {graph.title}" if graph.title else graph.name, width) + pairs(about, width)
    return "\n".join([head, table(COLUMNS, map(_row, graph.nodes), width), pairs(_totals(graph), width)])


def _row(node: Node) -> Sequence[str]:
    return (
        node.name, node.op_name, _sizes(node.input_shapes), _sizes(node.output_shapes),
        f"{node.macs:,}" if node.macs else "-", f"{node.parameters:,}" if node.parameters else "-",
    )  # fmt: skip


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _sizes(shapes: Iterable[Shape]) -> str:
    """Write shapes, equal ones once with their number: 2 of 1x64x56x56."""
    found = [_size(shape) for shape in shapes]
    times = ((found.count(shape), shape) for shape in dict.fromkeys(found))
    return ", ".join(shape if count == 1 else f"{count} of {shape}" for count, shape in times)


def _totals(graph: Graph) -> list[tuple[str, str]]:
    published = graph.published
    lines = [
        ("MACs", f"{graph.macs:,}" + _beside(published.macs, published.macs_at)),
        ("parameters", f"{graph.parameters:,}" + _beside(published.parameters)),
    ]
    if graph.cache_elements:
        size = f"{2 * graph.cache_elements:,} B a token in bf16" + _beside(published.kv_bytes_per_token)
        lines.append(("KV cache", size))
    return [*lines, ("published", published.source)] if published.source else lines


def _beside(figure: int | str | None, at: Mapping[str, Any] = {}) -> str:
    """Write the published figure, and the params that it is stated for where they are not those of the file."""
    if figure is None:
        return ""
    params = f" at {', '.join(f'{key}={value}' for key, value in at.items())}" if at else ""
    return f" (published: {figure:,}{params})" if isinstance(figure, int) else f" (published: {figure}{params})"
