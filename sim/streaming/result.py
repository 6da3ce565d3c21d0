"""What a streaming run found, frozen, in the words of the accounting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sim.streaming.deadlock import Deadlock
from sim.streaming.graph import Graph
from sim.streaming.net import Net
from sim.streaming.outcome import Outcome
from sim.version import __version__

FIFOS = "fifos"
"""All FIFOs together, as `traffic_bytes` and the energy name them."""
TOKEN = "token"
"""Whose bytes those are in FIFOs: nothing says what a token holds."""
SCHEMA = "tiletick.stream/1"
CAUSES = (
    "compute", "fill", "drain", "wait_input", "wait_weight", "wait_output_space", "wait_dependency", "idle",
)  # fmt: skip


@dataclass(frozen=True)
class UnitResult:
    """A unit: its `firings` in the whole run, every cycle by cause, and the share in which it computes.

    `compute` are the intervals of its firings, `wait_input` its waits for tokens, and of a reader for its memory
    port, `wait_output_space` its waits for slots, and of a writer for its port, `idle` the cycles after its end. A
    unit in a deadlock waits until nothing moves any more.
    """

    kind: str
    firings: int
    cycles: Mapping[str, int]
    utilization: float


@dataclass(frozen=True)
class ChannelResult:
    """A channel: `depth` in tokens (None: unbounded), `bits` of a token, and what passed through.

    `tokens` were pushed, and `popped` freed their slots. `buffer`: tokens that its consumer keeps in a
    buffer of its own beyond the depth.

    `peak_occupancy`: most tokens in it at the end of a cycle, those in the pipeline of its producer and those in
    the buffer of its consumer included. `stall_cycles` = `full_cycles` (the producer waits for a slot) +
    `empty_cycles` (the consumer waits for a token).
    """

    producer: str
    consumer: str
    depth: int | None
    buffer: int
    bits: int
    tokens: int
    popped: int
    peak_occupancy: int
    stall_cycles: int
    full_cycles: int
    empty_cycles: int


@dataclass(frozen=True)
class PortResult:
    """A memory port: the bursts and words it moved, and the share of the run in which it moved one."""

    bursts: int
    words: int
    utilization: float


@dataclass(frozen=True)
class StreamResult:
    """A run of a streaming graph. `cycles`: end of the last unit, None in a deadlock; `stopped_at`: the last activity.

    `deadlock` says who is blocked, and why; `engine` which of the two found it (they agree). `dram`:
    what each memory behind a port did; writes that its queue still holds at the end are counted. `traffic_bytes`: by
    memory, direction and operand. `energy_pj`: None where nobody has priced the run (`sim.pricing`).
    """

    graph: str
    clock_hz: int
    cycles: int | None
    stopped_at: int
    engine: str
    units: Mapping[str, UnitResult]
    channels: Mapping[str, ChannelResult]
    ports: Mapping[str, PortResult]
    traffic_bytes: Mapping[str, Mapping[str, Mapping[str, int]]]
    dram: Mapping[str, Mapping[str, Any]]
    deadlock: Deadlock | None
    provenance: Mapping[str, Any]
    energy_pj: Mapping[str, Any] | None = None
    not_modelled: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, graph: Graph, found: Outcome, deadlock: Deadlock | None, overrides: Mapping[str, Any]) -> StreamResult:
        """Return the result of an outcome of `graph`."""
        net, found = Net.of(graph), _waiting_on(found)
        return cls(
            graph=graph.name, clock_hz=graph.clock_hz, cycles=None if deadlock else found.cycles,
            stopped_at=found.cycles, engine=found.engine,
            units={unit.name: _unit(net, found, index) for index, unit in enumerate(net.units)},
            channels={name: _channel(graph, found, index) for index, name in enumerate(net.channels)},
            ports=_ports(found), traffic_bytes=_traffic(graph, net, found),
            dram=found.memory.statistics(found.cycles) if found.memory else {}, deadlock=deadlock,
            provenance={"version": __version__, "graph_sha256": graph.digest, "overrides": dict(overrides)},
        )  # fmt: skip

    @property
    def bits(self) -> int | None:
        """Bits of all channels at their depth, with the buffers of their consumers; None where one is unbounded."""
        sizes = [None if c.depth is None else (c.depth + c.buffer) * c.bits for c in self.channels.values()]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as `stream --json` prints it."""
        return {
            "schema": SCHEMA, "graph": self.graph, "clock_hz": self.clock_hz, "cycles": self.cycles,
            "seconds": None if self.cycles is None else self.cycles / self.clock_hz,
            "stopped_at": self.stopped_at, "engine": self.engine,
            "units": {name: asdict(unit) for name, unit in self.units.items()},
            "channels": {name: asdict(channel) for name, channel in self.channels.items()},
            "ports": {name: asdict(port) for name, port in self.ports.items()},
            "traffic_bytes": {memory: {way: dict(each) for way, each in ways.items()}
                              for memory, ways in self.traffic_bytes.items()},
            "energy_pj": None if self.energy_pj is None else dict(self.energy_pj),
            "dram": {name: dict(did) for name, did in self.dram.items()},
            "memory_bits": {
                "capacity": self.bits,
                "peak": sum(c.peak_occupancy * c.bits for c in self.channels.values()),
            },
            "deadlock": None if self.deadlock is None else [asdict(item) for item in self.deadlock.blocked],
            "explanation": None if self.deadlock is None else self.deadlock.to_dict(),
            "not_modelled": [dict(entry) for entry in self.not_modelled],
            "provenance": dict(self.provenance),
        }  # fmt: skip

    def to_json(self) -> str:
        """Return the result as JSON text; equal runs give equal bytes."""
        return json.dumps(self.to_dict(), indent=1) + "\n"


def _waiting_on(found: Outcome) -> Outcome:
    """Return the outcome with every blocked unit waiting until the last activity of all."""
    full, empty, times = list(found.full), list(found.empty), list(found.times)
    for unit, code in found.blocked.items():
        (full if code < 0 else empty)[~code if code < 0 else code] += found.cycles - times[unit]
        times[unit] = found.cycles
    return replace(found, full=tuple(full), empty=tuple(empty), times=tuple(times))


def _unit(net: Net, found: Outcome, index: int) -> UnitResult:
    unit, total = net.units[index], found.cycles
    empty = sum(found.empty[c] for c, consumer in enumerate(net.consumer) if consumer == index)
    full = sum(found.full[c] for c, producer in enumerate(net.producer) if producer == index)
    waited = found.memory.waited.get(index, 0) if found.memory else 0
    compute = found.times[index] - empty - full - waited
    writes = unit.bursts is not None and unit.bursts.write
    empty, full = (empty, full + waited) if writes else (empty + waited, full)
    cycles = dict.fromkeys(CAUSES, 0) | {
        "compute": compute, "wait_input": empty, "wait_output_space": full, "idle": total - found.times[index],
    }  # fmt: skip
    return UnitResult(unit.kind, unit.firings, cycles, compute / total if total else 0.0)


def _channel(graph: Graph, found: Outcome, index: int) -> ChannelResult:
    channel = list(graph.channels.values())[index]
    full, empty = found.full[index], found.empty[index]
    return ChannelResult(
        graph.producer[channel.name], graph.consumer[channel.name], channel.depth,
        graph.buffer(channel.name), channel.bits, found.pushed[index], found.freed[index], found.peak[index],
        full + empty, full, empty,
    )  # fmt: skip


def _ports(found: Outcome) -> dict[str, PortResult]:
    traffic = found.memory.traffic if found.memory else {}
    return {name: PortResult(t.bursts, t.words, t.words / max(1, found.cycles)) for name, t in traffic.items()}


def _traffic(graph: Graph, net: Net, found: Outcome) -> dict[str, dict[str, dict[str, int]]]:
    """Return the bytes into and out of all FIFOs, and over ports by the memory behind them; whole bursts asked for."""
    bits = [graph.channels[name].bits for name in net.channels]
    moved = {FIFOS: {
        way: {TOKEN: sum(-(-count * width // 8) for count, width in zip(counts, bits, strict=True))}
        for way, counts in (("read", found.freed), ("write", found.pushed))
    }}  # fmt: skip
    for client in found.memory.clients if found.memory else ():
        bursts, place = client.bursts, client.port.memory or client.port.name
        way = moved.setdefault(place, {"read": {}, "write": {}})["write" if bursts.write else "read"]
        way[bursts.operand] = way.get(bursts.operand, 0) + sum(bursts.sizes[: client.sent]) * bursts.word
    return moved
