"""Which parts of a network are an attention that one plan can do, and what that plan is asked for."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from sim.arch import Arch
from sim.attention.mapping import LAYERS, choices
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError, Problem, unknown
from sim.graph import Node
from sim.kernel import Attention, Band
from sim.ops._attention import MaskedSoftmax, Scores, Values
from sim.ops._masks import Mask


@dataclass(frozen=True)
class Fused:
    """One attention: what it is called, the layers that it stands for, its work; or `why` it cannot be fused."""

    name: str
    parts: tuple[str, str, str]
    kernel: Attention | None
    why: str = ""


def attentions(nodes: Sequence[Node], arch: Arch, fuse: Container[str] = ()) -> Iterator[Fused]:
    """Yield the attentions among layers that `mapping.attention` wants fused; of those left open those in `fuse`.

    ConfigError where it names no mapping, or one that needs units that the chip has not.
    """
    for found in _all(nodes):
        if _wanted(arch, found.name, fuse):
            yield found


def left_open(nodes: Sequence[Node], arch: Arch) -> Iterator[Fused]:
    """Yield the attentions that may be fused or not: where it is left open, and lanes do the softmax of an array.

    Where something is fixed of their scores, softmax or values as layers, they stay layers.
    """
    array = arch.array
    able = array is not None and arch.vector is not None and arch.families == {"array"}
    if array is None or not able or array.in_place or DATAFLOWS[array.dataflow].passes:
        return
    for found in _all(nodes):
        fixed = any(fnmatchcase(part, pattern) and not fnmatchcase(found.name, pattern)
                    for part in found.parts for pattern in arch.mapping.layers)  # fmt: skip
        if found.kernel and not fixed and arch.mapping.of(found.name).attention == "auto":
            yield found


def _all(nodes: Sequence[Node]) -> Iterator[Fused]:
    for scores, softmax, values in zip(nodes, nodes[1:], nodes[2:], strict=False):
        found = (scores.op, softmax.op, values.op)
        if isinstance(found[0], Scores) and isinstance(found[1], MaskedSoftmax) and isinstance(found[2], Values):
            name, parts = scores.name.removesuffix(".scores"), (scores.name, softmax.name, values.name)
            why = _obstacle(found[1])
            yield Fused(name, parts, None if why else _kernel(name, scores, values), why)


def _wanted(arch: Arch, name: str, fuse: Container[str]) -> bool:
    chosen = arch.mapping.of(name).attention
    if chosen not in choices():
        raise ConfigError(Problem(unknown("attention mapping", chosen, choices()), key="mapping.attention"))
    if chosen == "auto":
        in_place = arch.array is not None and bool(arch.array.in_place) and arch.vector is not None
        return in_place or name in fuse
    if chosen != LAYERS and (arch.array is None or arch.vector is None):
        message = f"'{chosen}' needs a systolic array and a vector unit, '{arch.name}' has not both; choose {LAYERS}"
        raise ConfigError(Problem(message, key="mapping.attention"))
    return chosen != LAYERS


def _obstacle(softmax: MaskedSoftmax) -> str:
    if len(softmax.mask.axes) > 1:
        return "a window along several axes"
    return "a table of position biases" if softmax.bias_entries else ""


def _kernel(name: str, scores: Node, values: Node) -> Attention:
    op, queries = scores.op, scores.input_shapes[0]
    assert isinstance(op, Scores)  # the caller has looked
    shared = scores.inputs[1] == values.inputs[1]
    size = queries[2] // op.heads
    value = values.output_shapes[0][2] // op.heads
    return Attention(name, queries[0] * op.kv_heads, op.sharing * queries[1], op.mask.keys, size, value,
                     bands(op.mask) * op.sharing, shared)  # fmt: skip


def bands(mask: Mask) -> tuple[Band, ...]:
    """Return what the queries of a mask along one axis see; nothing where all see all."""
    (axis,) = mask.axes
    if axis.kind == "full":
        return ()
    starts, stops = axis.intervals()
    moves = np.stack([np.diff(starts), np.diff(stops)], axis=1)
    found, first = [], 0
    while first < axis.queries:
        step = moves[first] if first < len(moves) else (0, 0)
        other = np.flatnonzero((moves[first:] != step).any(axis=1))
        last = first + (int(other[0]) if other.size else len(moves) - first)
        begin, stop = int(starts[first]), int(stops[first])
        found.append(Band(last - first + 1, begin, stop, int(step[0]), int(step[1])))
        first = last + 1
    return tuple(found)
