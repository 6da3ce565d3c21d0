"""The registers that the grids are made of: words with tag bits, shift registers, pipelines and the skew."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
T = TypeVar("T")

VALID, FIRST, LAST, USEFUL = (np.uint8(1 << bit) for bit in range(4))
"""Tag bits of a word: it is one at all, it is the first or the last of its fold, it is no padding."""


def push(registers: Array, entering: Array | int, axis: int) -> None:
    """Move every row (axis 0) or column (axis 1) of `registers` on by one and take `entering` in at the start."""
    lanes = registers.swapaxes(0, axis)
    lanes[1:] = lanes[:-1]
    lanes[0] = entering


class Words:
    """Numbers of any shape, each with its tag bits; the two always move together.

    Operands have one axis more, the last: the elements along k that a PE takes at once, `rate` of them.
    """

    def __init__(self, value: Array, tag: Array) -> None:
        self.value, self.tag = value, tag

    @classmethod
    def blank(cls, shape: int | tuple[int, ...], dtype: np.dtype[Any]) -> Words:
        """Return words of `shape` that hold nothing: zeros without a tag."""
        return cls(np.zeros(shape, dtype), np.zeros(shape, np.uint8))

    def push(self, entering: Words, axis: int) -> None:
        """Move all words on by one register along `axis` and take `entering` in at the start."""
        push(self.value, entering.value, axis)
        push(self.tag, entering.tag, axis)

    def take(self, other: Words, where: Array) -> None:
        """Become equal to `other` where `where` (boolean, same shape) says so."""
        np.copyto(self.value, other.value, where=where)
        np.copyto(self.tag, other.tag, where=where)

    def copy(self) -> Words:
        """Return words that no longer change with these."""
        return Words(self.value.copy(), self.tag.copy())


def pack(block: Array, axis: int, rate: int) -> Words:
    """Return `block` with each `rate` elements along `axis` as one word: they stand along a new last axis.

    The last word may be filled with zeros; only real elements are useful.
    """
    real = np.full(block.shape, USEFUL)
    missing = [(0, -size % rate if at == axis % block.ndim else 0) for at, size in enumerate(block.shape)]
    value, tag = (np.moveaxis(np.pad(part, missing), axis, -1) for part in (block, real))
    shape = (*value.shape[:-1], -1, rate)
    return Words(*(np.moveaxis(part.reshape(shape), -2, axis) for part in (value, tag)))


def bare(values: Array) -> Array:
    """Return operands without their last axis where a PE takes one element at once."""
    return values[..., 0] if values.shape[-1] == 1 else values


def value_of(words: Words | None) -> Array | None:
    """Return the operands of `words` without their tags, None where there are no words."""
    return None if words is None else bare(words.value)


class Pipeline(Generic[T]):
    """`depth` registers in a row; none at all are a wire. What goes in must not change afterwards."""

    def __init__(self, depth: int, idle: T) -> None:
        self._stages = deque([idle] * depth)

    def push(self, entering: T) -> T:
        """Clock once: return what entered `depth` edges ago (`idle` where that is before the first edge)."""
        self._stages.append(entering)
        return self._stages.popleft()


class Skew:
    """The triangle of registers at an edge of the grid: lane i is delayed by i cycles."""

    def __init__(self, lanes: int, dtype: np.dtype[Any], rate: int = 1) -> None:
        # Column j of the square holds what entered j edges ago; only the triangle up to the diagonal exists.
        self._stages = Words.blank((lanes, lanes, rate), dtype)

    def push(self, entering: Words) -> Words:
        """Clock once: return the word that leaves each lane, shape (lanes, rate)."""
        self._stages.push(entering, axis=1)
        return Words(self._stages.value.diagonal().T, self._stages.tag.diagonal().T)
