"""Speed of the streaming engines. Prints the tables of reports/streaming.md (a minute).

    python tests/perf/streaming.py

CPU seconds of this process, the least of three runs; the rates are of firings of all units.
"""

from collections.abc import Callable
from time import process_time

from sim.streaming import rows
from sim.streaming.graph import Graph
from sim.streaming.net import Net
from sim.streaming.schema import load
from sim.streaming.simulate import outcome, size_fifos

ATTENTION = ("naive", "scaled", "reorder", "reorder_nomax", "memory_free")


def seconds(act: Callable[[], object]) -> float:
    """Return the CPU seconds of the fastest of three calls."""
    taken = []
    for _ in range(3):
        start = process_time()
        act()
        taken.append(process_time() - start)
    return min(taken)


def firings(graph: Graph) -> int:
    """Return the firings of all units."""
    return sum(unit.firings for unit in graph.units.values())


def attention(n: int) -> None:
    """Print the attention graphs over n queries and n keys, loading the file included."""
    print(f"| n = {n} | cycles | firings | seconds |\n|---|---|---|---|")
    for name in ATTENTION:
        graph = load(f"attention/{name}", {"n": n})
        taken = seconds(lambda name=name: outcome(load(f"attention/{name}", {"n": n})))
        print(f"| {name} | {outcome(graph).cycles:,} | {firings(graph):,} | {taken:.3f} |")
    print()


def engines(n: int) -> None:
    """Print how the engines compare on one graph."""
    graph = load("attention/scaled", {"n": n})
    net = Net.of(graph)
    ways: dict[str, Callable[[], object]] = {
        "vectorized, rows that recur skipped": lambda: rows.run(net),
        "vectorized, every row": lambda: rows.run(net, fast_forward=False),
        "run-to-block": lambda: outcome(graph, "run-to-block"),
    }
    print(f"| scaled, n = {n} | seconds | million firings a second |\n|---|---|---|")
    for name, act in ways.items():
        taken = seconds(act)
        print(f"| {name} | {taken:.4f} | {firings(graph) / taken / 1e6:,.2f} |")
    print()


def sizing() -> None:
    """Print what FIFO sizing takes."""
    print("| sizing | seconds |\n|---|---|")
    for name, settings in (("naive", {"n": 64}), ("scaled", {"n": 256}), ("memory_free", {"n": 256, "latency": 3})):
        taken = seconds(lambda name=name, settings=settings: size_fifos(f"attention/{name}", settings))
        print(f"| {name}, {', '.join(f'{k} = {v}' for k, v in settings.items())} | {taken:.2f} |")


if __name__ == "__main__":
    attention(4096)
    attention(256)
    engines(256)
    sizing()
