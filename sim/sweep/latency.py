"""Latency tables for neural-architecture search: what each distinct layer of some networks takes on a chip, alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.errors import ConfigError, Problem
from sim.graph import Node
from sim.mapper import Trials
from sim.simulate import open_both, simulate

__all__ = ["Entry", "latency_table", "to_csv"]


@dataclass(frozen=True)
class Entry:
    """A distinct layer: operator, input and output shapes, other parameters, and what it takes alone."""

    op: str
    input_shapes: str
    output_shapes: str
    parameters: str
    cycles: int
    seconds: float
    energy_pj: float
    macs: int
    used_by: tuple[str, ...]
    """Networks and layers that have it, as network/layer."""


def latency_table(
    arch: str, workloads: Sequence[str], overrides: Mapping[str, Any] | None = None
) -> list[Entry]:
    """Return an Entry for each distinct layer of the networks, in their order.

    Each is simulated alone, with its inputs in memory and its outputs going there; what runs on a layer's tiles
    before they leave (fused activations) is part of it. Raises ConfigError where there is no network.
    """
    if not workloads:
        raise ConfigError(Problem("needs at least one workload"))
    trials, found = Trials(), dict[tuple[str, ...], Entry]()
    for workload in workloads:
        chip, graph, digests = open_both(arch, workload, overrides or {})
        whole = simulate(chip, graph, digests, trials=trials)
        nodes = {node.name: node for node in graph.expanded.nodes}
        for layer in whole.layers:
            place = f"{graph.name}/{layer.name}"
            node, *behind = [nodes[name] for name in (*_parts(layer.name, nodes), *layer.fused)]
            key = (*_words(node), *(" ".join(_words(each)) for each in behind))
            if key in found:
                known = found[key]
                found[key] = Entry(**{**vars(known), "used_by": (*known.used_by, place)})
                continue
            alone = simulate(chip, graph, digests, layers=_exactly(layer.name), trials=trials)
            op = "+".join(each.op_name for each in (node, *behind))
            found[key] = Entry(op, *_words(node)[1:], alone.cycles, alone.seconds, alone.energy_pj["total"],
                               alone.macs, (place,))  # fmt: skip
    return list(found.values())


def _parts(name: str, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """Return the operators that a layer is: its own, or those of an attention that one plan does."""
    return (name,) if name in nodes else tuple(f"{name}.{part}" for part in ("scores", "softmax", "values"))


def _exactly(name: str) -> str:
    """Return the shell pattern that matches one name alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _words(node: Node) -> tuple[str, str, str, str]:
    sides = (node.input_shapes, node.output_shapes)
    shapes = [";".join("x".join(map(str, shape)) for shape in side) for side in sides]
    parameters = " ".join(f"{k}={v}" for k, v in node.op.model_dump().items() if v is not None)
    return node.op_name, shapes[0], shapes[1], parameters


def to_csv(entries: Iterable[Entry]) -> str:
    """Return the table as CSV, a line a distinct layer."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(Entry.__dataclass_fields__)
    writer.writerow(names)
    for entry in entries:
        writer.writerow([" ".join(v) if isinstance(v := getattr(entry, n), tuple) else v for n in names])
    return out.getvalue()
