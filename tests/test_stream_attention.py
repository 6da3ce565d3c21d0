"""Attention on bounded FIFOs: figures measured with another simulator, and the closed forms of the design."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sim.streaming.simulate import simulate

FIGURES = Path(__file__).parent / "data" / "figures" / "streaming_sdpa_dam.csv"
LINES = [line for line in FIGURES.read_text().splitlines() if not line.startswith("#")]
ROWS = list(csv.DictReader(LINES))
NAMES = {"memfree": "memory_free"}
FORMS = {
    "naive": lambda n: n * n + n + 3,
    "scaled": lambda n: n * n + 2 * n + 4,
    "reorder": lambda n: n * n + n + 4,
    "reorder_nomax": lambda n: n * n + 3,
    "memory_free": lambda n: n * n + 4,
}
"""Cycles over n queries and n keys at latency and interval 1, short FIFOs of 2 and long ones of n + 2."""


def test_there_are_162_figures_of_all_graphs() -> None:
    assert len(ROWS) == 162
    assert {NAMES.get(row["graph"], row["graph"]) for row in ROWS} == set(FORMS)


@pytest.mark.parametrize("graph", sorted({row["graph"] for row in ROWS}))
@pytest.mark.parametrize("engine", ["vectorized", "run-to-block"])
def test_measured_cycles_and_deadlocks_are_equal(graph: str, engine: str) -> None:
    for row in ROWS:
        if row["graph"] == graph:
            settings = {"n": row["N"], "short_depth": row["short_depth"], "long_depth": row["long_depth"],
                        "latency": row["node_latency"], "interval": row["node_ii"]}  # fmt: skip
            result = simulate(f"attention/{NAMES.get(graph, graph)}", {k: int(v) for k, v in settings.items()}, engine)
            assert ("DEADLOCK" if result.deadlock else str(result.cycles)) == row["dam_cycles"], row


@pytest.mark.parametrize("graph", FORMS)
@pytest.mark.parametrize("sizes", [range(16, 301, 31), pytest.param(range(16, 301), marks=pytest.mark.slow)])
def test_closed_forms_hold(graph: str, sizes: range) -> None:
    for n in (*sizes, 300):
        assert simulate(f"attention/{graph}", {"n": n}).cycles == FORMS[graph](n), n


@pytest.mark.parametrize(("graph", "cycles"), [("naive", 16_781_315), ("memory_free", 16_777_220)])
def test_closed_forms_hold_at_4096(graph: str, cycles: int) -> None:
    assert simulate(f"attention/{graph}", {"n": 4096}).cycles == cycles


@pytest.mark.parametrize("n", [20, 64])
def test_each_slot_missing_costs_n_minus_1_cycles_until_it_deadlocks(n: int) -> None:
    for graph in ("naive", "reorder"):
        cycles = [simulate(f"attention/{graph}", {"n": n, "long_depth": n + 2 - lost}).cycles for lost in range(6)]
        assert [cycle - cycles[0] for cycle in cycles[:5]] == [lost * (n - 1) for lost in range(5)]
        assert cycles[5] is None


def test_intermediate_memory_grows_with_n_unless_the_sum_runs() -> None:
    def peak(graph: str, n: int) -> int:
        return sum(channel.peak_occupancy for channel in simulate(f"attention/{graph}", {"n": n}).channels.values())

    for graph in ("naive", "scaled", "reorder"):
        assert peak(graph, 128) - peak(graph, 64) >= 64
    for graph in ("reorder_nomax", "memory_free"):
        assert peak(graph, 128) == peak(graph, 64)


def test_window_attention_is_linear_in_n() -> None:
    cycles = [simulate("attention/window", {"n": n, "window": 16}).cycles for n in (32, 64, 128, 256)]
    assert [cycle - 16 * n for cycle, n in zip(cycles, (32, 64, 128, 256), strict=True)] == [3] * 4
    memory = {simulate("attention/window", {"n": n}).bits for n in (64, 128)}
    assert len(memory) == 1


def test_every_cycle_of_every_unit_has_one_cause() -> None:
    for settings in ({}, {"latency": 3, "interval": 2}, {"long_depth": 63}, {"long_depth": 40}):
        result = simulate("attention/scaled", settings)
        for unit in result.units.values():
            assert sum(unit.cycles.values()) == result.stopped_at
            assert unit.utilization == unit.cycles["compute"] / result.stopped_at
        waits = sum(u.cycles["wait_input"] + u.cycles["wait_output_space"] for u in result.units.values())
        assert waits == sum(channel.stall_cycles for channel in result.channels.values())
        if result.deadlock:
            assert all(unit.cycles["idle"] == 0 for unit in result.units.values())
