"""A film of row-stationary passes: PE sets whose rows add up the sums of a window, from below to the top."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.alone import computes
from sim.animation.film import Film, Frame, cells
from sim.arch import Systolic
from sim.execute.passes import PassGeometry
from sim.kernel import Axis, Contraction
from sim.passes import Passes
from sim.plan import Compute, PassWork, Plan, Position
from sim.reference import PassBlock, PassSnapshot, run_passes
from sim.reference.registers import Array

WORDS = ("input", "weight", "sum", "")
ABOUT = (
    "A PE holds a row of a filter and slides it along a row of inputs; sums of a window grow in it.",
    "The rows of a PE set are those of the kernel, its columns rows of outputs: inputs are shared along diagonals.",
    "When a window is done its sums climb the chain, each row adds its own, and the top one lets them out.",
)


@dataclass(frozen=True)
class _Part:
    """A pass with its operands, and where its sums stand in the product: rows (images, rows, columns), columns."""

    block: PassBlock
    rows: Array
    cols: Array


def film_of_passes(title: str, array: Systolic, plan: Plan, inputs: Array, right: Array) -> Film:
    """Return the film of a row-stationary array that works on the passes of a plan, in its order."""
    kernel = plan.kernel
    assert isinstance(kernel, Contraction)  # only contractions have passes
    product = np.zeros((kernel.groups, kernel.m, kernel.n), np.result_type(inputs, right))
    parts = [_part(plan, inputs, right, product, step, at) for step, at in computes(plan.body)]
    seen: list[PassSnapshot] = []
    run = run_passes(array, [part.block for part in parts], seen.append)
    frames = [_frame(snapshot, parts) for snapshot in seen]
    frames += [_after(frames[-1], cycle) for cycle in range(len(frames), run.cycles)]
    rows, cols = len(frames[0].sums), len(frames[0].sums[0])
    times = sum(bool((part.rows == 0).any() and (part.cols == 0).any()) for part in parts)
    shape = (kernel.groups * kernel.m, kernel.n)
    return Film(title, "rs", WORDS, rows, cols, array.rows * array.cols, tuple(frames), shape, times, ABOUT)


def _part(plan: Plan, inputs: Array, right: Array, product: Array, step: Compute, at: Position) -> _Part:
    """Return the pass of a step, whose sums start from what the product holds so far; add its own to the product."""
    kernel, passes = plan.kernel, plan.mapping
    assert isinstance(kernel, Contraction) and isinstance(passes, Passes) and isinstance(step.work, PassWork)
    geometry = PassGeometry(kernel, passes)
    axes, g = geometry.planes.axes, at["g"]
    filters = np.arange(at["n"], at["n"] + step.extent[2])
    (images, rows, columns), (channels, piece) = geometry.points(at), geometry.depth(at)
    m, k = geometry.m(at), geometry.k(at)
    shape = (images.size, rows.size, columns.size)
    planes = [_plane(geometry, inputs[g], int(image), piece.outside)[channels] for image in images]
    seen = [
        _reach(axis, int(outs[0]), outs.size, first, taps)
        for axis, outs, first, taps in zip(
            axes, (rows, columns), (piece.row, piece.tap), (piece.rows, piece.taps), strict=True
        )
    ]  # fmt: skip
    weights = right[g][np.ix_(k, filters)].T.reshape(filters.size, channels.size, piece.rows, piece.taps)
    before = product[g][np.ix_(m, filters)].reshape(*shape, filters.size).transpose(0, 3, 1, 2)
    block = PassBlock(
        np.stack([_window(plane, *seen) for plane in planes]), weights, before.copy(), step.work.shape.sets,
        (axes[0].stride, axes[1].stride), (axes[0].dilation, axes[1].dilation),
    )  # fmt: skip
    product[g][np.ix_(m, filters)] += _sums(kernel, inputs[g], m, k) @ right[g][np.ix_(k, filters)]
    return _Part(block, (g * kernel.m + m).reshape(shape), filters)


def _sums(kernel: Contraction, inputs: Array, m: Array, k: Array) -> Array:
    index = kernel.gather(slice(0, kernel.m), slice(0, kernel.k))[np.ix_(m, k)]
    return np.asarray(np.where(index < 0, 0, inputs.ravel()[index]))


def _plane(geometry: PassGeometry, inputs: Array, image: int, tap: int) -> Array:
    """Return the inputs (channels, rows, columns) of the plane that an image reads, zeros where that is padding."""
    kernel, planes = geometry.kernel, geometry.planes
    if not kernel.axes:
        return inputs.T[:, None, :]
    sizes = [axis.size for axis in kernel.axes]
    height, width = ([1, *sizes])[-2:]
    outer = planes.images // kernel.batch
    stacked = inputs[image // outer].reshape(kernel.channels, -1, height, width)
    plane = planes.inside(image, tap) if planes.outside else 0
    return np.zeros_like(stacked[:, 0]) if plane is None else stacked[:, plane]


def _reach(axis: Axis, start: int, outs: int, tap: int, taps: int) -> Array:
    """Return the coordinates that outputs [start, start + outs) read at some taps, those of padding included."""
    length = (outs - 1) * axis.stride + (taps - 1) * axis.dilation + 1
    return start * axis.stride + tap * axis.dilation - axis.pad + np.arange(length)


def _window(plane: Array, rows: Array, columns: Array) -> Array:
    """Return the plane at some coordinates, zero outside it."""
    inside = [(at >= 0) & (at < size) for at, size in zip((rows, columns), plane.shape[1:], strict=True)]
    found = plane[np.ix_(np.arange(len(plane)), np.where(inside[0], rows, 0), np.where(inside[1], columns, 0))]
    return np.asarray(found * np.outer(*inside))


def _frame(snapshot: PassSnapshot, parts: Sequence[_Part]) -> Frame:
    """Return the frame of a cycle; the top of the chain is the first row."""
    def drawn(values: Array) -> Any:
        return values.reshape(len(values), -1)[::-1]

    useful, working = drawn(snapshot.useful), drawn(snapshot.working)
    windows = [step[0] if step else -1 for step in snapshot.step][::-1]
    return Frame(
        snapshot.cycle, _phase(snapshot), cells(drawn(snapshot.inputs), useful), cells(drawn(snapshot.weights), useful),
        cells(drawn(snapshot.sums), working), cells(drawn(snapshot.sums), np.zeros_like(working)),
        tuple(tuple(window if there else -1 for there in row) for window, row in zip(windows, working, strict=True)),
        tuple(tuple(map(bool, row)) for row in useful), outputs=tuple(_left(snapshot, parts)),
    )  # fmt: skip


def _left(snapshot: PassSnapshot, parts: Sequence[_Part]) -> Iterator[tuple[int, int, int]]:
    for index, image, f, row, x, value in snapshot.outputs:
        part = parts[index]
        yield int(part.rows[image, row, x]), int(part.cols[f]), int(value)


def _phase(snapshot: PassSnapshot) -> str:
    step = snapshot.step[0]
    if step is None:
        return "waiting for operands" if not snapshot.working.any() else "the rows above finish"
    window, tap, channel, p = step
    if snapshot.adding[0].any():
        return f"window {window}: sums of filter {p} climb the chain"
    return f"window {window}: tap {tap}, channel {channel}, filter {p}"


def _after(last: Frame, cycle: int) -> Frame:
    """Return a cycle in which the PEs rest while the last sums are written."""
    nothing = tuple((None,) * len(row) for row in last.sums)
    rest = tuple((-1,) * len(row) for row in last.sums), tuple((False,) * len(row) for row in last.sums)
    return Frame(cycle, "the last sums are written", nothing, nothing, nothing, nothing, *rest)


