"""A streaming graph as text: what its params are, what units do, what channels hold, where ports lead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sim.report.table import Column, pairs, table, wrap
from sim.streaming.graph import Graph, Unit
from sim.units import show_si

UNITS = (
    Column("unit", right=False), Column("kind", right=False), Column("firings"), Column("interval"), Column("latency"),
    Column("a round: firings and what each does", right=False, spare=1),
)  # fmt: skip
CHANNELS = (
    Column("channel", right=False), Column("from", right=False), Column("to", right=False), Column("tokens"),
    Column("depth"), Column("bits"), Column("initial"), Column("send"), Column("credit"),
)  # fmt: skip
ROUND = 3
"""Phases of a unit that are told."""


def graph_text(graph: Graph, width: int) -> str:
    """Return what `show` prints of a graph, in lines of `width` characters where names allow it."""
    return "\n".join([
        wrap(f"{graph.name}: {graph.title}" if graph.title else graph.name, width),
        pairs(_facts(graph), width),
        table(UNITS, (_unit(unit) for unit in graph.units.values()), width),
        table(CHANNELS, _channels(graph), width),
    ])  # fmt: skip


def _facts(graph: Graph) -> Iterator[tuple[str, str]]:
    yield from ((name, f"{value:,}") for name, value in graph.params.items())
    yield "clock", show_si(graph.clock_hz, "Hz")
    yield "technology", graph.technology
    for port in graph.ports.values():
        behind = f"DRAM {port.memory}" if port.memory else f"no memory of its own, energy of {port.technology}"
        yield f"port {port.name}", (f"read latency {port.read_latency}, write latency {port.write_latency}, "
                                    f"{port.outstanding} bursts outstanding; behind it {behind}")  # fmt: skip
    for name, device in graph.memories.items():
        yield f"memory {name}", f"{device.name}, {device.channels} channels, {show_si(device.peak_bandwidth, 'B/s')}"


def _unit(unit: Unit) -> list[str]:
    interval = max(phase.interval for phase in unit.phases)
    return [unit.name, unit.kind, f"{unit.firings:,}", f"{interval:,}", f"{unit.latency:,}", _round(unit)]


def _round(unit: Unit) -> str:
    if unit.dynamic:
        return "as values say"
    told = []
    for phase in unit.phases[:ROUND]:
        by_verb = groupby(phase.ops, lambda op: op.verb)
        does = "; ".join(f"{verb} {', '.join(op.channel for op in ops)}" for verb, ops in by_verb)
        told.append(f"{phase.count:,} x {does}")
    more = f" | {len(unit.phases) - ROUND:,} more" if len(unit.phases) > ROUND else ""
    return " | ".join(told) + more


def _channels(graph: Graph) -> Iterator[list[str]]:
    for maker, taker, channel in graph.edges():
        buffer = graph.buffer(channel.name)
        depth = "unbounded" if channel.depth is None else f"{channel.depth:,}" + (f" + {buffer:,}" if buffer else "")
        numbers = (channel.bits, channel.initial, channel.latency, channel.credit)
        yield [channel.name, maker, taker, f"{graph.tokens[channel.name]:,}", depth, *map(str, numbers)]
