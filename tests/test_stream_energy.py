"""Traffic and energy of streaming graphs: every byte counted, every action priced, what has no price named."""

from __future__ import annotations

import pytest

import sim
from sim import energy
from sim.errors import ConfigError
from sim.streaming.simulate import simulate

N = 32


def test_fifos_move_the_bits_of_their_tokens() -> None:
    found = sim.stream("attention/naive", {"n": N})
    bits = sum(channel.tokens * channel.bits for channel in found.channels.values())
    assert bits == 32 * (5 * N * N + 3 * N)  # q, s, o once a row, k, v, a, b, d once a score
    assert found.traffic_bytes == {"fifos": {"read": {"token": bits // 8}, "write": {"token": bits // 8}}}


def test_energy_adds_up_and_units_without_a_price_are_named() -> None:
    found = sim.stream("mlp/one_port")
    spent = found.energy_pj
    assert spent["total"] == pytest.approx(sum(spent["by_component"].values()), rel=1e-12)
    assert spent["total"] == pytest.approx(sum(spent["by_action"].values()), rel=1e-12)
    table = energy.load("45nm")
    macs = 256 * 1024 + 1024 * 2048 + 2048 * 256
    assert spent["by_action"]["units.mac"] == pytest.approx(macs * table.mac("int16", "int16", "int32").pj)
    assert found.traffic_bytes["hbm"] == {"read": {"weight": 2 * macs}, "write": {}}
    assert spent["by_action"]["hbm.read"] == pytest.approx(16 * macs * table.dram("lpddr4")[0].pj)
    assert [entry["where"] for entry in found.not_modelled] == [["words1", "words2"]]


def test_a_fifo_costs_what_a_memory_of_its_size_does() -> None:
    """Depths of 2 are registers; the long FIFO is a memory, whose accesses cost more the deeper it is."""
    spent = [sim.stream("attention/naive", {"n": N, "long_depth": depth}).energy_pj["by_action"]["fifos.read"]
             for depth in (N + 2, 512, 4096)]  # fmt: skip
    assert spent == sorted(spent)
    table = energy.load("45nm")
    others = table.register(32).pj * (4 * N * N + 3 * N)
    assert spent[2] == pytest.approx(others + N * N * table.sram(4096 * 4, 32).read.pj)


def test_dram_behind_a_port_is_priced_by_its_events() -> None:
    found = sim.stream("mlp/one_port", {"ports.hbm.memory": "hbm2_2000", "units.weights2.words": "=1024 * 2048 // 16"})
    did, spent = found.dram["hbm2_2000"], found.energy_pj["by_action"]
    assert did["reads"] * 32 == found.traffic_bytes["hbm2_2000"]["read"]["weight"]
    assert spent["hbm2_2000.activate"] == pytest.approx(909 * did["activates"])
    assert spent["hbm2_2000.read"] == pytest.approx(3.48 * 256 * did["reads"])


def test_a_run_that_nobody_priced_says_so() -> None:
    assert simulate("attention/naive", {"n": N}).energy_pj is None


def test_an_unknown_table_is_told() -> None:
    with pytest.raises(ConfigError) as error:
        sim.stream("attention/naive", {"technology": "45nn"})
    assert str(error.value).startswith("--set technology: unknown energy table '45nn'; did you mean '45nm'? ")
