"""Memory ports: bursts, what they wait for, and readers and writers that share a port; the `hls` channel preset."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from sim.streaming.graph import Channel, Graph, Phase, Port, Unit
from sim.streaming.schema import load
from sim.streaming.simulate import simulate
from sim.streaming.units.memory import Reader, Writer
from tests.laws import law
from tests.streaming_oracle import same


def reader(name: str, push: str, words: int, port: str = "hbm", **settings) -> Unit:
    return Reader(kind="reader", port=port, words=words, push=push, **settings).build(name)


def writer(name: str, pop: str, words: int, port: str = "hbm", **settings) -> Unit:
    return Writer(kind="writer", port=port, words=words, pop=pop, **settings).build(name)


def sink(pop: str, words: int) -> Unit:
    return Unit("sink", "sink", (Phase.of(1, pops=[pop], interval=0),), words, 0)


def one_reader(words: int, port: Port, **settings) -> int:
    graph = Graph.of("g", [reader("in", "x", words, **settings), sink("x", words)], [Channel("x")], [port])
    return simulate(graph).cycles or 0


@pytest.mark.parametrize("latency", [1, 12, 40])
def test_with_enough_bursts_in_flight_a_word_comes_every_cycle(latency: int) -> None:
    """The first word comes after the latency, and the sink has the last one a cycle after it was sent."""
    assert one_reader(1000, Port("hbm", read_latency=latency)) == latency + 1000


@pytest.mark.parametrize("burst", [1, 16, 64])
def test_one_burst_at_a_time_pays_the_latency_each_time(burst: int) -> None:
    assert one_reader(640, Port("hbm", 12, 7, 1), burst=burst) == 640 // burst * (12 + burst)


def test_more_bursts_in_flight_are_never_slower_and_hide_the_latency() -> None:
    cycles = [one_reader(512, Port("hbm", 30, 7, flying), burst=4) for flying in range(1, 16)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] == 128 * 34
    assert cycles[-1] == 30 + 512


def test_bursts_end_at_4_kib_and_at_their_longest() -> None:
    assert reader("in", "x", 40, bytes=4).bursts.sizes == (16, 16, 8)
    assert reader("in", "x", 40, bytes=64, burst=256, address=4096 - 64 * 5).bursts.sizes == (5, 35)
    assert reader("in", "x", 130, bytes=64, burst=256).bursts.sizes == (64, 64, 2)
    assert reader("in", "x", 20, burst=16, passes=2).bursts.sizes == (16, 4, 16, 4)


def test_two_readers_of_one_port_share_its_words_and_the_stalls_show() -> None:
    def run(ports: tuple[str, str]):
        units = [reader("a", "x", 400, ports[0]), reader("b", "y", 400, ports[1]),
                 Unit("join", "zip", (Phase.of(1, ["x", "y"], ["z"]),), 400), sink("z", 400)]  # fmt: skip
        channels = [Channel("x"), Channel("y"), Channel("z")]
        return simulate(Graph.of("g", units, channels, [Port("hbm"), Port("other")]))

    own, shared = run(("hbm", "other")), run(("hbm", "hbm"))
    assert own.cycles == 12 + 400 + 1
    assert 2 * 400 <= shared.cycles <= 2 * 400 + 40
    assert shared.ports["hbm"].words == 800
    assert shared.ports["hbm"].utilization == 800 / shared.cycles
    waits = [sum(result.units[name].cycles["wait_input"] for name in "ab") for result in (own, shared)]
    assert waits[0] == 24
    assert waits[1] > 300


def test_a_writer_ends_when_its_last_word_has_gone() -> None:
    units = [Unit("source", "source", (Phase.of(1, pushes=["x"]),), 64), writer("out", "x", 64)]
    result = simulate(Graph.of("g", units, [Channel("x")], [Port("hbm")]))
    assert result.cycles == 1 + 64 + 7 + 16  # the last burst is requested once all its 16 words are there
    for unit in result.units.values():
        assert sum(unit.cycles.values()) == result.cycles


@st.composite
def machines(draw) -> Graph:
    """Readers on one or two ports into a zip, and back through a writer or into a sink."""
    count, words = draw(st.integers(1, 3)), draw(st.integers(1, 60))
    ports = [Port(name, draw(st.integers(1, 15)), draw(st.integers(1, 9)), draw(st.integers(1, 4))) for name in "pq"]
    at = st.sampled_from("pq" if draw(st.booleans()) else "p")
    units = [
        reader(f"r{i}", f"c{i}", words, draw(at), burst=draw(st.integers(1, 20)), latency=draw(st.integers(0, 3)),
               address=4 * draw(st.integers(0, 1023)))
        for i in range(count)
    ]  # fmt: skip
    names = [f"c{i}" for i in range(count)]
    units.append(Unit("f", "zip", (Phase.of(1, names, ["z"], interval=draw(st.integers(0, 3))),), words, 2))
    units.append(writer("w", "z", words, draw(at), burst=draw(st.integers(1, 20))) if draw(st.booleans())
                 else sink("z", words))  # fmt: skip
    channels = [Channel(name, draw(st.integers(1, 6)), send=draw(st.integers(1, 2))) for name in (*names, "z")]
    return Graph.of("machine", units, channels, ports)


@law(machines(), quick=80, full=2_000)
def test_shared_ports_are_the_same_as_event_by_event(graph: Graph) -> None:
    same(graph)


HLS = """\
name: graph
params: {depth: 2, n: 100}
units:
  a: {kind: source, firings: "=n", push: x}
  b: {kind: sink, firings: "=n", pop: x}
channel: {depth: "=depth", preset: hls}
"""


def test_hls_fifos_deeper_than_a_shift_register_are_a_cycle_slower(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text(HLS)
    sends = {depth: load("graph.yaml", {"depth": depth}).channels["x"].send for depth in (1, 2, 3, 64)}
    assert sends == {1: 1, 2: 1, 3: 2, 64: 2}
    assert [simulate("graph.yaml", {"depth": depth}).cycles for depth in (2, 3)] == [100, 101]
    assert simulate("graph.yaml", {"channels.x.send": 5, "depth": 64}).cycles == 104


@pytest.mark.parametrize(("change", "message"), [
    ("port: hbn", "graph.yaml:4: units.a.port: unknown port 'hbn'; did you mean 'hbm'? choose from: hbm"),
    ("port: hbm, bytes: 3", "graph.yaml:4: units.a: words of 3 bytes at 0 cross a 4 KiB boundary; 'bytes' must divide "
     "4096, and 'address' be a multiple of it"),
    ("port: hbm, burst: 300", "graph.yaml:4: units.a.burst: 300 is out of range: less than or equal to 256"),
])  # fmt: skip
def test_a_wrong_port_is_told(change, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "name: graph\nports: {hbm: {}}\nunits:\n  a: {kind: reader, PORT, words: 8, push: x}\n"
        "  b: {kind: sink, firings: 8, pop: x}\n"
    )
    (tmp_path / "graph.yaml").write_text(text.replace("PORT", change))
    with pytest.raises(Exception) as error:
        load("graph.yaml")
    assert str(error.value) == message


def test_a_streamed_mlp_takes_what_was_measured_on_a_u280() -> None:
    """InTAR (OswaldHe/InTAR) measured 181,996 cycles; weights / 16 alone is 180,224."""
    result = simulate("mlp/one_port")
    assert result.ports["hbm"].words == 180_224
    assert result.cycles == pytest.approx(181_996, rel=0.015)
    assert result.cycles > 180_224


@pytest.mark.parametrize(("settings", "least"), [
    ({"outstanding": 1}, 180_224 * 28 // 16),
    ({"outstanding": 1, "read_latency": 40}, 180_224 * 56 // 16),
])  # fmt: skip
def test_the_port_decides_what_a_streamed_mlp_takes(settings, least) -> None:
    """One burst in flight of each reader: in the long middle layer it pays latency and words in turn."""
    assert simulate("mlp/one_port", settings).cycles >= 0.72 * least  # share of the middle layer: 131,072 of 180,224
