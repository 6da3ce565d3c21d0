"""A search: seeded, indifferent to who simulates, with the store as its memory, and better than chance."""

from pathlib import Path
from typing import Any

import pytest

from sim.errors import ConfigError
from sim.sweep import Progress, run_sweep, search

pytest.importorskip("optuna")

SPACE: dict[str, Any] = {
    "name": "s", "arch": "tiny_4x4", "workloads": ["gemm:16x8x12"], "set": {"mapping.effort": 2},
    "axes": {"array.rows": {"range": [1, 12]}, "array.cols": {"range": [1, 12]}, "array.dataflow": ["ws", "os"]},
    "constraints": ["array.rows * array.cols <= 64"], "objectives": ["edp"],
}  # fmt: skip


def test_the_same_seed_finds_the_same_whoever_simulates(tmp_path: Path) -> None:
    one = search(SPACE, 12, seed=4, out=tmp_path / "one", jobs=1)
    two = search(SPACE, 12, seed=4, out=tmp_path / "two", jobs=2)
    assert one.to_csv() == two.to_csv()
    assert len(one.rows) == 12
    assert one.to_csv() != search(SPACE, 12, seed=5, out=tmp_path / "one", jobs=1).to_csv()


def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    search(SPACE, 8, seed=1, out=tmp_path, jobs=1)
    told: list[Progress] = []
    longer = search(SPACE, 16, seed=1, out=tmp_path, jobs=1, progress=told.append)
    assert longer.to_csv() == search(SPACE, 16, seed=1, out=tmp_path / "afresh", jobs=1).to_csv()
    assert sum(p.fresh for p in told if p.done == p.total) < len(longer.rows)


def test_points_are_those_of_the_sweep_and_within_its_constraints(tmp_path: Path) -> None:
    found = search(SPACE, 16, seed=2, out=tmp_path, jobs=1)
    assert all(row.settings["array.rows"] * row.settings["array.cols"] <= 64 for row in found.rows)


def test_a_search_ends_when_it_has_seen_all_there_is(tmp_path: Path) -> None:
    axes = {"array.rows": [2, 4], "array.cols": [2, 4]}
    assert len(search(SPACE | {"axes": axes}, 50, out=tmp_path, jobs=1).rows) == 4


def test_several_objectives_give_a_front(tmp_path: Path) -> None:
    found = search(SPACE | {"objectives": ["cycles", "area"]}, 16, seed=3, out=tmp_path, jobs=1)
    assert 1 < len(found.front()) <= len(found.done)


def test_no_trials_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^trials: must be at least 1, not 0$"):
        search(SPACE, 0, out=tmp_path)


@pytest.mark.slow
def test_a_search_is_better_than_the_middle_of_the_grid(tmp_path: Path) -> None:
    whole = sorted(row.figures["edp"] for row in run_sweep(SPACE, out=tmp_path / "grid").done if row.figures)
    found = min(row.figures["edp"] for row in search(SPACE, 60, out=tmp_path / "search").done if row.figures)
    assert found <= whole[len(whole) // 10]
