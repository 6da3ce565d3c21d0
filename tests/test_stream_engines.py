"""The three engines agree on everything: vectorized, run-to-block, and the plain simpy implementation."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from sim.streaming import rows
from sim.streaming.graph import Graph
from sim.streaming.net import Net
from sim.streaming.schema import load
from sim.streaming.simulate import simulate
from tests.laws import law
from tests.streaming_oracle import graphs, same

ATTENTION = ("naive", "scaled", "reorder", "reorder_nomax", "memory_free", "window")


@law(graphs(), st.sampled_from((1, 1, 13, 30)), quick=120, full=4_000)
def test_random_graphs_are_the_same_on_every_engine(graph: Graph, firings: int) -> None:
    same(graph, firings)


@st.composite
def disturbed(draw):
    """An attention graph with the latency or interval of one unit, or one depth, changed."""
    name, n = draw(st.sampled_from(ATTENTION)), draw(st.integers(2, 12))
    settings = {"n": n, "latency": draw(st.integers(0, 4)), "interval": draw(st.integers(0, 3)),
                "short_depth": draw(st.integers(1, 5))}  # fmt: skip
    if name == "window":
        settings["window"] = draw(st.integers(2, 9))
    else:
        settings["long_depth"] = max(1, n + draw(st.integers(-4, 6)))
    graph = load(f"attention/{name}", settings)
    kind = draw(st.sampled_from(("latency", "interval", "depth", "nothing")))
    if kind == "depth":
        channel = draw(st.sampled_from(sorted(graph.channels)))
        least = max(1, graph.channels[channel].initial)
        settings[f"channels.{channel}.depth"] = least + draw(st.integers(0, 9))
    elif kind != "nothing":
        settings[f"units.{draw(st.sampled_from(sorted(graph.units)))}.{kind}"] = draw(st.integers(0, 9))
    return load(f"attention/{name}", settings)


@law(disturbed(), st.sampled_from((1, 1, 20)), quick=80, full=3_000)
def test_every_attention_graph_with_one_thing_changed_is_the_same_on_every_engine(graph: Graph, firings: int) -> None:
    same(graph, firings)


@pytest.mark.parametrize("name", ATTENTION)
def test_the_vectorized_engine_takes_the_attention_graphs(name: str) -> None:
    """Else the laws above would hold of nothing."""
    assert same(load(f"attention/{name}", {"n": 9}))


def test_rows_settle_from_a_guess_and_need_no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    replays = []
    replay = rows.Rows.replay
    monkeypatch.setattr(rows.Rows, "replay", lambda self, block: replays.append(1) or replay(self, block))
    graph = load("attention/naive", {"n": 100})
    assert rows.run(Net.of(graph), fast_forward=False) is not None
    assert len(replays) <= 3


def test_recurrence_is_found_within_a_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    end = rows.Rows._end
    monkeypatch.setattr(rows.Rows, "_end", lambda self, *found: ends.append(1) or end(self, *found))
    assert simulate("attention/scaled", {"n": 500}).cycles == 500 * 500 + 2 * 500 + 4
    assert len(ends) <= 8
