"""Run folds, or a whole matrix product, through the registers of an array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from sim.arch import Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.errors import MappingError
from sim.reference.grid import GRIDS, Grid
from sim.reference.records import Fold, Product, Run, Snapshot
from sim.reference.registers import Array

Watcher = Callable[[Snapshot], None]


def simulate(
    array: Systolic, folds: Sequence[Fold], record: bool = False, watch: Watcher | None = None, rate: int = 1
) -> Run:
    """Return what one `array` does with `folds`, in this order; its `count` is not looked at.

    Each PE takes `rate` elements along k at once, packed in the order of k.

    `watch` is called with a Snapshot of every cycle; with `record` the run keeps them all. MappingError where
    the array has no register-level model or a fold does not fit it.
    """
    grid = _grid(array, folds, rate)
    active: list[int] = []
    snapshots: list[Snapshot] = []
    watchers = ([watch] if watch else []) + ([snapshots.append] if record else [])
    while not grid.finished:
        edge = len(active)
        grid.step(edge)
        active.append(int(np.count_nonzero(grid.useful)))
        if watchers:
            snapshot = grid.snapshot(edge)
            for each in watchers:
                each(snapshot)
    pes = array.rows * array.cols
    return Run(tuple(grid.outputs()), tuple(grid.edges()), np.array(active), pes, tuple(snapshots), rate)


def gemm(
    array: Systolic,
    a: Array,
    b: Array,
    record: bool = False,
    watch: Watcher | None = None,
    tile_m: int | None = None,
    tile_n: int | None = None,
    tile_k: int | None = None,
    rate: int = 1,
) -> Product:
    """Return a (M x K) · b (K x N) as one `array` computes it, fold by fold, k innermost.

    A tile is at most `tile_m` x `tile_n` x `tile_k`; where one is left out, it is as large as the array for the
    dimensions on its rows and columns and the whole of the streamed one. Partial products over K are added up
    outside the array. Each PE takes `rate` elements along k at once. MappingError where shapes, tiles or array do
    not allow it.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise MappingError(f"shapes {a.shape} and {b.shape} have no matrix product; they must be (M, K) and (K, N)")
    _grid_type(array)
    flow = DATAFLOWS[array.dataflow]
    sizes: dict[Dim, int] = {"m": a.shape[0], "n": b.shape[1], "k": a.shape[1]}
    natural = {flow.row: array.rows, flow.col: array.cols, flow.stream: sizes[flow.stream]}
    natural["k"] *= rate
    asked: dict[Dim, int | None] = {"m": tile_m, "n": tile_n, "k": tile_k}
    tiles = [_tiles(dim, sizes[dim], natural[dim] if tile is None else tile) for dim, tile in asked.items()]
    places = list(product(*tiles))
    exchanged = flow.stationary == "input"
    blocks = [(a[m, k], b[k, n]) for m, n, k in places]
    folds = [Fold(right.T, left.T) if exchanged else Fold(left, right) for left, right in blocks]
    run = simulate(array, folds, record, watch, rate)
    values = np.zeros((sizes["m"], sizes["n"]), run.outputs[0].dtype)
    for (m, n, _), output in zip(places, run.outputs, strict=True):
        values[m, n] += output.T if exchanged else output
    return Product(values, run)


def _tiles(dim: str, size: int, tile: int) -> list[slice]:
    if tile < 1 or size < 1:
        raise MappingError(f"cannot cut dimension {dim} of size {size} into tiles of {tile}; both must be at least 1")
    return [slice(start, min(start + tile, size)) for start in range(0, size, tile)]


def _grid(array: Systolic, folds: Sequence[Fold], rate: int) -> Grid:
    grid = _grid_type(array)
    if not folds:
        raise MappingError("there is no fold to run; give at least one")
    for index, fold in enumerate(folds):
        _check(array, index, fold, rate)
    dtype = np.result_type(np.int64, *(block.dtype for fold in folds for block in (fold.inputs, fold.weights)))
    return grid(array, folds, dtype, rate)


def _grid_type(array: Systolic) -> type[Grid]:
    if array.convention != "rtl":
        raise MappingError(
            f"convention '{array.convention}' counts cycles by formula and has no register-level model; "
            "set convention: rtl"
        )
    if DATAFLOWS[array.dataflow].passes:
        raise MappingError(f"dataflow '{array.dataflow}' runs passes, not folds of a product; use run_passes")
    if array.dataflow not in GRIDS:
        raise MappingError(
            f"dataflow '{array.dataflow}' has no register-level model; there is one for: {', '.join(GRIDS)}"
        )
    return GRIDS[array.dataflow]


def _check(array: Systolic, index: int, fold: Fold, rate: int) -> None:
    inputs, weights = fold.inputs.shape, fold.weights.shape
    if len(inputs) != 2 or len(weights) != 2 or inputs[1] != weights[0] or 0 in (*inputs, *weights):
        raise MappingError(
            f"fold {index}: blocks of shape {inputs} and {weights} have no matrix product; "
            "they must be (x, y) and (y, z), none of them 0"
        )
    on_rows = GRIDS[array.dataflow].on_rows
    rows = -(-inputs[on_rows] // (rate if on_rows == 1 else 1))
    if rows > array.rows or weights[1] > array.cols:
        raise MappingError(
            f"fold {index}: needs {rows} rows and {weights[1]} columns of the array, "
            f"it has {array.rows} and {array.cols}; cut it into smaller folds"
        )
