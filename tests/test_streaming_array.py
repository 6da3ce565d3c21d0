"""An output-stationary array whose folds follow each other without a gap: its cycles in closed form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from sim.simulate import run
from tests.laws import law


@st.composite
def products(draw: st.DrawFn) -> tuple[int, ...]:
    """Rows and columns, a product with at least as many steps as columns, stages of multiplier and adder."""
    rows, cols = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    size, k = st.integers(1, 70), cols + draw(st.integers(0, 60))
    return rows, cols, draw(size), draw(size), k, draw(st.integers(1, 5)), draw(st.integers(1, 3))


@law(products(), quick=40, full=500)
def test_folds_follow_without_a_gap(case: tuple[int, ...]) -> None:
    rows, cols, m, n, k, multiplier, adder = case
    knobs = {"rows": rows, "cols": cols, "dataflow": "os", "drain": "stream", "pe_pipeline": multiplier + adder}
    folds = -(-m // rows) * -(-n // cols)
    cycles = folds * k + rows + 2 * cols - 2 + multiplier + adder
    assert run("array", f"gemm:{m}x{n}x{k}", knobs).cycles == cycles


@pytest.mark.parametrize("k", [1, 3, 7, 8, 9])
def test_short_folds_take_as_many_steps_as_there_are_columns(k: int) -> None:
    """A row of sums takes a cycle a column to leave."""
    knobs: dict[str, Any] = {"rows": 4, "cols": 8, "dataflow": "os", "drain": "stream"}
    assert run("array", f"gemm:12x24x{k}", knobs).cycles == 9 * max(k, 8) + 4 + 2 * 8 - 2 + 1


def test_the_preset_is_bound_by_compute_alone() -> None:
    result = run("os_stream_16x16", "gemm:64x64x64")
    assert result.cycles == 16 * 64 + 16 + 2 * 16 - 2 + 3
    assert result.units["array"]["cycles"]["compute"] == 16 * 64


def test_it_is_never_slower_than_a_hidden_drain() -> None:
    for k in (1, 5, 16, 40):
        stream, overlap = (run("array", f"gemm:40x40x{k}", {"dataflow": "os", "drain": d}).cycles
                           for d in ("stream", "overlap"))  # fmt: skip
        assert stream < overlap
