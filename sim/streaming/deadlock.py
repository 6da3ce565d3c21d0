"""Why a graph is deadlocked: who is blocked on what, the cycle of waiting, and the smallest change that frees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sim.streaming import blocking
from sim.streaming.graph import FREES, TAKES, Graph, Op, Unit
from sim.streaming.net import Net
from sim.streaming.outcome import Outcome

Run = Callable[[Graph], Outcome]


@dataclass(frozen=True)
class Blocked:
    """A unit that cannot go on: the channel it waits at, `full` or `empty`, who must act there, and since when.

    `tokens_short`: the slots (full) or tokens (empty) it must still get there before it can do what the unit before
    it in the ring waits for; 1, those for its next step, where it is in no ring.
    """

    unit: str
    channel: str
    state: str
    waits_for: str
    since: int
    tokens_short: int = 1


@dataclass(frozen=True)
class Deadlock:
    """Every unit that is blocked, the units that wait for one another in a ring, and depths that free it.

    `change` is empty where no depth can: the loop itself lacks tokens.
    """

    blocked: tuple[Blocked, ...]
    ring: tuple[Blocked, ...]
    change: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the ring and the change as plain data."""
        return {"waiting_cycle": [asdict(item) for item in self.ring], "smallest_change": dict(self.change)}


def explain(graph: Graph, outcome: Outcome, run: Run) -> Deadlock:
    """Return the explanation of an outcome that is blocked; `run` tries changed graphs where they need ports."""
    net = Net.of(graph)
    waits = sorted(outcome.blocked.items())
    items = {net.units[unit].name: _blocked(graph, net, outcome, unit, code) for unit, code in waits}
    ring = _ring(items)
    for before, item in zip((*ring[-1:], *ring[:-1]), ring, strict=True):
        pushed = outcome.pushed[net.channels.index(item.channel)]
        items[item.unit] = replace(item, tokens_short=_short(graph, pushed, item, before))
    ring = tuple(items[item.unit] for item in ring)
    return Deadlock(tuple(items.values()), ring, _change(graph, ring, run))


def blocks(graph: Graph, run: Run) -> bool:
    """Return whether the graph deadlocks: if its first iteration ends, no later one can block."""
    if graph.ports:
        return bool(run(graph).blocked)
    net = Net.of(graph)
    window = blocking.begin(net, net.iterations)
    blocking.run(net, window, [unit.repeat // net.iterations for unit in net.units])
    return bool(window.blocked)


def _blocked(graph: Graph, net: Net, outcome: Outcome, unit: int, code: int) -> Blocked:
    full = code < 0
    channel = net.channels[~code if full else code]
    other = graph.consumer[channel] if full else graph.producer[channel]
    return Blocked(net.units[unit].name, channel, "full" if full else "empty", other, outcome.times[unit])


def _ring(items: Mapping[str, Blocked]) -> tuple[Blocked, ...]:
    """Follow who waits for whom until a unit comes again; empty where it ends at a unit that has finished."""
    way: dict[str, Blocked] = {}
    name = next(iter(items))
    while name in items and name not in way:
        way[name] = items[name]
        name = items[name].waits_for
    if name not in way:
        return ()
    names = list(way)
    return tuple(way[n] for n in names[names.index(name) :])


def _short(graph: Graph, pushed: int, item: Blocked, before: Blocked) -> int:
    """Return how often `item` must still get past its channel until it does what `before` waits for.

    `pushed` tokens have gone into its channel: so many pushes it has made there, or it has taken them all.
    """
    unit, full = graph.units[item.unit], item.state == "full"
    done = pushed if full else pushed + graph.channels[item.channel].initial
    blocked = ("push",) if full else TAKES
    wanted = ("push",) if before.state == "empty" else FREES
    past = 0
    for op in _program(unit):
        past += op.channel == item.channel and op.verb in blocked
        if past > done and op.channel == before.channel and op.verb in wanted:
            break
    return max(1, past - done)


def _program(unit: Unit) -> Iterator[Op]:
    for _ in range(unit.repeat):
        for phase in unit.phases:
            for _ in range(phase.count):
                yield from phase.ops


def _change(graph: Graph, ring: tuple[Blocked, ...], run: Run) -> dict[str, int]:
    """Return the depths that free the graph with the fewest bits more: of one full channel, else of several."""
    full = list(dict.fromkeys(item.channel for item in ring if item.state == "full"))
    alone = [change for name in full if (change := _deepen(graph, [name], run))]
    if alone:
        return min(alone, key=lambda change: _added(graph, change))
    return _together(graph, full, run)


def _together(graph: Graph, full: list[str], run: Run) -> dict[str, int]:
    """Deepen ring after ring until the graph runs: freeing one may show the next."""
    opened = list(full)
    while opened:
        trial = graph.with_depths(dict.fromkeys(opened))
        found = run(trial)
        if not found.blocked:
            return _deepen(graph, opened, run)
        net = Net.of(trial)
        more = [net.channels[~code] for code in found.blocked.values() if code < 0]
        if not set(more) - set(opened):
            return {}
        opened += [name for name in more if name not in opened]
    return {}


def _deepen(graph: Graph, names: list[str], run: Run) -> dict[str, int]:
    """Return the least depths of `names`, one after the other, with which the graph runs; {} where none do."""
    freed = graph.with_depths(dict.fromkeys(names))
    if blocks(freed, run):
        return {}
    found = {}
    for name in names:
        found[name] = _least(freed, name, graph, run)
        freed = freed.with_depths({name: found[name]})
    return {name: depth for name, depth in found.items() if depth != graph.channels[name].depth}


def _least(freed: Graph, name: str, graph: Graph, run: Run) -> int:
    low = (graph.channels[name].depth or 1) - 1
    high = graph.tokens[name] + graph.channels[name].initial
    step = 1
    while low + step < high and blocks(freed.with_depths({name: low + step}), run):
        low, step = low + step, 2 * step
    high = min(high, low + step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if blocks(freed.with_depths({name: middle}), run) else (low, middle)
    return high


def _added(graph: Graph, change: Mapping[str, int]) -> int:
    return sum((depth - (graph.channels[c].depth or 0)) * graph.channels[c].bits for c, depth in change.items())
