"""Memory ports in the run-to-block engine: readers and writers whose words come and go in bursts.

Requests are served in order of their time. A unit that is blocked can only be freed by a word of a burst not yet
served, so that whatever it requests later, it requests later than that burst was: when nobody can go on, the earliest
request known is the earliest of all, and is served.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sim.streaming import blocking
from sim.streaming.blocking import Blocked, Window
from sim.streaming.graph import Bursts, Graph, Port
from sim.streaming.net import Net


@dataclass
class Client:
    """A unit at a port: requests known and not served, and the first cycles of bursts served and not yet begun."""

    unit: int
    bursts: Bursts
    port: Port
    requests: deque[tuple[int, int]] = field(default_factory=deque)
    served: deque[int] = field(default_factory=deque)
    asked: int = 0
    issued: int = -1

    @property
    def latency(self) -> int:
        """Cycles from a request to the first word."""
        return self.port.write_latency if self.bursts.write else self.port.read_latency

    def ask(self, time: int) -> None:
        """Request the next burst, if there is one, at `time` or a cycle after the request before."""
        if self.asked < len(self.bursts.sizes):
            self.issued = max(self.issued + 1, time)
            self.requests.append((self.issued, self.bursts.sizes[self.asked]))
            self.asked += 1


@dataclass
class Traffic:
    """What went through a port: bursts, words, and the end of the last."""

    bursts: int = 0
    words: int = 0
    end: int = 0


@dataclass
class Memory:
    """The ports of a graph at work."""

    clients: list[Client]
    traffic: dict[str, Traffic]
    waited: dict[int, int]

    def serve(self) -> Client | None:
        """Serve the earliest request of all ports and return who asked; None where there is none."""
        asking = [client for client in self.clients if client.requests]
        if not asking:
            return None
        client = min(asking, key=lambda client: client.requests[0][0])
        issued, words = client.requests.popleft()
        traffic = self.traffic[client.port.name]
        start = max(issued + client.latency, traffic.end)
        traffic.bursts, traffic.words, traffic.end = traffic.bursts + 1, traffic.words + words, start + words
        client.served.append(start)
        return client


def run(graph: Graph, net: Net, window: Window) -> Memory:
    """Carry out the whole run of a graph with memory ports; return what the ports did."""
    clients = {
        index: Client(index, unit.bursts, graph.ports[unit.bursts.port])
        for index, unit in enumerate(net.units)
        if unit.bursts is not None
    }
    memory = Memory(list(clients.values()), {name: Traffic() for name in graph.ports}, dict.fromkeys(clients, 0))
    programs = [_program(net, window, unit, clients, memory) for unit in range(len(net.units))]
    blocking.drive(net, window, programs)
    while (client := memory.serve()) is not None:
        if window.blocked.get(client.unit) == blocking.PORT:
            del window.blocked[client.unit]
            blocking.drive(net, window, programs, [client.unit])
    return memory


def _program(net: Net, window: Window, unit: int, clients: dict[int, Client], memory: Memory) -> Blocked:
    if unit not in clients:
        return blocking.static(net, unit, window, net.units[unit].repeat)
    client = clients[unit]
    return (_write if client.bursts.write else _read)(net, window, client, memory)


def _read(net: Net, window: Window, client: Client, memory: Memory) -> Blocked:
    """Push each word once it has come; a burst is requested when there is room for it in the buffer."""
    unit = client.unit
    (step,) = net.steps[unit]
    for _ in range(client.port.outstanding):
        client.ask(0)
    t = window.times[unit]
    for size in client.bursts.sizes:
        while not client.served:
            window.times[unit] = t
            yield blocking.PORT
        start = client.served.popleft()
        for word in range(start, start + size):
            memory.waited[unit] += max(0, word - t)
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
    t, flying = window.times[unit], deque[int]()
    for size in (*client.bursts.sizes, None):
        while len(flying) >= (client.port.outstanding if size else 1):
            while not client.served:
                window.times[unit] = t
                yield blocking.PORT
            end = client.served.popleft() + flying.popleft()
            memory.waited[unit] += max(0, end - t)
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
            flying.append(size)
    window.times[unit] = t
