"""What a streaming run costs: FIFOs, memories behind ports, and multiplications, by the graph's energy table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sim import energy
from sim.dram.energy import costs as dram_costs
from sim.energy import Cost, Table
from sim.formats import PLAIN
from sim.streaming import simulate
from sim.streaming.graph import Graph, Unit
from sim.streaming.result import FIFOS, StreamResult
from sim.streaming.schema import load
from sim.streaming.sizing import bram18

Action = tuple[str, str]
Priced = tuple[Action, float, Cost]
"""An action, how often it happened, and what it costs once."""

SUMS = "int32"
"""The format in which products are added up."""


def stream(graph: Graph | str, overrides: Mapping[str, object] = {}, engine: str = "auto") -> StreamResult:
    """Return what happens in `graph` and what it costs; see `sim.streaming.simulate.simulate`."""
    made = load(graph, overrides) if isinstance(graph, str) else graph
    found = simulate.simulate(made, {} if isinstance(graph, str) else overrides, engine)
    found = replace(found, provenance={**found.provenance, "overrides": dict(overrides)})
    return priced(made, found)


def priced(graph: Graph, found: StreamResult) -> StreamResult:
    """Return the result with its energy; units whose work no figure prices are named in `not_modelled`."""
    table = energy.load(graph.technology)
    items = [*_fifos(table, found), *_memories(graph, table, found), *_products(graph, table)]
    counts, prices = dict[Action, float](), dict[Action, Cost]()
    for action, count, cost in items:  # FIFOs of many sizes are one action: their mean stands for each
        before = counts.get(action, 0.0) * prices[action].pj if action in prices else 0.0
        counts[action] = counts.get(action, 0.0) + count
        mean = (before + count * cost.pj) / counts[action] if counts[action] else cost.pj
        prices[action] = Cost(mean, cost.source, cost.derived)
    spent = energy.account(counts, prices, {}, 0.0)
    unpriced = [unit.name for unit in graph.units.values() if _works(unit) and _format(graph, unit) is None]
    missing = [{"what": "energy of what units compute", "where": unpriced, "affects": "energy"}] if unpriced else []
    return replace(found, not_modelled=tuple(missing), energy_pj={
        "total": spent.total_pj, "by_component": spent.by_component, "by_action": spent.by_action,
    })  # fmt: skip


def _fifos(table: Table, found: StreamResult) -> Iterator[Priced]:
    """Yield the writes and reads of each FIFO: of a memory of its size, or of registers where it is that small."""
    for channel in found.channels.values():
        words = channel.peak_occupancy if channel.depth is None else channel.depth + channel.buffer
        if bram18(words, channel.bits):
            sram = table.sram(words * channel.bits / 8, channel.bits)
            read, write = sram.read, sram.write
        else:
            read = write = table.register(channel.bits)
        yield (FIFOS, "write"), channel.tokens, write
        yield (FIFOS, "read"), channel.popped, read


def _memories(graph: Graph, table: Table, found: StreamResult) -> Iterator[Priced]:
    """Yield the bits that ports without DRAM moved, and the events of the DRAM behind the others."""
    for port in graph.ports.values():
        moved = found.traffic_bytes.get(port.name, {})
        if port.memory is None:
            for way, cost in zip(("read", "write"), table.dram(port.technology), strict=True):
                yield (port.name, way), 8 * sum(moved.get(way, {}).values()), cost
    for name, did in found.dram.items():
        device = graph.memories[name]
        price, bits = dram_costs(device), device.burst * 8
        clocks = found.stopped_at / graph.clock_hz * float(device.clock_hertz) * device.channels * device.ranks
        source = f"DRAM device {device.name}, by {device.spec.energy}"
        yield (name, "activate"), did["activates"], Cost(price.activate, source)
        yield (name, "read"), did["reads"] * bits, Cost(price.read / bits, source)
        yield (name, "write"), did["writes"] * bits, Cost(price.write / bits, source)
        yield (name, "refresh"), did["refreshes"], Cost(price.refresh, source)
        yield (name, "standby"), clocks, Cost(price.open_clock, source)


def _products(graph: Graph, table: Table) -> Iterator[Priced]:
    for unit in graph.units.values():
        number = _format(graph, unit)
        if unit.macs and number is not None:
            yield ("units", "mac"), unit.macs, table.mac(number, number, SUMS)


def _works(unit: Unit) -> bool:
    """Return whether a unit computes: those that only bring, take, copy or order tokens do not."""
    return unit.macs > 0 or unit.kind in ("map", "zip", "reduce", "scan", "flatmap")


def _format(graph: Graph, unit: Unit) -> str | None:
    """Return the format of a matrix-vector unit's elements; None where it has none that a table could price."""
    if not unit.macs:
        return None
    vector = next(c for c in unit.channels("pop", "read") if c in unit.holds or len(unit.channels("pop", "read")) == 1)
    name = f"int{graph.channels[vector].bits // max(1, unit.lanes)}"
    return name if name in PLAIN else None
