"""A graph to its result: chooses the engine, names what it found, and explains a deadlock."""

from __future__ import annotations

from collections.abc import Mapping

from sim.errors import ConfigError, Problem, unknown
from sim.streaming import blocking, checks, ports, rows
from sim.streaming.deadlock import explain
from sim.streaming.graph import Graph
from sim.streaming.net import Net
from sim.streaming.outcome import Outcome, of_window
from sim.streaming.result import StreamResult
from sim.streaming.schema import load
from sim.streaming.sizing import Sizing, size
from sim.streaming.values import resolve

ENGINES = ("auto", "vectorized", "run-to-block")


def simulate(graph: Graph | str, overrides: Mapping[str, object] = {}, engine: str = "auto") -> StreamResult:
    """Return what happens in `graph`, a Graph or the name or path of its file, with `overrides` in it.

    `engine` is `auto`, or one of the two that give the same: `vectorized`, where the graph allows it, and
    `run-to-block`. Raises ConfigError where the graph is wired wrongly.
    """
    if isinstance(graph, str):
        graph = load(graph, overrides)
    elif overrides:
        raise ConfigError(Problem("overrides are for graphs by name or path; change a Graph with its own methods"))
    graph = checked(graph)
    found = outcome(graph, engine)
    return StreamResult.of(graph, found, explain(graph, found, outcome) if found.blocked else None, overrides)


def size_fifos(graph: Graph | str, overrides: Mapping[str, object] = {}) -> Sizing:
    """Return the least depths that keep the throughput of `graph`, and what they cost.

    The depths of the graph itself play no part, but where they are quicker than more room is. Raises ConfigError where
    the graph is wired wrongly, DeadlockError where no depths let it run.
    """
    graph = load(graph, overrides) if isinstance(graph, str) else graph
    return size(checked(graph), outcome)


def checked(graph: Graph) -> Graph:
    """Return the graph, its wiring checked, and rates that depend on values fixed to what the values make of them."""
    checks.check(graph)
    resolved = resolve(graph)
    if resolved is not graph:
        checks.check(resolved)
    return resolved


def outcome(graph: Graph, engine: str = "auto", record: bool = False) -> Outcome:
    """Return the bare outcome of a graph that has passed the checks; `record` keeps the waits of every unit, which the
    run-to-block engine meets one by one."""
    if engine not in ENGINES:
        raise ConfigError(Problem(unknown("engine", engine, ENGINES)))
    net = Net.of(graph)
    found = None if engine == "run-to-block" or record else rows.run(net)
    if found is None:
        window = blocking.begin(net)
        window.waits = [[] for _ in net.units] if record else None
        memory = ports.run(graph, net, window)
        found = of_window(net, window, memory)
    return found
