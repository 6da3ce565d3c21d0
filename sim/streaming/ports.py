"""Memory ports in the run-to-block engine: readers and writers whose words come and go in bursts.

Requests are served in order of their time. A unit that is blocked can only be freed by a word of a burst not yet
served, so that whatever it requests later, it requests later than that burst was: when nobody can go on, the earliest
request known is the earliest of all, and is served. With DRAM behind a port, its clocks go on until then, unless a
burst comes back before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sim.streaming import blocking
from sim.streaming.blocking import Blocked, Window
from sim.streaming.controllers import Controllers, Flight, Route
from sim.streaming.graph import Bursts, Graph, Port
from sim.streaming.net import Net


@dataclass
class Client:
    """A unit at a port: requests known and not served, bursts under way in DRAM, and what came back and is not used:
    the cycles at which words come, or those at which written bursts are over."""

    unit: int
    bursts: Bursts
    port: Port
    route: Route | None = None
    requests: deque[int] = field(default_factory=deque)
    flying: deque[Flight] = field(default_factory=deque)
    served: deque[int] = field(default_factory=deque)
    asked: int = 0
    sent: int = 0
    last: int = 0
    issued: int = -1

    @property
    def latency(self) -> int:
        """Cycles from a request to the first word."""
        return self.port.write_latency if self.bursts.write else self.port.read_latency

    def ask(self, time: int) -> None:
        """Request the next burst, if there is one, at `time` or a cycle after the request before."""
        if self.asked < len(self.bursts.sizes):
            self.issued = max(self.issued + 1, time)
            self.requests.append(self.issued)
            self.asked += 1


@dataclass
class Traffic:
    """What went through a port: bursts, words, and the end of the last; of writes apart where DRAM is behind it, as
    AXI has a channel for each."""

    bursts: int = 0
    words: int = 0
    end: int = 0
    written: int = 0


@dataclass
class Memory:
    """The ports of a graph at work, and what is behind them. `now`: the cycle up to which DRAM has been carried out."""

    clients: list[Client]
    traffic: dict[str, Traffic]
    waited: dict[int, int]
    controllers: dict[str, Controllers]
    now: int = 0

    def serve(self) -> list[Client]:
        """Serve the earliest request of all ports; return whom that, or a burst that came back before, lets go on."""
        while True:
            client = min((c for c in self.clients if c.requests), key=lambda c: c.requests[0], default=None)
            woken = self._go_on(client.requests[0] if client else None)
            if woken or client is None:
                return woken
            if client.route is None:
                self._pass(client)
                return [client]
            self._send(client)

    def _pass(self, client: Client) -> None:
        """Let a burst through a port with fixed latencies."""
        traffic, words = self.traffic[client.port.name], client.bursts.sizes[client.sent]
        start = max(client.requests.popleft() + client.latency, traffic.end)
        traffic.bursts, traffic.words, traffic.end = traffic.bursts + 1, traffic.words + words, start + words
        client.served.extend([start + words] if client.bursts.write else range(start, start + words))
        client.sent += 1

    def _send(self, client: Client) -> None:
        """Send a burst to DRAM: a read's request at once, a write once its words have gone over the port."""
        traffic, words = self.traffic[client.port.name], client.bursts.sizes[client.sent]
        at = client.requests.popleft()
        if client.bursts.write:
            at = traffic.written = max(at, traffic.written) + words
        assert client.port.memory is not None and client.route is not None  # else it is passed
        client.flying.append(self.controllers[client.port.memory].send(client.route, client.sent, at))
        traffic.bursts, traffic.words = traffic.bursts + 1, traffic.words + words
        client.sent += 1

    def _go_on(self, until: int | None) -> list[Client]:
        """Carry out what DRAM does until cycle `until`, or until bursts are back; return whose they are."""
        flying = [client for client in self.clients if client.flying]
        step = min((max(1, client.latency) for client in flying), default=0)
        while flying and (until is None or self.now < until):
            self.now = self.now + step if until is None else min(self.now + step, until)
            for controllers in self.controllers.values():
                controllers.advance(self.now)
            back = sorted((clock, client.unit) for client in flying for clock in _news(client))
            if back:
                clients = {client.unit: client for client in flying}
                for clock, unit in back:
                    self._deliver(clients[unit], clock)
                return [clients[unit] for unit in dict.fromkeys(unit for _, unit in back)]
        self.now = max(self.now, until or 0)
        return []

    def _deliver(self, client: Client, clock: int) -> None:
        """Bring a word that has left the memory at `clock` over the port, one a cycle; or end a write."""
        assert client.port.memory is not None  # DRAM brought it
        at = self.controllers[client.port.memory].cycles(clock) + client.latency
        if not client.bursts.write:
            traffic = self.traffic[client.port.name]
            at = max(at, traffic.end)
            traffic.end = at + 1
        client.served.append(at)

    def statistics(self, cycles: int) -> dict[str, dict[str, Any]]:
        """Return what each DRAM did in a run of so many cycles."""
        return {name: controllers.statistics(cycles) for name, controllers in self.controllers.items()}


def _news(client: Client) -> Iterator[int]:
    """Yield the clock of each word, or written burst, of a client that is back: none before those ahead of it."""
    while client.flying:
        for clock in client.flying[0].news():
            client.last = max(client.last, clock)
            yield client.last
        if not client.flying[0].over:
            return
        client.flying.popleft()


def run(graph: Graph, net: Net, window: Window) -> Memory:
    """Carry out the whole run of a graph with memory ports; return what the ports did."""
    clients = {
        index: _client(graph, index, unit.bursts) for index, unit in enumerate(net.units) if unit.bursts is not None
    }
    used = {client.port.memory for client in clients.values()}
    controllers = {name: Controllers(graph.memories[name], graph.clock_hz) for name in graph.memories if name in used}
    memory = Memory(list(clients.values()), {name: Traffic() for name in graph.ports}, dict.fromkeys(clients, 0),
                    controllers)  # fmt: skip
    programs = [_program(net, window, unit, clients, memory) for unit in range(len(net.units))]
    blocking.drive(net, window, programs)
    while served := memory.serve():
        units = [client.unit for client in served if window.blocked.get(client.unit) == blocking.PORT]
        for unit in units:
            del window.blocked[unit]
        if units:
            blocking.drive(net, window, programs, units)
    return memory


def _client(graph: Graph, unit: int, bursts: Bursts) -> Client:
    port = graph.ports[bursts.port]
    return Client(unit, bursts, port, None if port.memory is None else Route(graph.memories[port.memory], bursts))


def _program(net: Net, window: Window, unit: int, clients: dict[int, Client], memory: Memory) -> Blocked:
    if unit not in clients:
        return blocking.static(net, unit, window, net.units[unit].repeat)
    client = clients[unit]
    return (_write if client.bursts.write else _read)(net, window, client, memory)


def _read(net: Net, window: Window, client: Client, memory: Memory) -> Blocked:
    """Push each word once it has come; a burst is requested when there is room for it in the buffer."""
    unit = client.unit
    (step,) = net.steps[unit]
    for _ in range(min(client.port.outstanding, len(client.bursts.sizes))):
        client.ask(0)
    t = window.times[unit]
    for size in client.bursts.sizes:
        for _ in range(size):
            while not client.served:
                window.times[unit] = t
                yield blocking.PORT
            word = client.served.popleft()
            memory.waited[unit] += max(0, word - t)
            window.note(unit, t, word, blocking.PORT)
            t = max(t, word)
            done = t + net.units[unit].latency
            for channel in step.pushes:
                while not window.credits[channel]:
                    window.times[unit] = t
                    yield ~channel
                t = window.push(net, channel, t, done)
            t += step.interval
        client.ask(t)
    window.times[unit] = t


def _write(net: Net, window: Window, client: Client, memory: Memory) -> Blocked:
    """Collect the words of a burst, then request it; it is over when its last word has gone."""
    unit = client.unit
    (step,) = net.steps[unit]
    t, flying = window.times[unit], 0
    for size in (*client.bursts.sizes, None):
        while flying >= (client.port.outstanding if size else 1):
            while not client.served:
                window.times[unit] = t
                yield blocking.PORT
            end, flying = client.served.popleft(), flying - 1
            memory.waited[unit] += max(0, end - t)
            window.note(unit, t, end, blocking.PORT)
            t = max(t, end)
        for _ in range(size or 0):
            for channel, release in step.takes:
                while not window.ready[channel]:
                    window.times[unit] = t
                    yield channel
                t = window.pop(net, channel, t, release)
            t += step.interval
        if size:
            client.ask(t)
            flying += 1
    window.times[unit] = t
