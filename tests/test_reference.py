"""The register-level reference multiplies exactly, equals measured RTL edge by edge, and proves the closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.arch import Systolic
from sim.dataflow import DATAFLOWS
from sim.errors import MappingError
from sim.op import random_integers
from sim.reference import Fold, Run, Snapshot, gemm, simulate
from sim.reference.grid import GRIDS

# 70 simulations of our own Verilog under Icarus Verilog, one SRAM and one output register, single-cycle PEs:
# array, mode, R, C, M, K, N, first input edge, first output edge, last output edge, total cycles.
RTL = """
ws,0,4,4,4,4,4,4,12,15,16
ws,0,4,4,8,8,8,4,12,79,80
ws,0,4,4,1,8,8,4,12,51,52
ws,0,4,8,16,10,20,4,16,287,288
ws,0,8,8,16,16,16,8,24,159,160
ws,0,8,8,5,13,11,8,24,115,116
ws,0,8,4,3,8,4,8,20,22,23
ws,0,8,8,64,64,64,8,24,5631,5632
ws,0,16,16,32,32,32,16,48,319,320
ws,0,16,16,100,48,40,16,48,1331,1332
ws,0,16,8,7,33,9,16,40,281,282
ws,0,16,16,128,128,128,16,48,11263,11264
ws,0,32,32,64,64,64,32,96,639,640
ws,0,32,32,49,100,70,32,96,1739,1740
ws,1,4,4,4,4,4,4,12,15,16
ws,1,4,4,8,8,8,4,12,55,56
ws,1,4,4,1,8,8,4,12,48,49
ws,1,4,8,16,10,20,4,16,159,160
ws,1,8,8,16,16,16,8,24,111,112
ws,1,8,8,5,13,11,8,24,100,101
ws,1,8,4,3,8,4,8,20,22,23
ws,1,8,8,64,64,64,8,24,4119,4120
ws,1,16,16,32,32,32,16,48,223,224
ws,1,16,16,100,48,40,16,48,947,948
ws,1,16,8,7,33,9,16,40,246,247
ws,1,16,16,128,128,128,16,48,8239,8240
ws,1,32,32,64,64,64,32,96,447,448
ws,1,32,32,49,100,70,32,96,1200,1201
ws,2,4,4,4,4,4,4,12,15,16
ws,2,4,4,8,8,8,4,12,67,68
ws,2,4,4,1,8,8,4,12,39,40
ws,2,4,8,16,10,20,4,16,255,256
ws,2,8,8,16,16,16,8,24,135,136
ws,2,8,8,5,13,11,8,24,91,92
ws,2,8,4,3,8,4,8,20,22,23
ws,2,8,8,64,64,64,8,24,5127,5128
ws,2,16,16,32,32,32,16,48,271,272
ws,2,16,16,100,48,40,16,48,1203,1204
ws,2,16,8,7,33,9,16,40,201,202
ws,2,16,16,128,128,128,16,48,10255,10256
ws,2,32,32,64,64,64,32,96,543,544
ws,2,32,32,49,100,70,32,96,1387,1388
os,0,4,4,4,4,4,0,12,15,16
os,0,4,4,8,8,8,0,16,79,80
os,0,4,4,1,8,8,0,16,39,40
os,0,4,8,16,10,20,0,22,311,312
os,0,8,8,16,16,16,0,32,159,160
os,0,8,8,5,13,11,0,29,73,74
os,0,8,4,3,8,4,0,20,27,28
os,0,8,8,64,64,64,0,80,5631,5632
os,0,16,16,32,32,32,0,64,319,320
os,0,16,16,100,48,40,0,80,2015,2016
os,0,16,8,7,33,9,0,57,145,146
os,0,16,16,128,128,128,0,160,11263,11264
os,0,32,32,64,64,64,0,128,639,640
os,0,32,32,49,100,70,0,164,1175,1176
os,1,4,4,4,4,4,0,12,15,16
os,1,4,4,8,8,8,0,16,64,65
os,1,4,4,1,8,8,0,16,34,35
os,1,4,8,16,10,20,0,22,256,257
os,1,8,8,16,16,16,0,32,132,133
os,1,8,8,5,13,11,0,29,64,65
os,1,8,4,3,8,4,0,20,27,28
os,1,8,8,64,64,64,0,80,5064,5065
os,1,16,16,32,32,32,0,64,268,269
os,1,16,16,100,48,40,0,80,1675,1676
os,1,16,8,7,33,9,0,57,128,129
os,1,16,16,128,128,128,0,160,10192,10193
os,1,32,32,64,64,64,0,128,540,541
os,1,32,32,49,100,70,0,164,1010,1011
"""
MODES: dict[str, dict[str, Any]] = {
    "ws,0": {"weight_buffers": 1},
    "ws,1": {"weight_buffers": 2, "swap": "wave"},
    "ws,2": {"weight_buffers": 2, "swap": "global"},
    "os,0": {"drain": "serial"},
    "os,1": {"drain": "overlap"},
}


def make(rows: int = 3, cols: int = 3, dataflow: str = "ws", **knobs: Any) -> Systolic:
    return Systolic(kind="systolic", rows=rows, cols=cols, dataflow=dataflow, **knobs)


def operands(m: int, n: int, k: int) -> tuple[Any, Any]:
    return random_integers((m, k), seed=1, high=128), random_integers((k, n), seed=2, high=128)


small = st.integers(1, 5)


@st.composite
def arrays(draw: st.DrawFn) -> Systolic:
    """Draw an array with any combination of the knobs that have a register-level model."""
    return make(
        rows=draw(small),
        cols=draw(small),
        dataflow=draw(st.sampled_from(["ws", "is", "os"])),
        sram_read_latency=draw(st.integers(0, 3)),
        output_register=draw(st.integers(0, 2)),
        pe_pipeline=draw(st.integers(1, 3)),
        weight_buffers=draw(st.sampled_from([1, 2])),
        swap=draw(st.sampled_from(["wave", "global"])),
        drain=draw(st.sampled_from(["serial", "overlap", "stream"])),
    )


@st.composite
def fold_sequences(draw: st.DrawFn) -> tuple[Systolic, list[Fold]]:
    """Draw an array and folds of unequal streamed lengths and sizes for it."""
    array = draw(arrays())
    folds = []
    for seed, stream in enumerate(draw(st.lists(st.integers(1, 16), min_size=1, max_size=5))):
        rows, cols = draw(st.integers(1, array.rows)), draw(st.integers(1, array.cols))
        m, k = (rows, stream) if array.dataflow == "os" else (stream, rows)
        folds.append(Fold(random_integers((m, k), seed), random_integers((k, cols), seed + 100)))
    return array, folds


def stream_length(array: Systolic, fold: Fold) -> int:
    return len(fold.weights if array.dataflow == "os" else fold.inputs)


@pytest.mark.parametrize("row", RTL.split())
def test_equals_measured_rtl_edge_by_edge(row: str) -> None:
    dataflow, mode, *figures = row.split(",")
    rows, cols, m, k, n, *expected = map(int, figures)
    a, b = operands(m, n, k)
    product = gemm(make(rows, cols, dataflow, **MODES[f"{dataflow},{mode}"]), a, b)
    first, last = product.run.edges[0], product.run.edges[-1]
    assert [first.first_input, first.first_output, last.last_output, product.cycles] == expected
    np.testing.assert_array_equal(product.values, a @ b)


@settings(max_examples=500, deadline=None)
@given(arrays(), st.integers(1, 12), st.integers(1, 12), st.integers(1, 24), st.integers(1, 4))
def test_product_is_exact_and_cycles_equal_the_closed_form(array: Systolic, m: int, n: int, k: int, rate: int) -> None:
    """PEs that take several elements along k at once run the folds of as many fewer steps, each a word of them."""
    a, b = operands(m, n, k)
    product = gemm(array, a, b, rate=rate)
    flow, sizes = DATAFLOWS[array.dataflow], {"m": m, "n": n, "k": -(-k // rate)}
    folds = -(-sizes[flow.row] // array.rows) * -(-sizes[flow.col] // array.cols)
    np.testing.assert_array_equal(product.values, a @ b)
    assert product.cycles == flow.timing(array, sizes[flow.stream]).total(folds)
    assert product.run.macs == m * n * k
    assert product.run.active.max() <= array.rows * array.cols * rate
    assert product.run.utilization <= 1
    assert len(product.run.active) == product.cycles


@settings(max_examples=200, deadline=None)
@given(fold_sequences())
def test_unequal_folds_follow_the_recurrence_of_their_timings(case: tuple[Systolic, Sequence[Fold]]) -> None:
    array, folds = case
    run = simulate(array, folds)
    timings = [DATAFLOWS[array.dataflow].timing(array, stream_length(array, fold)) for fold in folds]
    start = timings[0].load
    for fold, (timing, edges) in enumerate(zip(timings, run.edges, strict=True)):
        if fold:
            before = timings[fold - 1]
            start = max(start + before.after_load + timing.load, start + before.after_stream)
        assert (edges.first_input, edges.last_output + 1) == (start, start + timing.tail)
    for fold_, output in zip(folds, run.outputs, strict=True):
        np.testing.assert_array_equal(output, fold_.inputs @ fold_.weights)


@settings(max_examples=100, deadline=None)
@given(fold_sequences())
def test_every_operand_moves_one_pe_a_cycle(case: tuple[Systolic, Sequence[Fold]]) -> None:
    array, folds = case
    shots = simulate(array, folds, record=True).snapshots
    for now, then in pairwise(shots):
        np.testing.assert_array_equal(then.inputs[:, 1:], now.inputs[:, :-1])
        if array.dataflow == "os":
            np.testing.assert_array_equal(then.weights[1:], now.weights[:-1])


@settings(max_examples=100, deadline=None)
@given(fold_sequences())
def test_the_useful_multiplies_of_the_snapshots_make_up_the_products(case: tuple[Systolic, Sequence[Fold]]) -> None:
    array, folds = case
    run = simulate(array, folds, record=True)
    multiplied = sum(shot.inputs * shot.weights * shot.useful for shot in run.snapshots)
    expected = np.zeros((array.rows, array.cols), np.int64)
    useful = np.zeros_like(expected)
    for fold in folds:
        steps = stream_length(array, fold)
        if array.dataflow == "os":
            rows, cols = len(fold.inputs), fold.weights.shape[1]
            expected[:rows, :cols] += fold.inputs @ fold.weights
        else:
            rows, cols = fold.weights.shape
            expected[:rows, :cols] += fold.inputs.sum(axis=0)[:, None] * fold.weights
        useful[:rows, :cols] += steps
    np.testing.assert_array_equal(multiplied, expected)
    np.testing.assert_array_equal(sum(shot.useful.astype(int) for shot in run.snapshots), useful)


@settings(max_examples=50, deadline=None)
@given(arrays(), small, small, small)
def test_input_stationary_is_weight_stationary_transposed(array: Systolic, m: int, n: int, k: int) -> None:
    a, b = operands(m, n, k)
    stationary = gemm(array.model_copy(update={"dataflow": "is"}), a, b)
    transposed = gemm(array.model_copy(update={"dataflow": "ws"}), b.T, a.T)
    np.testing.assert_array_equal(stationary.values, transposed.values.T)
    assert stationary.run.edges == transposed.run.edges


@settings(max_examples=50, deadline=None)
@given(arrays(), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_any_tiling_that_fits_gives_the_same_product(array: Systolic, m: int, n: int, k: int) -> None:
    a, b = operands(9, 8, 7)
    flow = DATAFLOWS[array.dataflow]
    tile = {"m": m, "n": n, "k": k}
    tile |= {flow.row: min(tile[flow.row], array.rows), flow.col: min(tile[flow.col], array.cols)}
    product = gemm(array, a, b, tile_m=tile["m"], tile_n=tile["n"], tile_k=tile["k"])
    np.testing.assert_array_equal(product.values, a @ b)
    assert len(product.run.edges) == -(-9 // tile["m"]) * -(-8 // tile["n"]) * -(-7 // tile["k"])


def one_pe(dataflow: str, **knobs: Any) -> Run:
    """Run 2 · 5 + 3 · 7 (os) or 2 · 5 and 3 · 5 (ws) on a single PE, every cycle recorded."""
    inputs, weights = ([[2, 3]], [[5], [7]]) if dataflow == "os" else ([[2], [3]], [[5]])
    fold = Fold(np.array(inputs), np.array(weights))
    return simulate(make(1, 1, dataflow, **knobs), [fold], record=True)


def show(shots: Sequence[Snapshot], field: str) -> list[Any]:
    values = [getattr(shot, field) for shot in shots]
    return [None if value is None else value.item() for value in values]


def test_one_weight_stationary_pe_cycle_by_cycle() -> None:
    shots = one_pe("ws", weight_buffers=2).snapshots
    assert show(shots, "accepted_weights") == [5, None, None, None, None]
    assert show(shots, "accepted") == [None, 2, 3, None, None]
    assert show(shots, "shadow") == [0, 0, 5, 5, 5]
    assert show(shots, "weights") == [0, 0, 5, 5, 5]
    assert show(shots, "inputs") == [0, 0, 2, 3, 0]
    assert show(shots, "useful") == [False, False, True, True, False]
    assert show(shots, "sums") == [0, 0, 10, 15, 0]
    assert show(shots, "leaving") == [0, 0, 0, 10, 15]
    assert show(shots, "leaves") == [False, False, False, True, True]
    assert show(shots, "drain") == [None] * 5
    assert show(one_pe("ws").snapshots, "shadow") == [None] * 5


def test_one_output_stationary_pe_cycle_by_cycle() -> None:
    shots = one_pe("os").snapshots
    assert show(shots, "accepted") == [2, 3, None, None, None]
    assert show(shots, "accepted_weights") == [5, 7, None, None, None]
    assert show(shots, "inputs") == [0, 2, 3, 0, 0]
    assert show(shots, "weights") == [0, 5, 7, 0, 0]
    assert show(shots, "sums") == [0, 10, 31, 0, 0]
    assert show(shots, "drain") == [0, 0, 0, 31, 0]
    assert show(shots, "leaving") == [0, 0, 0, 0, 31]
    assert show(shots, "leaves") == [False, False, False, False, True]


def test_pipelined_multiplier_delays_the_sum_and_not_the_multiply() -> None:
    shots = one_pe("os", pe_pipeline=3).snapshots
    assert show(shots, "useful") == [False, True, True, False, False, False, False]
    assert show(shots, "sums") == [0, 0, 0, 10, 31, 0, 0]


def test_watcher_sees_every_snapshot_in_order() -> None:
    seen: list[Snapshot] = []
    product = gemm(make(2, 2, "os"), *operands(3, 3, 3), record=True, watch=seen.append)
    assert tuple(seen) == product.run.snapshots
    assert [shot.cycle for shot in seen] == list(range(product.cycles))
    assert gemm(make(2, 2, "os"), *operands(3, 3, 3)).run.snapshots == ()


def test_utilization_is_useful_macs_over_pe_cycles() -> None:
    run = gemm(make(4, 4), *operands(16, 4, 4)).run
    assert run.cycles == 2 * 4 + 4 + 16
    assert run.utilization == 16 * 4 * 4 / (16 * 28)


def test_floating_point_operands_stay_floating_point() -> None:
    a, b = np.array([[0.5, 1.5]], np.float32), np.array([[2], [4]], np.int8)
    assert gemm(make(), a, b).values.tolist() == [[7.0]]


def test_narrow_integers_do_not_overflow() -> None:
    a, b = np.full((1, 9), -128, np.int8), np.full((9, 1), -128, np.int8)
    assert gemm(make(), a, b).values.tolist() == [[9 * 128 * 128]]


MATRIX = np.ones((2, 2), np.int64)
BAD: list[tuple[Systolic, list[Fold], str]] = [
    (
        make(convention="scalesim"),
        [Fold(MATRIX, MATRIX)],
        "convention 'scalesim' counts cycles by formula and has no register-level model; set convention: rtl",
    ),
    (
        make().model_copy(update={"dataflow": "rs"}),
        [Fold(MATRIX, MATRIX)],
        "dataflow 'rs' runs passes, not folds of a product; use run_passes",
    ),
    (make(), [], "there is no fold to run; give at least one"),
    (
        make(),
        [Fold(MATRIX, MATRIX), Fold(MATRIX, np.ones((3, 2)))],
        "fold 1: blocks of shape (2, 2) and (3, 2) have no matrix product; they must be (x, y) and (y, z), "
        "none of them 0",
    ),
    (
        make(),
        [Fold(np.ones((0, 2)), MATRIX)],
        "fold 0: blocks of shape (0, 2) and (2, 2) have no matrix product; they must be (x, y) and (y, z), "
        "none of them 0",
    ),
    (
        make(2, 4),
        [Fold(np.ones((9, 3)), np.ones((3, 4)))],
        "fold 0: needs 3 rows and 4 columns of the array, it has 2 and 4; cut it into smaller folds",
    ),
    (
        make(4, 2, "os"),
        [Fold(np.ones((5, 9)), np.ones((9, 2)))],
        "fold 0: needs 5 rows and 2 columns of the array, it has 4 and 2; cut it into smaller folds",
    ),
]


@pytest.mark.parametrize(("array", "folds", "message"), BAD)
def test_what_cannot_run_says_why(array: Systolic, folds: list[Fold], message: str) -> None:
    with pytest.raises(MappingError) as error:
        simulate(array, folds)
    assert str(error.value) == message


def test_a_dataflow_of_one_s_own_has_no_register_level_model_until_it_registers_one() -> None:
    array = make().model_copy(update={"dataflow": "mine"})
    DATAFLOWS.register("mine")(DATAFLOWS["ws"])
    try:
        with pytest.raises(MappingError) as error:
            simulate(array, [Fold(MATRIX, MATRIX)])
        assert str(error.value) == "dataflow 'mine' has no register-level model; there is one for: is, os, ws"
        GRIDS.register("mine")(GRIDS["ws"])
        assert simulate(array, [Fold(MATRIX, MATRIX)]).outputs[0].tolist() == (MATRIX @ MATRIX).tolist()
    finally:
        DATAFLOWS.unregister("mine")
        GRIDS.unregister("mine")


def test_matrices_that_do_not_fit_together_are_named() -> None:
    with pytest.raises(MappingError) as error:
        gemm(make(), np.ones((2, 3)), np.ones((2, 3)))
    assert str(error.value) == "shapes (2, 3) and (2, 3) have no matrix product; they must be (M, K) and (K, N)"


@pytest.mark.parametrize(("size", "tile"), [(2, 0), (0, 2)])
def test_empty_dimensions_and_tiles_are_named(size: int, tile: int) -> None:
    with pytest.raises(MappingError) as error:
        gemm(make(), np.ones((size, 2)), MATRIX, tile_m=tile)
    expected = f"cannot cut dimension m of size {size} into tiles of {tile}; both must be at least 1"
    assert str(error.value) == expected
