"""Every mistake in a streaming graph is told by the name of what is wrong: file, line, key, and the way out."""

from __future__ import annotations

import pytest

from sim.errors import ConfigError
from sim.streaming.graph import Channel, Graph, Phase, Unit
from sim.streaming.kinds import UNITS
from sim.streaming.schema import load
from sim.streaming.simulate import simulate

GRAPH = """\
name: graph
params: {n: 4}
units:
  a: {kind: source, firings: "=n", push: [x, y]}
  b: {kind: map, firings: 4, pop: x, push: z}
  c: {kind: sink, firings: 4, pop: z}
  d: {kind: sink, firings: 4, pop: y}
channel: {depth: 2}
channels:
  z: {bits: 8}
"""
KINDS = ", ".join(UNITS)
LOOP = """\
name: graph
units:
  a: {kind: source, firings: 4, push: [x]}
  b: {kind: zip, firings: 4, pop: [x, back], push: z, compute: x + back}
  c: {kind: broadcast, firings: 4, pop: z, push: [back, y]}
  d: {kind: sink, firings: 4, pop: y}
channels: {back: {}}
"""


def told(text: str, tmp_path, monkeypatch, **settings) -> str:
    """Return what is said of a graph with this text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load("graph.yaml", {key.replace("__", "."): value for key, value in settings.items()})
    return str(error.value)


WRONG = [
    ("name: graph", "name: other", "1: name: must end with the name of its file, 'graph'"),
    ("params: {n: 4}", "params: {n: 2.5}", "2: params.n: expected a whole number, not 2.5"),
    ("params: {n: 4}", "params: {n: null}", "2: params.n: has no value: give it one with --set n=..."),
    ('"=n"', '"=m"', "4: units.a.firings: unknown name 'm'; choose from: n"),
    ("kind: map", "kind: mpa", f"5: units.b.kind: unknown unit kind 'mpa'; did you mean 'map'? choose from: {KINDS}"),
    ("{kind: map, ", "{", "5: units.b: missing key 'kind'"),
    ("firings: 4, pop: x", "firings: 4, group: 3, pop: x",
     "5: units.b: 4 firings are no whole number of groups of 3"),
    ("pop: x, push: z", "pop: {x: {first: 2}}, push: z",
     "5: units.b: a group of 1 firings has no 2 to choose; enlarge 'group'"),
    ("pop: x, push: z", "pop: [x, y], push: z", "5: units.b: a unit of this kind has 1 channels to pop, not 2"),
    ("push: z}", "push: z, compute: x + y}",
     "5: units.b: unknown name 'y'; choose from: firing, first, i, inf, last, pi, x"),
    ("push: z}", "push: z, compute: open(x)}", "5: units.b: unknown function 'open'; choose from: abs, dot, exp, log, "
     "max, maximum, minimum, round, sqrt, sum, tanh, where"),
    ("push: z}", "push: z, compute: x.real}", "5: units.b: 'x.real' is not allowed in a formula"),
    ("d: {kind: sink, firings: 4", "d: {kind: sink, firings: 5",
     "9: channels.y: a pushes 4 tokens in the whole run, d pops 5; make their firings or patterns match"),
    ("push: [x, y]}", "push: [x, y, w]}", "9: channels.w: dangles: no unit has it popped; its other end is a"),
    ("push: [x, y]}", "push: [x]}", "9: channels.y: dangles: no unit has it pushed into; its other end is d"),
    ("push: [x, y]}", "push: [x, y, z]}", "10: channels.z: is pushed into by a and b; a channel has one producer"),
    ("channel: {depth: 2}", "channel: {depth: 0}", "8: channel.depth: is 0; a channel needs at least 1"),
    ("z: {bits: 8}", "z: {depth: -1}", "10: channels.z.depth: is -1; a channel needs at least 1"),
    ("z: {bits: 8}", "z: {depth: two}", "10: channels.z.depth: expected a number of tokens or 'unbounded', not 'two'"),
    ("z: {bits: 8}", "z: {initial: 3}", "10: channels.z.initial: 3 tokens do not fit in 2 slots"),
    ("z: {bits: 8}", "zz: {bits: 8}", "10: channels.zz: unknown channel 'zz'; did you mean 'z'? choose from: x, y, z"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_one_wrong_thing_is_told(before: str, after: str, message: str, tmp_path, monkeypatch) -> None:
    assert GRAPH.count(before) == 1, before
    said = told(GRAPH.replace(before, after), tmp_path, monkeypatch)
    assert f"graph.yaml:{message}" in said.splitlines()


def test_a_loop_without_initial_tokens_is_named_unit_by_unit(tmp_path, monkeypatch) -> None:
    assert told(LOOP, tmp_path, monkeypatch) == (
        "graph.yaml:7: channels.z.initial: the loop b -z -> c -back -> b has no initial tokens, so that no unit in "
        "it can ever begin; give a channel of it 'initial' tokens"
    )
    (tmp_path / "graph.yaml").write_text(LOOP.replace("back: {}", "back: {initial: 1}"))
    assert simulate("graph.yaml").cycles == 9


@pytest.mark.parametrize(("settings", "message"), [
    ({"m": 3}, "--set m: unknown key 'm'; choose from: channels.NAME.KEY, n, units.NAME.KEY"),
    ({"units__bb__latency": 3}, "--set units.bb.latency: unknown unit 'bb'; did you mean 'b'? choose from: a, b, c, d"),
    ({"units__b__latncy": 3}, "--set units.b.latncy: unknown key 'latncy'; did you mean 'latency'? choose from: "
     "compute, firings, group, interval, kind, latency, pop, push, state, update"),
    ({"units__b__latency": -1}, "--set units.b.latency: -1 is out of range: greater than or equal to 0"),
    ({"clock": 1}, "--set clock: expected string, not 1"),
    ({"clock": "0 GHz"}, "--set clock: frequency '0 GHz' must be greater than zero"),
    ({"clock": "-1 GHz"}, "--set clock: frequency '-1 GHz' must be greater than zero"),
])  # fmt: skip
def test_a_wrong_setting_is_told(settings, message, tmp_path, monkeypatch) -> None:
    assert told(GRAPH, tmp_path, monkeypatch, **settings) == message


def test_a_graph_in_python_is_checked_too() -> None:
    units = [
        Unit("a", "source", (Phase.of(2, pushes=["x"]),)),
        Unit("b", "sink", (Phase.of(1, reads=["x"]), Phase.of(1, reads=["x"], frees=["x"]))),
        Unit("c", "idler", (Phase.of(1),)),
    ]
    with pytest.raises(ConfigError) as error:
        simulate(Graph.of("mine", units, [Channel("x"), Channel("y")]))
    assert str(error.value).splitlines() == [
        "mine: units.c: is connected to no channel; remove it, or give it 'pop' or 'push'",
        "mine: channels.y: is connected to no unit; remove it, or name it in a unit",
    ]
    with pytest.raises(ConfigError) as error:
        simulate(Graph.of("mine", units[:2], [Channel("x")]))
    assert str(error.value) == "mine: units.b: takes 2 tokens of 'x' and frees 1 slots"


def test_an_unknown_engine_and_stray_overrides_are_told() -> None:
    with pytest.raises(ConfigError, match=r"^unknown engine 'simpy'; choose from: auto, run-to-block, vectorized$"):
        simulate("attention/naive", engine="simpy")
    graph = load("attention/naive")
    with pytest.raises(ConfigError, match=r"^overrides are for graphs by name or path; change a Graph with its own"):
        simulate(graph, {"n": 3})


@pytest.mark.parametrize(("graph", "settings", "message"), [
    ("attention/naive", {"n": 0}, "--set n: units.q.firings: 0 is out of range: greater than or equal to 1"),
    ("attention/naive", {"n": "abc"}, "--set n: params.n: expected a whole number, not 'abc'"),
    ("attention/naive", {"n": 2.5}, "--set n: params.n: expected a whole number, not 2.5"),
    ("attention/naive", {"n": "=3+"}, "--set n: params.n: '=3+' is not an expression"),
    ("attention/naive", {"n": 10**12}, "--set n: units.k.firings: 1,000,000,000,000 firings before the graph is as "
     "at its start again, more than can be held; at most 100,000,000 of all units together"),
    ("attention/naive", {"latency": 10**21}, "--set latency: units.exp: 4,096 firings at an interval of 1 and a "
     "latency of 1,000,000,000,000,000,000,000 could take more cycles than can be counted (2^62)"),
    ("attention/naive", {"short_depth": 0}, "--set short_depth: channel.depth: is 0; a channel needs at least 1"),
    ("attention/naive", {"long_depth": -3}, "--set long_depth: channels.b.depth: is -3; a channel needs at least 1"),
    ("attention/naive", {"channels.zz.depth": 3}, "--set channels.zz.depth: channels.zz: unknown channel 'zz'; choose "
     "from: a, b, d, k, o, q, s, v"),
    ("attention/naive", {"channels.b.send": 10**20}, "--set channels.b.send: 100000000000000000000 is out of range: "
     "less than or equal to 2147483648"),
    ("attention/naive", {"units.q.firings": 3}, "--set units.q.firings: channels.q: q pushes 3 tokens in the whole "
     "run, exp pops 64; make their firings or patterns match"),
    ("attention/naive", {"units.exp.group": 7}, "--set units.exp.group: units.exp: 4096 firings are no whole number of "
     "groups of 7"),
    ("mlp/one_port", {"units.weights1.words": 10**12}, "--set units.weights1.words: units.weights1: 62,500,000,000 "
     "bursts are more than can be held; at most 10,000,000"),
    ("mlp/one_port", {"units.layer1.outputs": 10**12}, "--set units.layer1.outputs: units.layer1: 1,000,000,000,000 "
     "passes over the vector are more than can be held; at most 10,000,000"),
    ("mlp/one_port", {"read_latency": 10**20}, "--set read_latency: ports.hbm.read_latency: 100000000000000000000 is "
     "out of range: less than or equal to 2147483648"),
])  # fmt: skip
def test_a_wrong_setting_is_named_and_told_once(graph: str, settings, message: str) -> None:
    """Not the lines of the library's file that it came through."""
    with pytest.raises(ConfigError) as error:
        load(graph, settings)
    assert str(error.value) == message


def test_all_settings_that_are_wrong_are_told() -> None:
    with pytest.raises(ConfigError) as error:
        load("attention/naive", {"units.q.latency": -1, "channels.b.bits": 0})
    assert "--set units.q.latency: -1 is out of range: greater than or equal to 0" in str(error.value).splitlines()


def test_a_folder_is_no_graph(tmp_path) -> None:
    with pytest.raises(ConfigError) as error:
        load(str(tmp_path))
    assert str(error.value) == f"{tmp_path}: is a folder; give the path of the graph's file"


def test_bursts_under_way_are_as_many_as_there_are() -> None:
    """The longest reader has 8,192."""
    cycles = [simulate("mlp/one_port", {"ports.hbm.outstanding": number}).cycles for number in (8192, 10**12)]
    assert cycles[0] == cycles[1]
