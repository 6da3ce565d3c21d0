"""The plain simpy implementation of the firing rule, oracle of the streaming engines; and random graphs.

A channel is a store of tokens and a container of slots; a unit is a process that lives in simulated time. Nothing
here knows of timestamps, rows or recurrence.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil

import numpy as np
import simpy
from hypothesis import strategies as st

from sim.dram.address import places
from sim.dram.controller import controller_of
from sim.dram.device import Device
from sim.dram.stream import Share, Stream
from sim.streaming import rows
from sim.streaming.graph import Channel, Graph, Op, Phase, Port, Unit
from sim.streaming.net import Net
from sim.streaming.simulate import outcome


@dataclass
class Found:
    """What the oracle saw: ends of units, waits and peaks of channels, and who never ended, at what."""

    times: dict[str, int]
    full: dict[str, int]
    empty: dict[str, int]
    peak: dict[str, int]
    blocked: dict[str, tuple[str, str]]
    bursts: dict[str, list[tuple[int, str]]]


class Memory:
    """A memory port: a queue of requests in order of their time, and of the units in the same cycle."""

    def __init__(self, env: simpy.Environment, port: Port, order: list[str]) -> None:
        self.env, self.port, self.order = env, port, order
        self.asked: list[tuple[int, int, int, int, simpy.Event]] = []
        self.free_at = 0
        self.log: list[tuple[int, str]] = []
        env.process(self.serve())
        self.changed = env.event()

    def ask(self, unit: str, words: int, latency: int) -> simpy.Event:
        """Return the event of the burst's first cycle, known as soon as it is served."""
        event = self.env.event()
        self.asked.append((int(self.env.now), self.order.index(unit), words, latency, event))
        if not self.changed.triggered:
            self.changed.succeed()
        return event

    def serve(self):
        yield self.env.timeout(0)
        while True:
            if not self.asked:
                self.changed = self.env.event()
                yield self.changed
            yield self.env.timeout(0.5)  # whoever else asks in this cycle has done so
            for issued, unit, words, latency, event in sorted(self.asked, key=lambda request: request[:2]):
                start = max(issued + latency, self.free_at)
                self.free_at = start + words
                self.log.append((start, self.order[unit]))
                event.succeed(start)
            self.asked.clear()
            yield self.env.timeout(0.5)


class Dram:
    """A DRAM behind ports, carried out clock by clock; bursts join a channel's queues one after the other.

    A word of a read comes over the port, one a cycle, when its data and those of all before it are there; a write is
    over when the queue has taken it. In both cases, the port's latency later.
    """

    def __init__(self, env: simpy.Environment, device: Device, graph: Graph, ends: dict[str, int]) -> None:
        self.env, self.device, self.order, self.ends = env, device, list(graph.units), ends
        self.cycle = Fraction(graph.clock_hz) / device.clock_hertz
        self.parts = controller_of(device).parts
        self.lines: list[list[tuple[Stream, int, str]]] = [[] for _ in self.parts]
        self.asked: list[tuple] = []
        self.under_way: dict[str, list[tuple]] = {}
        self.free_at: Counter[str] = Counter()
        self.entered: dict[int, int] = {}  # by id of streams, all of which are kept
        self.kept: list[Stream] = []
        self.last: Counter[str] = Counter()
        env.process(self.serve())

    def ask(self, unit: Unit, index: int, port: Port) -> list[simpy.Event]:
        """Return the events of the words of a read, each known as soon as it is served; of a write, of its end."""
        count = 1 if unit.bursts.write else unit.bursts.sizes[index]
        events = [self.env.event() for _ in range(count)]
        self.asked.append((self.order.index(unit.name), unit, index, port, events))
        return events

    def serve(self):
        """In the middle of each cycle: take what was asked, let the clocks up to the next cycle pass, hand back."""
        yield self.env.timeout(0.5)
        while True:
            now = int(self.env.now)
            for _, unit, index, port, event in sorted(self.asked, key=lambda each: each[0]):
                self._send(now, unit, index, port, event)
            self.asked.clear()
            for clock in range(self.parts[0].clock, ceil((now + 1) / self.cycle)):
                self._tick(clock)
            self._hand_back()
            if not self.under_way and len(self.ends) == len(self.order):
                return
            yield self.env.timeout(1)

    def _send(self, now: int, unit: Unit, index: int, port: Port, event: simpy.Event) -> None:
        bursts = unit.bursts
        if bursts.write:
            now = self.free_at[port.name + "w"] = max(now, self.free_at[port.name + "w"]) + bursts.sizes[index]
        begin, end = bursts.addresses[index], bursts.addresses[index] + bursts.sizes[index] * bursts.word
        size = self.device.burst
        streams = []
        for address in range(begin // size * size, end, size):  # one stream each, so that each has its own clock
            where = places(self.device, np.array([address]))
            share = Share(1)
            stream = Stream(share, [int(where.bank[0])], [int(where.row[0])], [int(where.column[0])],
                            [int(where.burst[0])], [bursts.write], ceil(now / self.cycle))  # fmt: skip
            streams.append(stream)
            self.kept.append(stream)
            self.lines[int(where.channel[0])].append((stream, index, unit.name))
        self.under_way.setdefault(unit.name, []).append((unit, index, port, streams, event))

    def _tick(self, clock: int) -> None:
        for part, line in zip(self.parts, self.lines, strict=True):
            if not part.streams and line:
                stream, index, unit = line[0]
                while line and line[0][1:] == (index, unit):
                    part.streams.append(line.pop(0)[0])
            waiting = list(part.streams)
            part.step(clock + 1)
            for stream in waiting:
                if stream.at:
                    self.entered.setdefault(id(stream), clock)

    def _hand_back(self) -> None:
        back = []
        for name, bursts in self.under_way.items():
            while bursts:
                unit, index, port, streams, events = bursts[0]
                for clock in self._known(unit, index, streams, events):
                    self.last[name] = max(self.last[name], clock)  # words of a unit come back in order
                    event = next(e for e in events if not e.triggered and e not in [b[-1] for b in back])
                    back.append((self.last[name], self.order.index(name), unit, port, event))
                if len([e for e in events if e.triggered or e in [b[-1] for b in back]]) < len(events):
                    break
                bursts.pop(0)
        for clock, _, unit, port, event in sorted(back, key=lambda each: each[:2]):
            if unit.bursts.write:
                event.succeed(ceil(clock * self.cycle) + port.write_latency)
            else:
                at = max(self.free_at[port.name], ceil(clock * self.cycle) + port.read_latency)
                self.free_at[port.name] = at + 1
                event.succeed(at)
        self.under_way = {name: bursts for name, bursts in self.under_way.items() if bursts}

    def _known(self, unit: Unit, index: int, streams: list[Stream], events: list[simpy.Event]) -> list[int]:
        """Return the clocks of the words that are known and not handed back, or the one at which all is written."""
        if unit.bursts.write:
            entered = [self.entered.get(id(stream)) for stream in streams]
            return [] if None in entered else [max(entered)]
        there = sorted(stream.share.last for stream in streams if not stream.share.left)
        offset, word = unit.bursts.addresses[index] % self.device.burst, unit.bursts.word
        needs = [(offset + (k + 1) * word - 1) // self.device.burst for k in range(len(events))]
        return [there[n] for n, event in zip(needs, events, strict=True) if n < len(there) and not event.triggered]


class Fifo:
    """Tokens that can be taken, slots that can be filled, and the cycles at which slots were taken and given back."""

    def __init__(self, env: simpy.Environment, channel: Channel, capacity: int | None) -> None:
        self.env, self.channel = env, channel
        self.tokens = simpy.Store(env)
        self.tokens.items.extend(range(channel.initial))
        self.slots = simpy.Container(env, init=10**9 if capacity is None else capacity - channel.initial)
        self.taken: Counter[int] = Counter({0: channel.initial})
        self.full = self.empty = 0

    def later(self, cycles: int, act) -> None:
        def process():
            yield self.env.timeout(cycles)
            act()

        self.env.process(process())

    def free(self) -> None:
        self.taken[self.env.now + self.channel.credit] -= 1
        self.later(self.channel.credit, lambda: self.slots.put(1))

    @property
    def peak(self) -> int:
        return max(self.channel.initial, *accumulate(self.taken[cycle] for cycle in sorted(self.taken)))


def oracle(graph: Graph) -> Found:
    """Return what happens in `graph`, event by event."""
    env = simpy.Environment()
    fifos = {name: Fifo(env, channel, graph.capacity(name)) for name, channel in graph.channels.items()}
    memories = {name: Memory(env, port, list(graph.units)) for name, port in graph.ports.items()}
    ends: dict[str, int] = {}
    drams = {name: Dram(env, device, graph, ends) for name, device in graph.memories.items()}
    at: dict[str, tuple[str, str]] = {}

    def requests(spec: Unit, words: list[list], ended: list):
        port = graph.ports[spec.bursts.port]
        for index, events in enumerate(words):
            if index >= port.outstanding:
                yield ended[index - port.outstanding]
            if port.memory:
                for event, asked in zip(events, drams[port.memory].ask(spec, index, port), strict=True):
                    asked.callbacks.append(lambda known, event=event: event.succeed(known.value))
            else:
                asked = memories[port.name].ask(spec.name, len(events), port.read_latency)
                asked.callbacks.append(lambda known, events=events: in_a_row(events, known.value))
            yield env.timeout(1)

    def in_a_row(events: list, start: int) -> None:
        for word, event in enumerate(events):
            event.succeed(start + word)

    def reader(spec: Unit):
        (phase,) = spec.phases
        words = [[env.event() for _ in range(size)] for size in spec.bursts.sizes]
        ended = [env.event() for _ in spec.bursts.sizes]
        env.process(requests(spec, words, ended))
        for index, events in enumerate(words):
            for event in events:
                word = yield event
                if word > env.now:
                    yield env.timeout(word - env.now)
                sampled = env.now
                for op in phase.ops:
                    yield from push(spec, op, sampled)
                yield env.timeout(phase.interval)
            ended[index].succeed()
        ends[spec.name] = env.now

    def writer(spec: Unit):
        (phase,) = spec.phases
        port, flying, issued = graph.ports[spec.bursts.port], [], -1
        for index, words in enumerate(spec.bursts.sizes):
            if len(flying) >= port.outstanding:
                yield flying.pop(0)
            for _ in range(words):
                for op in phase.ops:
                    yield from pop(spec, op)
                yield env.timeout(phase.interval)
            flying.append(env.process(written(spec, index, words, max(env.now, issued + 1))))
            issued = max(env.now, issued + 1)
        yield simpy.AllOf(env, flying)
        ends[spec.name] = env.now

    def written(spec: Unit, index: int, words: int, issue: int):
        yield env.timeout(issue - env.now)
        port = graph.ports[spec.bursts.port]
        if port.memory:
            end = yield drams[port.memory].ask(spec, index, port)[0]
        else:
            end = words + (yield memories[port.name].ask(spec.name, words, port.write_latency))
        yield env.timeout(max(0, end - env.now))  # a burst before it may have come back later

    def pop(spec: Unit, op: Op):
        fifo, before = fifos[op.channel], env.now
        at[spec.name] = (op.channel, "empty")
        yield fifo.tokens.get()
        fifo.empty += env.now - before
        if op.verb == "pop":
            fifo.free()

    def push(spec: Unit, op: Op, sampled: int):
        fifo, before = fifos[op.channel], env.now
        at[spec.name] = (op.channel, "full")
        yield fifo.slots.get(1)
        fifo.full += env.now - before
        fifo.taken[env.now] += 1
        ready = max(sampled + spec.latency, env.now + fifo.channel.latency)
        fifo.later(ready - env.now, lambda: fifo.tokens.put(0))

    def unit(spec: Unit):
        for _ in range(spec.repeat):
            for phase in spec.phases:
                for _ in range(phase.count):
                    sampled = None
                    for op in phase.ops:
                        if op.verb == "free":
                            fifos[op.channel].free()
                        elif op.verb == "push":
                            sampled = env.now if sampled is None else sampled
                            yield from push(spec, op, sampled)
                        else:
                            yield from pop(spec, op)
                    yield env.timeout(phase.interval)
        ends[spec.name] = env.now

    for spec in graph.units.values():
        behaviour = unit if spec.bursts is None else writer if spec.bursts.write else reader
        env.process(behaviour(spec))
    env.run()
    names = graph.channels
    return Found(
        ends, {n: fifos[n].full for n in names}, {n: fifos[n].empty for n in names},
        {n: fifos[n].peak for n in names}, {n: at[n] for n in graph.units if n not in ends},
        {name: memory.log for name, memory in memories.items()},
    )  # fmt: skip


def same(graph: Graph, firings: int = 1) -> bool:
    """Hold all engines against each other; return whether the vectorized one took the graph."""
    net, blocking, seen = Net.of(graph), outcome(graph, "run-to-block"), oracle(graph)
    assert dict(zip(net.channels, blocking.full, strict=True)) == seen.full
    assert dict(zip(net.channels, blocking.empty, strict=True)) == seen.empty
    assert dict(zip(net.channels, blocking.peak, strict=True)) == seen.peak
    ends = {u.name: blocking.times[i] for i, u in enumerate(net.units) if i not in blocking.blocked}
    assert ends == seen.times
    waits = {net.units[u].name: (net.channels[c], "empty") if c >= 0 else (net.channels[~c], "full")
             for u, c in blocking.blocked.items()}  # fmt: skip
    assert waits == seen.blocked
    taken = False
    for fast_forward in (True, False):
        vectorized = rows.run(net, fast_forward, firings)
        if vectorized is not None:
            taken = True
            assert not blocking.blocked
            for found in ("times", "full", "empty", "peak", "pushed", "freed"):
                assert getattr(vectorized, found) == getattr(blocking, found), found
    return taken


@st.composite
def graphs(draw) -> Graph:
    """A connected graph of up to six units, with rates, loops, replay buffers, shallow and unbounded channels."""
    count, iterations = draw(st.integers(2, 5)), draw(st.integers(1, 8))
    ends = [(draw(st.integers(0, i - 1)), i) for i in range(1, count)]
    for _ in range(draw(st.integers(0, 3))):
        ends.append((draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))))
    tokens = [2 * draw(st.integers(1, 3)) for _ in ends]
    channels = [draw(_channels(f"c{i}", tokens[i], b <= a)) for i, (a, b) in enumerate(ends)]
    units = []
    for index in range(count):
        repeat = draw(st.sampled_from((1, 2)))
        pops = {f"c{i}": tokens[i] // repeat for i, (_, b) in enumerate(ends) if b == index}
        pushes = {f"c{i}": tokens[i] // repeat for i, (a, _) in enumerate(ends) if a == index}
        units.append(draw(_units(f"u{index}", pops, pushes, repeat * iterations)))
    return Graph.of("random", units, channels)


@st.composite
def _channels(draw, name: str, tokens: int, back: bool) -> Channel:
    initial = draw(st.integers(1, 2 * tokens)) if back else draw(st.sampled_from((0, 0, 0, 1)))
    depth = draw(st.one_of(st.none(), st.integers(max(1, initial), initial + 2 * tokens)))
    return Channel(name, depth, 8, initial, draw(st.sampled_from((1, 1, 1, 2))), draw(st.sampled_from((1, 1, 0, 3))))


@st.composite
def _units(draw, name: str, pops: dict[str, int], pushes: dict[str, int], repeat: int) -> Unit:
    firings = draw(st.integers(1, 6))
    places = st.integers(0, firings - 1)
    ops: list[list[list[Op]]] = [[[], [], []] for _ in range(firings)]
    holds = {}
    for channel, number in pops.items():
        held = draw(st.booleans())
        taken = sorted(draw(st.lists(places, min_size=number, max_size=number)))
        for place in taken:
            ops[place][0].append(Op("read" if held else "pop", channel))
        if held:
            delays = sorted(draw(st.lists(places, min_size=number, max_size=number)))
            for place in map(max, taken, delays):
                ops[place][1].append(Op("free", channel))
            holds[channel] = draw(st.integers(0, number))
    for channel, number in pushes.items():
        for place in sorted(draw(st.lists(places, min_size=number, max_size=number))):
            ops[place][2].append(Op("push", channel))
    phases = tuple(Phase(1, (*takes, *frees, *out), draw(st.integers(0, 3))) for takes, frees, out in ops)
    return Unit(name, "any", phases, repeat, draw(st.integers(0, 4)), holds)
