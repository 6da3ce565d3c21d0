"""Values on tokens: what every unit computes, and the rates that depend on it.

A graph of units that wait for their inputs computes the same values whatever the timing is (Kahn, The semantics of a
simple language for parallel programming, 1974). So values come first, without time: they give the results, and how
many tokens a unit with a rate that depends on values makes of each of its own. With these known, the graph is one of
fixed rates, and time is the business of the engines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

from sim.errors import ConfigError, Problem, unknown
from sim.streaming.formula import Place
from sim.streaming.graph import TAKES, Graph, Op, Phase, Unit

Values = Mapping[str, Sequence[Any]]
"""By channel, the values of its tokens in order."""
Firings = Generator[tuple[Op, Any], Any, None]
"""A unit at work: it yields its operations, with the value to push, and is sent the values that it takes."""


class Behaviour(Protocol):
    """What a unit computes, firing by firing."""

    def start(self, parameter: Any) -> dict[str, Any]:
        """Return the state with which a round of phases begins; `parameter` is what the caller gave the unit."""

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        """Take in what was `taken` in this firing, change the state, and return what may be pushed, by channel."""


@dataclass(frozen=True)
class Unknown:
    """A value that nothing says: `unit` is where it came up."""

    unit: str


def carry(graph: Graph, sources: Mapping[str, Sequence[Any]] = {}, initial: Mapping[str, Sequence[Any]] = {},
          parameters: Mapping[str, Any] = {}) -> Values:  # fmt: skip
    """Return the values that sinks and writers take, by channel.

    `sources`: what sources and readers push, by channel; `initial`: the values of initial tokens, 0 where not given;
    `parameters`: what a unit needs beside its file, such as the matrix of a matrix-vector unit. Raises ConfigError
    where a name is wrong, values are too few or too many, or nothing says what a unit computes.
    """
    _check(graph, sources, initial, parameters)
    taken = _run(graph, sources, initial, parameters).taken
    for channel, values in taken.items():
        lost = next((value for value in values if isinstance(value, Unknown)), None)
        if lost is not None:
            unit = graph.units[lost.unit]
            way = "give its values" if not unit.channels(*TAKES) else "give it 'compute', or its parameter"
            message = f"nothing says what it pushes, and '{channel}' depends on it; {way}"
            raise ConfigError(Problem(message, graph.name, key=f"units.{lost.unit}"))
    return taken


def resolve(graph: Graph, sources: Mapping[str, Sequence[Any]] = {}, initial: Mapping[str, Sequence[Any]] = {},
            parameters: Mapping[str, Any] = {}) -> Graph:  # fmt: skip
    """Return the graph with every rate that depends on values fixed to what the values make of it.

    Raises ConfigError where a rate depends on a value that nothing says.
    """
    if not any(unit.dynamic for unit in graph.units.values()):
        return graph
    counts = _run(graph, sources, initial, parameters).counts
    fixed = {name: replace(graph.units[name], phases=_phases(graph.units[name], found), repeat=1, dynamic=False)
             for name, found in counts.items()}  # fmt: skip
    return replace(graph, units={**graph.units, **fixed})


def _phases(unit: Unit, counts: Sequence[int]) -> tuple[Phase, ...]:
    """Return the firings of a unit that pops a token and then pushes so many, a firing each."""
    (phase,) = unit.phases
    takes = tuple(op for op in phase.ops if op.verb in TAKES)
    pushes = tuple(op for op in phase.ops if op.verb == "push")
    found = list[Phase]()
    for count, same in groupby(counts):
        times = len(list(same))
        if count < 2:
            found.append(Phase(times, takes + pushes * count, phase.interval))
        else:
            more = Phase(count - 1, pushes, phase.interval)
            found += [Phase(1, takes + pushes, phase.interval), more] * times
    return tuple(found)


@dataclass(frozen=True)
class _Found:
    taken: dict[str, list[Any]]
    counts: dict[str, list[int]]


def _run(graph: Graph, sources: Values, initial: Values, parameters: Mapping[str, Any]) -> _Found:
    """Let every unit go on until it has ended or waits for a token that never comes."""
    queues = {name: deque(initial.get(name, [0] * channel.initial)) for name, channel in graph.channels.items()}
    found = _Found({}, {})
    works = {unit.name: _work(graph, unit, sources, parameters, found) for unit in graph.units.values()}
    waiting = {name: iter(_go(work, queues)) for name, work in works.items()}
    blocked: dict[str, str] = {}
    ready = deque(graph.order)
    while ready:
        name = ready.popleft()
        try:
            at = next(waiting[name], None)
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise ConfigError(Problem(f"cannot compute: {error}", graph.name, key=f"units.{name}")) from None
        if at is not None:
            blocked[name] = at
        for other, channel in list(blocked.items()):
            if queues[channel]:
                del blocked[other]
                ready.append(other)
    return found


def _go(work: Firings, queues: Mapping[str, deque[Any]]) -> Iterator[str]:
    """Carry operations out; yield the channel where a token is missing."""
    answer = None
    while True:
        try:
            op, value = work.send(answer)
        except StopIteration:
            return
        answer = None
        if op.verb == "push":
            queues[op.channel].append(value)
        elif op.verb in TAKES:
            while not queues[op.channel]:
                yield op.channel
            answer = queues[op.channel].popleft()


def _work(graph: Graph, unit: Unit, sources: Values, parameters: Mapping[str, Any], found: _Found) -> Firings:
    parameter = parameters.get(unit.name)
    if unit.dynamic:
        return _dynamic(unit, found.counts.setdefault(unit.name, []))
    behaviour: Behaviour = unit.behaviour or _Nothing(unit.name)
    if not unit.channels(*TAKES):
        behaviour = _Given(unit, sources, behaviour)
    elif not unit.channels("push"):
        behaviour = _Kept(found.taken)
    return _static(unit, behaviour, parameter)


def _static(unit: Unit, behaviour: Behaviour, parameter: Any) -> Firings:
    """Go through the phases, the behaviour computing what each firing pushes."""
    group, number = sum(phase.count for phase in unit.phases), 0
    for _ in range(unit.repeat):
        state, first = behaviour.start(parameter), number
        lost: Unknown | None = None
        for phase in unit.phases:
            takes = [op for op in phase.ops if op.verb in TAKES]
            pushes = [op for op in phase.ops if op.verb == "push"]
            for _ in range(phase.count):
                taken = {}
                for op in takes:
                    taken[op.channel] = yield op, None
                place = Place(number, number - first, number - first == group - 1, bool(pushes))
                lost = lost or next((value for value in taken.values() if isinstance(value, Unknown)), None)
                pushed = _All(lost) if lost and unit.channels("push") else behaviour.step(state, taken, place)
                for op in pushes:
                    yield op, pushed[op.channel]
                number += 1


def _dynamic(unit: Unit, counts: list[int]) -> Firings:
    """Pop a token, ask how many it makes, push them; `counts` keeps how many."""
    (phase,) = unit.phases
    (take,) = (op for op in phase.ops if op.verb in TAKES)
    (push,) = (op for op in phase.ops if op.verb == "push")
    for number in range(unit.repeat):
        value = yield take, None
        if isinstance(value, Unknown):
            raise ValueError(f"its rate depends on values, and nothing says what '{value.unit}' pushes; "
                             f"give '{value.unit}' a 'compute', or its values")  # fmt: skip
        made = unit.behaviour.expand({take.channel: value}, number)
        counts.append(len(made))
        for value in made:
            yield push, value


@dataclass(frozen=True)
class _Nothing:
    """The behaviour of a unit of which nothing says what it computes."""

    unit: str

    def start(self, parameter: Any) -> dict[str, Any]:
        return {}

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        return _All(Unknown(self.unit))


class _All(dict[str, Any]):
    """The same value for every channel."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, key: str) -> Any:
        return self.value


class _Given:
    """A source or reader: what it is given, or else what its own behaviour says."""

    def __init__(self, unit: Unit, sources: Values, behaviour: Behaviour) -> None:
        self.rest = {c: iter(sources[c]) for c in unit.channels("push") if c in sources}
        self.behaviour = behaviour

    def start(self, parameter: Any) -> dict[str, Any]:
        return self.behaviour.start(parameter)

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        own = self.behaviour.step(state, taken, place)
        return _Next(self.rest, own)


class _Next(dict[str, Any]):
    """The next of the values given for a channel, else the unit's own."""

    def __init__(self, rest: Mapping[str, Iterator[Any]], own: Mapping[str, Any]) -> None:
        super().__init__()
        self.rest, self.own = rest, own

    def __missing__(self, key: str) -> Any:
        return next(self.rest[key]) if key in self.rest else self.own[key]


class _Kept:
    """A sink or writer: keeps what it takes."""

    def __init__(self, taken: dict[str, list[Any]]) -> None:
        self.taken = taken

    def start(self, parameter: Any) -> dict[str, Any]:
        return {}

    def step(self, state: dict[str, Any], taken: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        for channel, value in taken.items():
            self.taken.setdefault(channel, []).append(value)
        return {}


def _check(graph: Graph, sources: Values, initial: Values, parameters: Mapping[str, Any]) -> None:
    made = [c for unit in graph.units.values() if not unit.channels(*TAKES) for c in unit.channels("push")]
    problems = [Problem(unknown("source channel", name, made), graph.name) for name in sources if name not in made]
    problems += [Problem(unknown("channel", n, graph.channels), graph.name) for n in initial if n not in graph.channels]
    problems += [Problem(unknown("unit", n, graph.units), graph.name) for n in parameters if n not in graph.units]
    wanted = {name: graph.tokens[name] for name in sources if name in made}
    wanted |= {name: graph.channels[name].initial for name in initial if name in graph.channels}
    for name, count in wanted.items():
        given = len({**sources, **initial}[name])
        if given != count:
            problems.append(Problem(f"{given} values are given, {count} tokens are sent", graph.name,
                                    key=f"channels.{name}"))  # fmt: skip
    if problems:
        raise ConfigError(*problems)
