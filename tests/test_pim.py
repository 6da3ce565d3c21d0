"""Programs and GEMVs on PIM devices: equal to what aim_simulator measured, to an oracle, to themselves in small steps.

tests/data/pim/gddr6_aim.csv: cycles and commands of arkhadem/aim_simulator, no refresh issued.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import run
from sim.pim import load
from sim.pim.channel import CAUSES, Channel, Logged
from sim.pim.gemv import Layout, program
from sim.pim.program import Instruction
from sim.pim.values import multiply, rounded, store
from tests.laws import law
from tests.pim_oracle import oracle

ROWS = list(csv.DictReader((Path(__file__).parent / "data/pim/gddr6_aim.csv").read_text().splitlines()))
COUNTED = ("ACT16", "PREA", "MAC16", "WRGB", "WRMAC16", "RDMAC16", "TMOD", "REFab")
OFF = load("gddr6_aim", {"refresh": "off"})


def repeated(size: int, rows: int, same: bool = False) -> list[Instruction]:
    return [Instruction("MAC_ABK", size, 0 if same else row) for row in range(rows)]


def rounds(count: int) -> Iterator[Instruction]:
    for row in range(count):
        yield from (Instruction("WR_BIAS"), Instruction("MAC_ABK", 64, row), Instruction("RD_MAC"))


PROGRAMS = {
    "aim-01": repeated(64, 1), "aim-02": repeated(64, 2), "aim-03": repeated(64, 16), "aim-04": repeated(64, 256),
    "aim-05": repeated(32, 256), "aim-07": repeated(1, 256), "aim-08": repeated(64, 256, same=True),
    "aim-10": [Instruction("WR_GB", 64)] * 16, "aim-11": list(rounds(64)),
}  # fmt: skip


@pytest.mark.parametrize("row", [row for row in ROWS if "GEMV" not in row["desc"]], ids=lambda row: row["case"])
def test_programs_equal_the_reference(row: dict[str, str]) -> None:
    channel = Channel(OFF)
    assert channel.run(PROGRAMS[row["case"]]) == int(row["cycles"])
    assert {name: channel.counts[name] for name in COUNTED} == {name: int(row[name]) for name in COUNTED}


@pytest.mark.parametrize("row", [row for row in ROWS if "GEMV" in row["desc"]], ids=lambda row: row["case"])
def test_gemvs_equal_the_reference(row: dict[str, str]) -> None:
    told = re.fullmatch(r"GEMV M=(\d+) N=(\d+) channels=(\d+) order=(\w+)", row["desc"])
    assert told is not None
    outputs, inputs, channels, order = told.groups()
    found = run("gddr6_aim", f"gemv:{outputs}x{inputs}", {"channels": int(channels), "order": order, "refresh": "off"})
    commands = found.dram["banks"]["commands"]
    assert found.cycles == int(row["cycles"])
    assert {name: commands[name] for name in COUNTED} == {name: int(row[name]) for name in COUNTED}


def test_every_row_of_the_reference_is_compared() -> None:
    assert len(ROWS) == 14
    assert {row["case"] for row in ROWS if "GEMV" not in row["desc"]} == set(PROGRAMS)


@pytest.mark.parametrize(("blocks", "width", "cycles"), [
    (12, 768, 316_062), (24, 1024, 792_974), (36, 1280, 2_113_228), (48, 1600, 3_961_100),
])  # fmt: skip
def test_the_weights_of_a_gpt2_token(blocks: int, width: int, cycles: int) -> None:
    """Each GEMV is a program of its own: q, k, v as one matrix, projection, two of the MLP; LM head (vocabulary)."""
    keys = {"channels": 8, "refresh": "off"}

    def took(outputs: int, inputs: int) -> int:
        return run("gddr6_aim", f"gemv:{outputs}x{inputs}", keys).cycles

    block = took(3 * width, width) + took(width, width) + took(4 * width, width) + took(width, 4 * width)
    assert blocks * block + took(50_257, width) == cycles


SIZES = st.sampled_from((1, 2, 3, 7, 32, 64))
OPERATIONS = st.one_of(
    st.builds(Instruction, st.just("MAC_ABK"), SIZES, st.integers(0, 3)),
    st.builds(Instruction, st.sampled_from(("WR_GB", "WR_BIAS", "RD_MAC")), SIZES),
)
LISTS = st.lists(OPERATIONS, min_size=1, max_size=20)


@law(LISTS, quick=60, full=3000)
def test_programs_equal_the_oracle(operations: list[Instruction]) -> None:
    channel = Channel(OFF)
    end = channel.run(operations)
    assert (end, channel.counts) == oracle((each.op, each.size, each.row) for each in operations)


@law(LISTS, st.integers(500, 2000), quick=60, full=3000)
def test_bursts_equal_single_commands(operations: list[Instruction], interval: int) -> None:
    device = load("gddr6_aim", {"tREFI": interval})
    fast, slow = Channel(device), Channel(device, bursts=False)
    assert fast.run(operations) == slow.run(operations)
    assert (fast.counts, fast.clocks, fast.clock) == (slow.counts, slow.clocks, slow.clock)
    assert sum(fast.clocks.values()) == fast.end
    assert set(fast.clocks) <= set(CAUSES)


@law(LISTS, st.integers(500, 2000), quick=40, full=2000)
def test_every_command_keeps_every_gap_and_its_mode(operations: list[Instruction], interval: int) -> None:
    device = load("gddr6_aim", {"tREFI": interval})
    log = list[Logged]()
    Channel(device, bursts=False, log=log).run(operations)
    last = dict[str, int]()
    mode, closed = "bank", True
    gaps = [(p, f, gap.latency) for gap in device.spec.constraints.values() for p in gap.preceding
            for f in gap.following]  # fmt: skip
    names = {name: each.cycles for name, each in device.spec.timing.items()}
    for clock, command, row in log:
        for before, after, latency in gaps:
            if after == command and before in last:
                assert clock >= last[before] + eval(latency, {}, dict(names))
        assert device.spec.commands[command].mode in (None, mode)
        if command in ("ACT16", "REFab"):
            assert closed
        if command == "MAC16":
            assert not closed
        mode = {"bank": "register", "register": "bank"}[mode] if command == "TMOD" else mode
        closed = row < 0
        last[command] = clock
    assert len({clock for clock, _, _ in log}) == len(log)


def test_a_refresh_comes_as_soon_as_it_is_due_and_closed() -> None:
    log = list[Logged]()
    channel = Channel(load("gddr6_aim", {"tREFI": 1000}), bursts=False, log=log)
    channel.run(repeated(64, 40, same=True))
    refreshes = [clock for clock, command, _ in log if command == "REFab"]
    for number, clock in enumerate(refreshes, 1):
        last = max(at for at, command, _ in log if command == "MAC16" and at < clock)
        assert clock == max(1000 * number, last + 12) + 32
        assert next(each for each in log if each[0] > clock)[:2] == (clock + 210, "ACT16")
    assert len(refreshes) == channel.clock // 1000 > 4
    assert channel.counts["ACT16"] == 1 + len(refreshes)


@pytest.mark.parametrize(("key", "operations"), [
    ("tRCDRDMAC", repeated(8, 1)), ("tRTP", repeated(8, 2)), ("tRP", repeated(8, 2)),
    ("tMODCH", [Instruction("WR_GB")]),
    ("tCCD_L", repeated(2, 1)), ("CWLGB", [Instruction("WR_GB")]), ("CWLREG", [Instruction("WR_BIAS")]),
    ("tWTR_S", [Instruction("WR_GB"), Instruction("RD_MAC")]),
    ("tWTR_L", [Instruction("WR_BIAS"), Instruction("RD_MAC")]),
    ("tWPRE", [Instruction("RD_MAC"), Instruction("WR_GB")]), ("CLREG", [Instruction("RD_MAC")]),
])  # fmt: skip
def test_each_gate_is_tight(key: str, operations: list[Instruction]) -> None:
    longer = load("gddr6_aim", {"refresh": "off", key: OFF.spec.timing[key].cycles + 1})
    assert Channel(longer).run(operations) == Channel(OFF).run(operations) + 1


SHAPES = (st.integers(1, 70), st.integers(1, 2100), st.sampled_from((1, 2, 4)), st.sampled_from(("kouter", "oouter")))


@law(*SHAPES, quick=25, full=500)
def test_the_banks_compute_what_numpy_does(outputs: int, inputs: int, channels: int, order: str) -> None:
    """Small integers are exact in every order of additions, so that nothing but the last rounding is left."""
    layout = Layout(load("gddr6_aim", {"channels": channels, "order": order}), outputs, inputs)
    rng = np.random.default_rng(outputs * 4096 + inputs)
    matrix, vector = (rng.integers(-9, 10, shape).astype(np.float32) for shape in ((outputs, inputs), (inputs,)))
    exact = (matrix.astype(np.int64) @ vector.astype(np.int64)).astype(np.float32)
    np.testing.assert_array_equal(multiply(layout, matrix, vector), rounded(exact, "bf16"))


@pytest.mark.parametrize("order", ["kouter", "oouter"])
def test_real_numbers_are_those_of_numpy_to_the_last_place(order: str) -> None:
    layout = Layout(load("gddr6_aim", {"channels": 2, "order": order}), 100, 1500)
    rng = np.random.default_rng(7)
    matrix, vector = rng.random((100, 1500), np.float32), rng.random(1500, np.float32)
    wanted = rounded(matrix, "bf16").astype(np.float64) @ rounded(vector, "bf16").astype(np.float64)
    found = multiply(layout, matrix, vector)
    assert np.all(np.abs(found - wanted) <= 2.0**-8 * np.abs(wanted) * (1 + 1e-3))
    np.testing.assert_array_equal(found, rounded(found, "bf16"))


def test_bf16_rounds_to_nearest_ties_to_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 3 * 2**-8, 0.0, np.inf], np.float32)
    wanted = [1.0, 1.0, 1 + 2**-6, 1 + 2**-7, -1 - 2**-6, 0.0, np.inf]
    assert rounded(values, "bf16").tolist() == wanted


@law(*SHAPES, quick=25, full=500)
def test_every_element_has_a_place_of_its_own(outputs: int, inputs: int, channels: int, order: str) -> None:
    layout = Layout(load("gddr6_aim", {"channels": channels, "order": order}), outputs, inputs)
    matrix = 1 + np.arange(outputs * inputs, dtype=np.float32).reshape(outputs, inputs)
    memory = store(layout, matrix)
    np.testing.assert_array_equal(np.sort(memory[memory > 0]), matrix.ravel())
    opened = [each.row for each in program(layout) if each.row is not None]
    assert opened == list(range(layout.rows))


@law(*SHAPES, quick=10, full=200)
def test_a_result_adds_up(outputs: int, inputs: int, channels: int, order: str) -> None:
    keys: dict[str, Any] = {"channels": channels, "order": order}
    found = run("gddr6_aim", f"gemv:{outputs}x{inputs}", keys)
    assert found.macs == outputs * inputs
    assert sum(found.units["banks"]["cycles"].values()) == found.cycles == found.layers[0].cycles
    assert sum(found.dram["banks"]["clocks"].values()) == found.cycles
    assert found.traffic_bytes["banks"]["read"]["weight"] >= 2 * found.macs
    assert 0 < found.utilization <= found.mapping_efficiency <= 1
    alone = Channel(load("gddr6_aim", keys))
    assert alone.run(program(Layout(alone.device, outputs, inputs))) == found.cycles
