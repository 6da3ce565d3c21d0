"""What is wired wrongly, found before any time passes: each problem by the name of the unit or channel it is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise, repeat
from math import gcd

from sim.errors import ConfigError, Problem, unknown
from sim.streaming.graph import FREES, TAKES, Bursts, Channel, Graph
from sim.yamlfile import dotted

MOST_FIRINGS = 10**8
"""Firings of a round, whose times are all kept: some gigabytes and about a minute."""
MOST_CYCLES = 2**62


@dataclass(frozen=True)
class Fault:
    """One thing wrong: in the `units` or `channels` of a graph, the name there, its key, and what to do about it."""

    part: str
    name: str
    key: str
    message: str

    @property
    def place(self) -> tuple[str, ...]:
        """The keys that lead to it in a file."""
        return (self.part, self.name, self.key) if self.key else (self.part, self.name)


def check(graph: Graph) -> None:
    """Raise ConfigError with every fault of the graph, in the order of its parts."""
    found = faults(graph)
    if found:
        raise ConfigError(*(Problem(f.message, graph.name, key=dotted(f.place)) for f in found))


def faults(graph: Graph) -> list[Fault]:
    """Return all faults of the graph; counts and loops are looked at only where every channel has its two ends."""
    found = [*_units(graph), *_ends(graph)]
    found = found or [*_counts(graph), *_depths(graph), *_loops(graph)]
    return found or list(_sizes(graph))


def _sizes(graph: Graph) -> Iterator[Fault]:
    """Yield what is beyond all counting: more cycles than 63 bits hold, or a round that fills the memory."""
    rounds = gcd(*(unit.repeat for unit in graph.units.values()))
    busiest = max(graph.units.values(), key=lambda unit: unit.firings)
    if sum(unit.firings for unit in graph.units.values()) // rounds > MOST_FIRINGS:
        count = f"{busiest.firings // rounds:,} firings before the graph is as at its start again"
        yield Fault("units", busiest.name, "firings",
                    f"{count}, more than can be held; at most {MOST_FIRINGS:,} of all units together")  # fmt: skip
    waits = sum(channel.latency + channel.credit for channel in graph.channels.values())
    waits += sum(port.read_latency + port.write_latency for port in graph.ports.values())
    for unit in graph.units.values():
        interval = max(phase.interval for phase in unit.phases)
        if unit.firings * (interval + unit.latency + waits) > MOST_CYCLES // len(graph.units):
            count = f"{unit.firings:,} firings at an interval of {interval:,} and a latency of {unit.latency:,}"
            yield Fault("units", unit.name, "", f"{count} could take more cycles than can be counted (2^62)")


def _units(graph: Graph) -> Iterator[Fault]:
    for unit in graph.units.values():
        for channel in unit.channels("pop", "read", "free", "push"):
            if channel not in graph.channels:
                yield Fault("units", unit.name, "", unknown("channel", channel, graph.channels))
        if not unit.channels("pop", "read", "push"):
            yield Fault("units", unit.name, "", "is connected to no channel; remove it, or give it 'pop' or 'push'")
        if unit.bursts is not None and unit.bursts.port not in graph.ports:
            yield Fault("units", unit.name, "port", unknown("port", unit.bursts.port, graph.ports))
        elif unit.bursts is not None:
            yield from _memory(graph, unit.name, unit.bursts)


def _memory(graph: Graph, unit: str, bursts: Bursts) -> Iterator[Fault]:
    memory = graph.ports[bursts.port].memory
    if memory is None:
        return
    if memory not in graph.memories:
        yield Fault("ports", bursts.port, "memory", unknown("memory", memory, graph.memories))
        return
    device, end = graph.memories[memory], max(map(_end_of, repeat(bursts), range(len(bursts.sizes))), default=0)
    if end > device.capacity:
        there = f"{memory} ({device.name}) has {device.capacity:,}"
        yield Fault("units", unit, "address", f"words end at byte {end:,}; {there}")


def _end_of(bursts: Bursts, index: int) -> int:
    return bursts.addresses[index] + bursts.sizes[index] * bursts.word


def _ends(graph: Graph) -> Iterator[Fault]:
    for name in graph.channels:
        producers = [unit.name for unit in graph.units.values() if name in unit.channels("push")]
        consumers = [unit.name for unit in graph.units.values() if name in unit.channels(*TAKES)]
        yield from _end(name, producers, consumers, "pushed into", "producer")
        yield from _end(name, consumers, producers, "popped", "consumer")


def _end(name: str, here: list[str], there: list[str], done: str, role: str) -> Iterator[Fault]:
    if len(here) > 1:
        yield Fault("channels", name, "", f"is {done} by {' and '.join(here)}; a channel has one {role}")
    elif not here and there:
        other = f"; its other end is {there[0]}"
        yield Fault("channels", name, "", f"dangles: no unit has it {done}{other}")
    elif not here and role == "producer":
        yield Fault("channels", name, "", "is connected to no unit; remove it, or name it in a unit")


def _counts(graph: Graph) -> Iterator[Fault]:
    for producer, consumer, channel in graph.edges():
        if graph.units[producer].dynamic or graph.units[consumer].dynamic:
            continue  # its rates are checked once values have fixed them
        sent = graph.tokens[channel.name]
        taken = graph.units[consumer].tokens(channel.name, *TAKES)
        freed = graph.units[consumer].tokens(channel.name, *FREES)
        if sent != taken:
            yield Fault("channels", channel.name, "", f"{producer} pushes {sent:,} tokens in the whole run, "
                        f"{consumer} pops {taken:,}; make their firings or patterns match")  # fmt: skip
        if taken != freed:
            yield Fault("units", consumer, "", f"takes {taken:,} tokens of '{channel.name}' and frees {freed:,} slots")


def _depths(graph: Graph) -> Iterator[Fault]:
    for _, consumer, channel in graph.edges():
        capacity, least = graph.capacity(channel.name), 0 if graph.units[consumer].holds.get(channel.name) else 1
        if channel.depth is not None and channel.depth < least:
            yield Fault("channels", channel.name, "depth", f"is {channel.depth}; a channel needs at least {least}")
        elif capacity is not None and channel.initial > capacity:
            yield Fault("channels", channel.name, "initial", f"{channel.initial} tokens do not fit in {capacity} slots")
        elif channel.send < 1 or channel.credit < 0:
            yield Fault("channels", channel.name, "", f"send {channel.send} must be at least 1, credit at least 0")


def _loops(graph: Graph) -> Iterator[Fault]:
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(graph.units, ()))
    links: dict[tuple[str, str], Channel] = {}
    for producer, consumer, channel in graph.edges():
        if not channel.initial:
            sorter.add(consumer, producer)
            links.setdefault((producer, consumer), channel)
    try:
        sorter.prepare()
    except CycleError as error:
        units = _from_first(error.args[1], list(graph.units))
        way = " -> ".join(f"{a} -{links[a, b].name}" for a, b in pairwise(units))
        message = f"the loop {way} -> {units[-1]} has no initial tokens, so that no unit in it can ever begin; "
        first = links[units[0], units[1]].name
        yield Fault("channels", first, "initial", message + "give a channel of it 'initial' tokens")


def _from_first(ring: list[str], order: list[str]) -> list[str]:
    """Return the ring, whose last is its first, begun at the one that comes first in `order`."""
    start = ring.index(min(ring, key=order.index))
    return [*ring[start:-1], *ring[:start], ring[start]]
