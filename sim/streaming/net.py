"""A graph in numbers, as the engines take it: units and channels by index, operations split by what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

from sim.streaming.graph import FREES, TAKES, Graph, Unit


@dataclass(frozen=True)
class Step:
    """A phase in numbers: `takes` are (channel, whether its slot is freed at once), in program order."""

    count: int
    interval: int
    takes: tuple[tuple[int, bool], ...]
    frees: tuple[int, ...]
    pushes: tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """What the engines need of a graph. `reach` is how many pops back the slot of a push was freed; None: unbounded.

    A push of token i into a channel of capacity d needs the slot of token i - d; with k initial tokens the
    producer's own push j is token j + k, so that it waits for pop j - (d - k).
    """

    units: tuple[Unit, ...]
    steps: tuple[tuple[Step, ...], ...]
    channels: tuple[str, ...]
    producer: tuple[int, ...]
    consumer: tuple[int, ...]
    reach: tuple[int | None, ...]
    initial: tuple[int, ...]
    send: tuple[int, ...]
    credit: tuple[int, ...]
    tokens: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def iterations(self) -> int:
        """Into how many equal parts the run falls, after each of which the channels are as full as before."""
        return gcd(*(unit.repeat for unit in self.units))

    @classmethod
    def of(cls, graph: Graph) -> Net:
        """Return the graph in numbers; it must have passed the checks."""
        channels = {name: index for index, name in enumerate(graph.channels)}
        units = {name: index for index, name in enumerate(graph.units)}
        made = graph.channels.values()
        return cls(
            units=tuple(graph.units.values()),
            steps=tuple(_steps(unit, channels) for unit in graph.units.values()),
            channels=tuple(channels),
            producer=tuple(units[graph.producer[name]] for name in channels),
            consumer=tuple(units[graph.consumer[name]] for name in channels),
            reach=tuple(_reach(graph, name) for name in channels),
            initial=tuple(channel.initial for channel in made),
            send=tuple(channel.latency for channel in made),
            credit=tuple(channel.credit for channel in made),
            tokens=tuple(graph.tokens[name] for name in channels),
            order=tuple(units[name] for name in graph.order),
        )


def _reach(graph: Graph, name: str) -> int | None:
    capacity = graph.capacity(name)
    if capacity is None or capacity - graph.channels[name].initial >= graph.tokens[name]:
        return None
    return capacity - graph.channels[name].initial


def _steps(unit: Unit, channels: Mapping[str, int]) -> tuple[Step, ...]:
    return tuple(
        Step(
            phase.count, phase.interval,
            takes=tuple((channels[op.channel], op.verb in FREES) for op in phase.ops if op.verb in TAKES),
            frees=tuple(channels[op.channel] for op in phase.ops if op.verb == "free"),
            pushes=tuple(channels[op.channel] for op in phase.ops if op.verb == "push"),
        )
        for phase in unit.phases
    )  # fmt: skip
