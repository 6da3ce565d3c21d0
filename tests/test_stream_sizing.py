"""FIFO sizing: no channel can lose a slot, occupancy beside it, the curve, and what a FIFO costs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest

from sim.errors import DeadlockError
from sim.streaming.deadlock import blocks
from sim.streaming.graph import Channel, Graph, Op, Phase, Unit
from sim.streaming.schema import load
from sim.streaming.simulate import outcome, simulate, size_fifos
from sim.streaming.sizing import bram18
from tests.laws import law
from tests.streaming_oracle import graphs


def test_naive_attention_needs_2_for_v_where_occupancy_says_68() -> None:
    sizing = size_fifos("attention/naive", {"n": 64})
    assert sizing.sized.depths == {"q": 1, "k": 2, "v": 2, "a": 2, "b": 66, "s": 1, "d": 2, "o": 1}
    assert sizing.occupancy.depths["v"] == 68
    assert sizing.sized.cycles == 64 * 64 + 64 + 3
    assert sizing.proven
    assert sizing.sized.bits == 77 * 32


@pytest.mark.parametrize("graph", ["scaled", "reorder", "memory_free", "window"])
def test_no_channel_can_lose_a_slot(graph: str) -> None:
    checked = load(f"attention/{graph}", {"n": 20, "latency": 2})
    sizing = size_fifos(checked)
    depths = sizing.sized.depths
    for name, depth in depths.items():
        if depth > max(1, checked.channels[name].initial):
            found = outcome(checked.with_depths({**depths, name: depth - 1}))
            assert found.blocked or found.cycles > sizing.sized.cycles, name


@law(graphs(), quick=40, full=400)
def test_sized_depths_keep_the_cycles_of_unbounded_channels_and_cannot_shrink(graph: Graph) -> None:
    unbounded = outcome(graph.with_depths(dict.fromkeys(graph.channels)))
    if unbounded.blocked:
        with pytest.raises(DeadlockError):
            size_fifos(graph)
        return
    sizing = size_fifos(graph)
    depths = dict(sizing.sized.depths)
    assert outcome(graph.with_depths(depths)).cycles == sizing.sized.cycles == unbounded.cycles
    assert outcome(graph.with_depths(dict(sizing.occupancy.depths))).cycles == unbounded.cycles
    for name, depth in depths.items():
        least = max(0 if graph.buffer(name) else 1, graph.channels[name].initial - graph.buffer(name))
        if depth > least:
            found = outcome(graph.with_depths({**depths, name: depth - 1}))
            assert found.blocked or found.cycles > unbounded.cycles
    for fewer, more in pairwise(sizing.curve):
        assert fewer.bits < more.bits and fewer.cycles > more.cycles
    for choice in sizing.curve:
        assert outcome(graph.with_depths(dict(choice.depths))).cycles == choice.cycles
    assert sizing.curve[-1].cycles == unbounded.cycles


def as_memories(graph: Graph) -> Graph:
    """Return the graph with every channel a cycle slower where it is deeper than a shift register, as in HLS."""
    channels = {name: replace(c, deep_send=c.send + 1) for name, c in graph.channels.items()}
    return replace(graph, channels=channels)


@law(graphs(), quick=60, full=1_000)
def test_sized_memories_and_shift_registers_take_the_cycles_told_and_cannot_shrink(graph: Graph) -> None:
    graph = as_memories(graph)
    unbounded = outcome(graph.with_depths(dict.fromkeys(graph.channels)))
    if unbounded.blocked:
        return
    sizing = size_fifos(graph)
    depths, cycles = dict(sizing.sized.depths), sizing.sized.cycles
    assert cycles == outcome(graph.with_depths(depths)).cycles <= unbounded.cycles
    for name, depth in depths.items():
        if depth > max(0 if graph.buffer(name) else 1, graph.channels[name].initial - graph.buffer(name)):
            found = outcome(graph.with_depths({**depths, name: depth - 1}))
            assert found.blocked or found.cycles > cycles
    ranges = [range(max(1, graph.channels[name].initial), 5) for name in depths]
    if sizing.proven and len(depths) <= 3:
        for other in (dict(zip(depths, each, strict=True)) for each in product(*ranges)):
            if sum(other.values()) < sum(depths.values()):
                found = outcome(graph.with_depths(other))
                assert found.blocked or found.cycles > cycles


def test_a_fifo_of_hls_is_as_slow_as_it_is_deep_whatever_the_file_said(tmp_path: Path) -> None:
    path = tmp_path / "chain.yaml"
    path.write_text("""name: chain
units:
  a: {kind: source, firings: 9, push: x}
  b: {kind: map, firings: 9, pop: x, push: y}
  c: {kind: sink, firings: 9, pop: y}
channel: {preset: hls, depth: 8}
""")
    assert simulate(str(path)).cycles == 9 + 2 * 2 - 1  # each memory is two cycles from write to read
    sized = size_fifos(str(path)).sized
    assert (sized.depths, sized.cycles) == ({"x": 2, "y": 2}, 9 + 2 * 1 - 1)
    assert simulate(str(path), {"channel.depth": 2}).cycles == sized.cycles


def test_sizing_is_no_slower_than_the_depths_written_where_more_room_lets_a_reader_in_the_way(tmp_path: Path) -> None:
    """With room for all its words, the second reader takes the port from the first, for which everybody waits."""
    path = tmp_path / "turns.yaml"
    path.write_text("""name: turns
ports: {m: {}}
units:
  first: {kind: reader, port: m, words: 1024, push: x}
  second: {kind: reader, port: m, words: 1024, address: 4096, push: y}
  all: {kind: reduce, firings: 1024, group: 1024, pop: x, push: t}
  join: {kind: zip, firings: 1024, group: 1024, pop: {t: first, y: each}, push: z}
  sink: {kind: sink, firings: 1024, pop: z}
channel: {depth: 2}
""")
    written, sizing = simulate(str(path)), size_fifos(str(path))
    unbounded = simulate(str(path), dict.fromkeys((f"channels.{name}.depth" for name in "xytz"), "unbounded"))
    assert written.cycles is not None and unbounded.cycles is not None
    assert sizing.sized.cycles <= written.cycles < unbounded.cycles


def diamond() -> Graph:
    """A graph whose two ways round can trade slots: which of the two is the deeper does not matter to the cycles."""
    units = [
        Unit("a", "source", (Phase.of(3, pushes=["x"]), Phase.of(3, pushes=["y"])), 4),
        Unit("b", "zip", (Phase.of(3, ["y"]), Phase.of(3, ["x"])), 4),
    ]
    return Graph.of("diamond", units, [Channel("x"), Channel("y")])


def test_the_fewest_bits_are_found_where_all_depths_can_be_tried() -> None:
    graph = diamond()
    sizing = size_fifos(graph)
    bits = [
        32 * (x + y)
        for x, y in product(range(1, 13), repeat=2)
        if not (found := outcome(graph.with_depths({"x": x, "y": y}))).blocked and found.cycles == sizing.sized.cycles
    ]
    assert sizing.sized.bits == min(bits)


@law(graphs(), quick=60, full=1_000)
def test_the_smallest_change_of_a_deadlock_frees_it_and_a_slot_less_does_not(graph: Graph) -> None:
    deadlock = simulate(graph).deadlock
    if deadlock is None or not deadlock.change:
        if deadlock is not None:
            freed = dict.fromkeys(item.channel for item in deadlock.blocked if item.state == "full")
            ring = [item.channel for item in deadlock.ring if item.state == "full"]
            assert not ring or blocks(graph.with_depths(dict.fromkeys(freed)), outcome)
        return
    change = dict(deadlock.change)
    assert not simulate(graph.with_depths(change)).deadlock
    for name, depth in change.items():
        assert simulate(graph.with_depths({**change, name: depth - 1})).deadlock


def test_a_graph_that_no_depth_frees_says_so() -> None:
    units = [
        Unit("a", "zip", (Phase.of(1, ["back", "back"], ["x", "x"]),), 3),
        Unit("b", "map", (Phase.of(1, ["x"], ["back"]),), 6),
    ]
    graph = Graph.of("loop", units, [Channel("x"), Channel("back", initial=1)])
    deadlock = simulate(graph).deadlock
    assert deadlock is not None and deadlock.change == {}
    with pytest.raises(DeadlockError) as error:
        size_fifos(graph)
    assert str(error.value) == (
        "deadlock: no unit can go on\n  a waits for a token that no depth can bring\n"
        "  b waits for a token that no depth can bring"
    )


def test_a_fifo_costs_the_block_rams_of_its_best_shape() -> None:
    assert [bram18(depth, bits) for depth, bits in ((2, 512), (32, 32), (33, 32), (512, 36), (513, 36), (512, 37))] == [
        0, 0, 1, 1, 2, 2,
    ]  # fmt: skip
    assert bram18(16384, 1) == bram18(2048, 9) == 1
    assert bram18(4096, 16) == 4


def test_a_slot_that_is_free_at_once_may_be_needed_twice_in_a_cycle() -> None:
    """The unit pushes into its own loop before it pops in the same cycle; at the end of each, one token is there."""
    loop = Phase(1, (Op("push", "x"), Op("push", "own")), 0), Phase(1, (Op("pop", "own"),), 1)
    units = [Unit("a", "any", loop, 8), Unit("b", "sink", (Phase.of(1, ["x"], interval=0),), 8, 0)]
    graph = Graph.of("g", units, [Channel("x"), Channel("own", 2, initial=1, credit=0)])
    found = size_fifos(graph)
    assert simulate(graph).channels["own"].peak_occupancy <= 2
    assert found.sized.depths["own"] == 2
    assert found.sized.cycles == simulate(graph).cycles
