"""Memory ports: bursts, what they wait for, and readers and writers that share a port; the `hls` channel preset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from sim.dram import device
from sim.dram.controller import controller_of
from sim.errors import ConfigError
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
    sends = {depth: load("graph.yaml", {"depth": depth}).channels["x"].latency for depth in (1, 2, 3, 64)}
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


DEVICES = ("ddr4_2400r", "hbm2_2000", "lpddr5_6400", "gddr6_14000")


@st.composite
def dram_machines(draw) -> Graph:
    """The same machines with DRAM behind one of the ports or both, each unit at addresses of its own."""
    graph = draw(machines())
    names = draw(st.sampled_from((("m", "m"), ("m", "n"), ("m", None))))
    channels = draw(st.sampled_from((1, 2)))
    memories = {
        name: device.load(draw(st.sampled_from(DEVICES)), {"channels": channels}) for name in set(names) if name
    }
    ports = {p.name: replace(p, memory=name) for p, name in zip(graph.ports.values(), names, strict=True)}
    units = {}
    for index, unit in enumerate(graph.units.values()):
        moved = unit.bursts and replace(unit.bursts, addresses=tuple(a + index * 2**16 for a in unit.bursts.addresses))
        units[unit.name] = replace(unit, bursts=moved)
    clock = draw(st.sampled_from((200, 300, 1000, 1800))) * 10**6
    return replace(graph, units=units, ports=ports, memories=memories, clock_hz=clock)


@law(dram_machines(), quick=25, full=1_000)
def test_dram_behind_ports_is_the_same_as_clock_by_clock(graph: Graph) -> None:
    same(graph)


def from_dram(words: int, clock: int, **settings) -> Graph:
    """Return a reader of words as large as a burst of DDR4-2400R, behind whose port that is, into a sink."""
    memory = device.load("ddr4_2400r", {"refresh": "off"})
    port = Port("hbm", memory="m", read_latency=5, **settings)
    units = [reader("in", "x", words, bytes=64, burst=16), sink("x", words)]
    return Graph.of("g", units, [Channel("x")], [port], {"m": memory}, clock)


def test_a_word_from_dram_takes_what_the_controller_says() -> None:
    """At the DRAM's clock: one read 37 clocks (1 + tRCD + CL + BL), then the port's latency, then the sink."""
    clock = int(device.load("ddr4_2400r").clock_hertz)
    assert simulate(from_dram(1, clock)).cycles == 37 + 5 + 1


def test_a_stream_from_dram_runs_at_the_rate_of_the_dram() -> None:
    """A word a cycle could come over the port; the controllers serve a sequence as they do by themselves."""
    memory, words = device.load("ddr4_2400r", {"refresh": "off"}), 2000
    alone = controller_of(memory)
    last = alone.finish(alone.submit(np.arange(words, dtype=np.int64) * 64, False))
    found = simulate(from_dram(words, int(memory.clock_hertz), outstanding=64))
    assert found.cycles == pytest.approx(last + 5 + 1, abs=16)
    assert found.dram["m"]["reads"] == words
    assert found.dram["m"]["row_misses"] == alone.counters.row_misses
    assert found.dram["m"]["bandwidth_utilization"] == pytest.approx(4 * words / found.cycles, rel=1e-3)


def test_a_port_of_one_burst_at_a_time_pays_the_dram_each_time() -> None:
    words, clock = 320, int(device.load("ddr4_2400r").clock_hertz)
    cycles = [simulate(from_dram(words, clock, outstanding=n)).cycles for n in (1, 2, 4, 32)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > words // 16 * (16 + 4 + 16 * 4)  # CL, BL, and sixteen bursts of four clocks
    assert 4 * words < cycles[-1] < 6 * words


def test_ports_of_one_memory_share_it_and_ports_of_two_do_not() -> None:
    def run(memories: tuple[str, str]) -> int:
        units = [reader("a", "x", 500, "p", bytes=64), reader("b", "y", 500, "q", bytes=64, address=2**20),
                 Unit("join", "zip", (Phase.of(1, ["x", "y"], ["z"]),), 500), sink("z", 500)]  # fmt: skip
        ports = [Port(name, memory=memory) for name, memory in zip("pq", memories, strict=True)]
        kinds = {name: device.load("ddr4_2400r") for name in memories}
        graph = Graph.of("g", units, [Channel("x"), Channel("y"), Channel("z")], ports, kinds, 1_200_000_000)
        return simulate(graph).cycles or 0

    own, shared = run(("m", "n")), run(("m", "m"))
    assert 4 * 500 <= own <= 6 * 500
    assert 8 * 500 <= shared <= 13 * 500


DRAM = """\
name: graph
clock: 300 MHz
memories: {hbm: {device: hbm2_2000, refresh: "off"}}
ports: {p: {memory: hbm}}
units:
  a: {kind: reader, port: p, words: 64, bytes: 32, push: x}
  b: {kind: sink, firings: 64, pop: x}
"""


def test_a_file_names_the_dram_behind_a_port(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text(DRAM)
    found = simulate("graph.yaml")
    assert found.dram["hbm"]["reads"] == 64
    assert simulate("graph.yaml", {"ports.p.memory": "ddr4_2400r"}).dram.keys() == {"ddr4_2400r"}
    assert simulate("graph.yaml", {"memories.hbm.timing.CL": 100}).cycles > found.cycles
    assert found.cycles == 12 + 10 + 64  # the first data after 1 + tRCD + CL + BL = 31 ns, ten cycles of 3.3 ns


@pytest.mark.parametrize(("settings", "message"), [
    ({"ports.p.memory": "hbm3"}, "--set ports.p.memory: unknown DRAM device 'hbm3'; did you mean "
     "'hbm3_6400'? choose from: "),
    ({"memories.hbm.tCL": 3}, "--set memories.hbm.tCL: no key 'tCL' in DRAM device 'hbm2_2000'"),
    ({"memories.hbm.channels": 0}, "--set memories.hbm.channels: 0 is out of range"),
    ({"units.a.address": 2**31}, "--set units.a.address: words end at byte 2,147,485,696; hbm "
     "(hbm2_2000) has 2,147,483,648"),
])  # fmt: skip
def test_a_wrong_memory_is_told(settings, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.yaml").write_text(DRAM)
    with pytest.raises(ConfigError) as error:
        load("graph.yaml", settings)
    assert str(error.value).startswith(message)
