"""A planned layer as words on the ports of an array, and what leaves the array as the layer's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.execute import FoldBlock
from sim.kernel import Contraction
from sim.rtl.bench import Fold, Matrix
from sim.rtl.machine import Machine


@dataclass(frozen=True)
class Operands:
    """The numbers of a contraction: `left` (groups, M, K) as its window reads the input, `right` (groups, K, N).

    `product` (groups, M, N) is computed from inputs by the kernel's own numpy, not from `left`.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    product: NDArray[Any]


def operands(kernel: Contraction, machine: Machine, seed: int) -> Operands:
    """Return random operands over the whole range of the widths of `machine`."""
    widths, rng = machine.widths, np.random.default_rng(seed)
    left_bits, right_bits = widths.row, widths.column
    if machine.array.dataflow == "is":
        left_bits, right_bits = right_bits, left_bits
    inputs = _random(rng, kernel.input_shape, left_bits)
    right = _random(rng, (kernel.groups, kernel.k, kernel.n), right_bits)
    index = kernel.gather(slice(0, kernel.m), slice(0, kernel.k))
    left = np.where(index < 0, 0, inputs.reshape(kernel.groups, -1)[:, index])
    return Operands(left, right, kernel.compute(inputs, right))


def _random(rng: np.random.Generator, shape: Sequence[int], bits: int) -> NDArray[Any]:
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), size=tuple(shape))


def fold(machine: Machine, block: FoldBlock, numbers: Operands) -> Fold:
    """Return the words of one fold; groups packed onto one array lie on its diagonal."""
    array = machine.array
    lefts = [numbers.left[g][np.ix_(block.m, block.k)] for g in block.groups]
    rights = [numbers.right[g][np.ix_(block.k, block.n)] for g in block.groups]
    if array.dataflow == "os":
        rows, cols = np.concatenate(lefts).T, np.concatenate(rights, axis=1)
        return Fold(None, _pad(rows, array.rows), _pad(cols, array.cols))
    if array.dataflow == "is":
        lefts, rights = [r.T for r in rights], [x.T for x in lefts]
    resident = np.zeros((array.rows, array.cols), dtype=np.int64)
    for (r, c), right in zip(_corners(rights), rights, strict=True):
        resident[r : r + right.shape[0], c : c + right.shape[1]] = right
    return Fold(resident[::-1], _pad(np.concatenate(lefts, axis=1), array.rows))


def _pad(words: Matrix, lanes: int) -> Matrix:
    """Return the (steps, used lanes) words with zeros in the lanes that are not used."""
    return np.pad(words, ((0, 0), (0, lanes - words.shape[1])))


def _corners(parts: Sequence[Matrix]) -> list[tuple[int, int]]:
    """Return where each part begins if the parts lie on a diagonal."""
    r = c = 0
    corners = []
    for part in parts:
        corners.append((r, c))
        r, c = r + part.shape[0], c + part.shape[1]
    return corners


def gather(machine: Machine, kernel: Contraction, parts: Sequence[tuple[FoldBlock, Matrix]]) -> NDArray[Any]:
    """Return the outputs (groups, M, N) that the folds' outputs add up to, behind the array and wrapped as in it."""
    total = np.zeros((kernel.groups, kernel.m, kernel.n), dtype=np.int64)
    for block, words in parts:
        for index, g in enumerate(block.groups):
            total[g][np.ix_(block.m, block.n)] += _share(machine, block, words, index)
    return wrap(total, machine.widths.sum)


def _share(machine: Machine, block: FoldBlock, words: Matrix, index: int) -> Matrix:
    """Return what one of the packed groups of a fold put out, (m, n)."""
    m, n = block.m.size, block.n.size
    if machine.array.dataflow == "is":
        return words[:, index * m : (index + 1) * m].T
    rows = words[index * m : (index + 1) * m] if machine.array.dataflow == "os" else words
    return rows[:, index * n : (index + 1) * n]


def wrap(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return integers as two's complement words of `bits` bits hold them."""
    half = 1 << (bits - 1)
    return (values + half & (1 << bits) - 1) - half
