"""A streaming graph as data: units that fire, and the bounded channels between them. No time passes here.

A unit fires again and again, through `phases`, the whole list `repeat` times. In a firing it carries out the
operations of its phase in order, each blocking: it takes tokens (`pop`; `read` waits for the token and leaves its
slot taken, `free` gives the oldest such slot back, as a replay buffer does), then pushes tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from sim.dram.device import Device

Verb = Literal["pop", "read", "free", "push"]
TAKES: tuple[Verb, ...] = ("pop", "read")
FREES: tuple[Verb, ...] = ("pop", "free")
SHIFT_REGISTER = 2
"""Deepest FIFO that Vitis HLS builds as a shift register; a deeper one is a memory, a cycle slower to read."""


@dataclass(frozen=True)
class Channel:
    """A FIFO between two units.

    `depth`: tokens it holds, those still in the pipeline of its producer included; None is unbounded.
    `bits`: width of a token. `initial`: tokens in it at cycle 0. `send`, `credit`: cycles from a push to the
    earliest pop, and from a pop to the slot's next use. `deep_send`: what `send` is where the channel is deeper than
    a shift register, if that is another.
    """

    name: str
    depth: int | None = 2
    bits: int = 32
    initial: int = 0
    send: int = 1
    credit: int = 1
    deep_send: int | None = None

    @property
    def latency(self) -> int:
        """Cycles from a push to the earliest pop, with the depth it has."""
        deep = self.depth is None or self.depth > SHIFT_REGISTER
        return self.deep_send if deep and self.deep_send is not None else self.send


@dataclass(frozen=True)
class Op:
    """One blocking operation of a firing on a channel."""

    verb: Verb
    channel: str


@dataclass(frozen=True)
class Phase:
    """`count` firings that do the same `ops`, each `interval` cycles after the one before."""

    count: int
    ops: tuple[Op, ...]
    interval: int = 1

    @classmethod
    def of(cls, count: int, pops: Iterable[str] = (), pushes: Iterable[str] = (), *, reads: Iterable[str] = (),
           frees: Iterable[str] = (), interval: int = 1) -> Phase:  # fmt: skip
        """Return the phase that takes from `pops` and `reads`, then frees, then pushes, each in the order given."""
        named: tuple[tuple[Verb, Iterable[str]], ...] = (
            ("pop", pops), ("read", reads), ("free", frees), ("push", pushes),
        )  # fmt: skip
        return cls(count, tuple(Op(verb, channel) for verb, names in named for channel in names), interval)


@dataclass(frozen=True)
class Bursts:
    """How a unit's firings go through a memory port: the words of each burst in order, one word a firing.

    `addresses`: the byte at which each burst begins; `word`: bytes of a word; `operand`: whose bytes they are.
    """

    port: str
    sizes: tuple[int, ...]
    write: bool = False
    addresses: tuple[int, ...] = ()
    word: int = 4
    operand: str = "input"


@dataclass(frozen=True)
class Unit:
    """Hardware that fires: its kind, pipeline latency in cycles, and what each firing does.

    `holds`: words that it keeps of a channel in a buffer of its own, which add to that channel's depth.
    `bursts`: the memory port that its words go through. `behaviour`: what it computes, `sim.streaming.values`.
    `dynamic`: how many tokens it makes of each depends on values; its phases only name its channels.
    `macs`: products in the whole run; `lanes`: elements in each of its input tokens.
    """

    name: str
    kind: str
    phases: tuple[Phase, ...]
    repeat: int = 1
    latency: int = 1
    holds: Mapping[str, int] = field(default_factory=dict)
    bursts: Bursts | None = None
    behaviour: Any = None
    dynamic: bool = False
    macs: int = 0
    lanes: int = 1

    @cached_property
    def firings(self) -> int:
        """Firings in the whole run."""
        return self.repeat * sum(phase.count for phase in self.phases)

    @cached_property
    def _counts(self) -> dict[Op, int]:
        """How often the whole run does each operation, in order of first use."""
        found = dict[Op, int]()
        for phase in self.phases:
            for op in phase.ops:
                found[op] = found.get(op, 0) + phase.count * self.repeat
        return found

    def channels(self, *verbs: Verb) -> tuple[str, ...]:
        """Return the channels on which it does any of `verbs`, in order of first use."""
        return tuple(dict.fromkeys(op.channel for op in self._counts if op.verb in verbs))

    def tokens(self, channel: str, *verbs: Verb) -> int:
        """Return how often the whole run does any of `verbs` on `channel`."""
        return sum(self._counts.get(Op(verb, channel), 0) for verb in verbs)


@dataclass(frozen=True)
class Port:
    """A memory port that units share, a burst at a time and a word a cycle, in order of request (ties: of the units).

    `read_latency`, `write_latency`: cycles from a burst's request to its first word. `outstanding`: bursts of one
    unit that may be requested and not over; each has room in a buffer, so that a port is never held up by a channel.
    `memory`: the DRAM behind the port, one of the graph's `memories`, whose own time comes on top; ports of the same
    memory share its queues. Without one, the latencies are all there is, and `technology` says what kind of DRAM
    prices the bits.
    """

    name: str
    read_latency: int = 12
    write_latency: int = 7
    outstanding: int = 16
    memory: str | None = None
    technology: str = "lpddr4"


@dataclass(frozen=True)
class Graph:
    """Units and channels by name, in the order in which they were written; `ports` lead to the memories they share.

    `memories`: DRAM devices behind ports, by name. `clock_hz`: of all units and channels. `technology`: the
    energy table, by name or path. `params`: what the file was computed from.
    """

    name: str
    units: Mapping[str, Unit]
    channels: Mapping[str, Channel]
    ports: Mapping[str, Port] = field(default_factory=dict)
    title: str = ""
    digest: str = ""
    clock_hz: int = 10**9
    memories: Mapping[str, Device] = field(default_factory=dict)
    technology: str = "45nm"
    params: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, units: Iterable[Unit], channels: Iterable[Channel], ports: Iterable[Port] = (),
           memories: Mapping[str, Device] = {}, clock_hz: int = 10**9) -> Graph:  # fmt: skip
        """Return the graph of these parts, in this order."""
        return cls(name, {u.name: u for u in units}, {c.name: c for c in channels}, {p.name: p for p in ports},
                   memories=memories, clock_hz=clock_hz)  # fmt: skip

    @cached_property
    def producer(self) -> dict[str, str]:
        """The unit that pushes into each channel."""
        return {channel: unit.name for unit in self.units.values() for channel in unit.channels("push")}

    @cached_property
    def consumer(self) -> dict[str, str]:
        """The unit that takes from each channel."""
        return {channel: unit.name for unit in self.units.values() for channel in unit.channels(*TAKES)}

    @cached_property
    def tokens(self) -> dict[str, int]:
        """The tokens that pass through each channel in the whole run."""
        return {name: self.units[unit].tokens(name, "push") for name, unit in self.producer.items()}

    def capacity(self, channel: str) -> int | None:
        """Return the tokens that `channel` holds with the buffer of its consumer; None where it is unbounded."""
        depth = self.channels[channel].depth
        return None if depth is None else depth + self.buffer(channel)

    def buffer(self, channel: str) -> int:
        """Return the tokens of `channel` that its consumer keeps in a buffer of its own."""
        return self.units[self.consumer[channel]].holds.get(channel, 0)

    def with_depths(self, depths: Mapping[str, int | None]) -> Graph:
        """Return the graph with these depths; channels that are not named keep theirs."""
        changed = {name: replace(self.channels[name], depth=depth) for name, depth in depths.items()}
        return replace(self, channels={**self.channels, **changed})

    def edges(self) -> Iterator[tuple[str, str, Channel]]:
        """Yield (producer, consumer, channel) for every channel."""
        for channel in self.channels.values():
            yield self.producer[channel.name], self.consumer[channel.name], channel

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The units, each after those it takes from as far as loops allow, ties by the order they were written in."""
        waiting = {name: set[str]() for name in self.units}
        for producer, consumer, channel in self.edges():
            if not channel.initial and producer != consumer:
                waiting[consumer].add(producer)
        done: dict[str, None] = {}
        while len(done) < len(waiting):
            rest = [name for name in waiting if name not in done]
            done[next((name for name in rest if waiting[name] <= done.keys()), rest[0])] = None
        return tuple(done)
