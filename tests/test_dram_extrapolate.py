"""Extrapolated streams: within 0.3 % of the full simulation, and within the bound that they state."""

import pytest

from sim.dram import Controller, load
from sim.dram.extrapolate import extrapolate
from sim.dram.patterns import PATTERNS, Shape
from sim.dram.serve import run
from sim.errors import ConfigError

GROUPS = {"mapping": "Row,Rank,Bank,Column,BankGroup"}

STREAMS = [
    ("ddr4_2400r", "seqR", 64, {}), ("ddr4_2400r", "strR", 8192, {}), ("ddr4_2400r", "seqW", 64, GROUPS),
    ("ddr4_2400r", "rndR", 64, {}), ("ddr4_3200aa", "rndMix3", 64, {}), ("ddr4_2400r", "copy", 64, GROUPS),
    ("ddr5_4800bn", "copyblk", 64, {}), ("lpddr5_6400", "triad", 32, {}), ("gddr6_14000", "strR", 96, {}),
    ("hbm2_2000", "seqR", 32, {}), ("hbm3_6400", "rndR", 32, {"refresh": "off"}), ("lpddr4_3200", "copy", 32, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pattern", "stride", "overrides", "requests"), [
    pytest.param(*stream, count, id=f"{stream[0]}-{stream[1]}-{count}", marks=() if quick else pytest.mark.slow)
    for index, stream in enumerate(STREAMS)
    for count, quick in ((60_000, index < 1), (300_000, False))
])  # fmt: skip
def test_long_streams_settle(name: str, pattern: str, stride: int, overrides: dict[str, str], requests: int) -> None:
    device = load(name, overrides)
    stream = PATTERNS[pattern](Shape(requests, stride, device.capacity, device.burst))
    short, full = Controller(device), Controller(device)
    beyond = extrapolate(short, short.submit(*stream))
    cycles = full.finish(full.submit(*stream))
    if beyond is None:
        assert requests < 100_000, "does not settle"
        assert short.counters.reads + short.counters.writes == requests
        return
    error = abs(beyond.cycles / cycles - 1)
    assert error <= 0.003
    assert error <= beyond.bound
    assert beyond.after < requests
    counts = full.counters
    assert beyond.counters.reads + beyond.counters.writes == pytest.approx(requests, rel=1e-3)
    assert beyond.counters.activates == pytest.approx(counts.activates, rel=0.01)
    assert abs(beyond.counters.refreshes - counts.refreshes) <= device.ranks


def test_a_result_carries_the_bound() -> None:
    overrides = {"extrapolate": "on"}
    result = run("ddr4_2400r", pattern="seqR", requests=60_000, overrides=overrides)
    assert result.extrapolated is not None
    assert 0 < result.extrapolated["bound"] <= 0.003
    assert 0 < result.extrapolated["after"] < 60_000
    plain = run("ddr4_2400r", pattern="seqR", requests=60_000)
    assert plain.extrapolated is None
    assert result.cycles == pytest.approx(plain.cycles, rel=result.extrapolated["bound"])
    assert result.energy_pj["total"] == pytest.approx(plain.energy_pj["total"], rel=0.005)
    assert sum(result.limiter.values()) == pytest.approx(1)


def test_a_short_stream_is_served_in_full() -> None:
    results = [run("ddr4_2400r", pattern="rndMix3", requests=500, overrides={"extrapolate": x}) for x in ("on", "off")]
    assert results[0].extrapolated is None
    assert results[0].cycles == results[1].cycles


def test_a_trace_is_not_extrapolated() -> None:
    told = "--set extrapolate: only patterns can be extrapolated, without --commands"
    with pytest.raises(ConfigError, match=told):
        run("ddr4_2400r", pattern="seqR", overrides={"extrapolate": "on"}, commands="c.csv")
