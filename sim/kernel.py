"""What a layer asks of the hardware: contractions for the arrays, lane work for the vector unit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a sliding window: output o and tap t read input o·stride + t·dilation - pad.

    Inputs outside [0, size) are zeros. `pad` is the padding before the first input (negative crops);
    the padding behind the last one follows from `out`.
    """

    size: int
    out: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    def coordinates(self, start: int, count: int) -> NDArray[np.int64]:
        """Return the input coordinate of each (output, tap), shape (count, kernel); out-of-range ones kept."""
        outputs = np.arange(start, start + count)[:, None] * self.stride
        return outputs + np.arange(self.kernel)[None, :] * self.dilation - self.pad

    def touched(self, start: int, count: int) -> int:
        """Return how many distinct inputs the outputs [start, start + count) read."""
        return _touched(self, start, count)


@lru_cache(maxsize=65536)
def _touched(axis: Axis, start: int, count: int) -> int:
    first = start * axis.stride - axis.pad
    last = first + (count - 1) * axis.stride + (axis.kernel - 1) * axis.dilation
    gapless = axis.dilation == 1 or axis.kernel == 1
    if gapless and (axis.stride <= axis.kernel or count == 1):
        return max(0, min(last, axis.size - 1) - max(first, 0) + 1)
    read = axis.coordinates(start, count).ravel()
    return int(np.unique(read[(read >= 0) & (read < axis.size)]).size)


@dataclass(frozen=True)
class Contraction:
    """The canonical loop nest: `groups` independent products output[M,N] = input[M,K] · right[K,N].

    M runs over batch x output positions, K over channels x kernel taps (channel outermost), N over the
    filters of a group. The input is read through the window that `axes` describe; without axes it is a
    plain matrix. `right` is stored parameters ("weight"), or where `right_is` says so another activation
    ("input") or keys and values ("kv").

    Shapes: input (groups, batch, channels, *sizes), right (groups, K, N), output (groups, M, N).
    """

    name: str
    filters: int
    channels: int
    batch: int = 1
    groups: int = 1
    axes: tuple[Axis, ...] = ()
    right_is: str = "weight"
    biased: bool = False
    """Whether accumulation starts from a stored value per filter instead of zero; adds nothing to `macs`."""
    hidden: int = 0
    """Products that the nest computes and nobody uses: a mask hides them, or they pad a tile. Not in `macs`."""

    @property
    def bias_elements(self) -> int:
        """Elements of the bias: one a filter and group."""
        return self.groups * self.filters if self.biased else 0

    @property
    def positions(self) -> int:
        """Output positions of one image."""
        return prod(axis.out for axis in self.axes)

    @property
    def taps(self) -> int:
        """Kernel taps a channel."""
        return prod(axis.kernel for axis in self.axes)

    @property
    def m(self) -> int:
        """Rows of one product: batch x output positions."""
        return self.batch * self.positions

    @property
    def n(self) -> int:
        """Columns of one product."""
        return self.filters

    @property
    def k(self) -> int:
        """Length of the reduction: channels x taps."""
        return self.channels * self.taps

    @property
    def computed(self) -> int:
        """Multiply-accumulates that the nest computes, useful or not."""
        return self.groups * self.m * self.n * self.k

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates, those with padding zeros included, as published MAC counts do."""
        return self.computed - self.hidden

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(groups, batch, channels, *sizes)."""
        return (self.groups, self.batch, self.channels, *(axis.size for axis in self.axes))

    @property
    def input_elements(self) -> int:
        """Input elements that at least one multiply-accumulate reads."""
        window = prod(axis.touched(0, axis.out) for axis in self.axes)
        return self.groups * self.batch * self.channels * window

    @property
    def right_elements(self) -> int:
        """Elements of the right operand."""
        return self.groups * self.k * self.n

    @property
    def output_elements(self) -> int:
        """Elements of the output."""
        return self.groups * self.m * self.n

    def gather(self, m: slice, k: slice) -> NDArray[np.int64]:
        """Return which flat input element of a group each (row, reduction index) reads; -1 is a padding zero.

        Shape (len(m), len(k)). This is im2col as an index, without moving any data.
        """
        rows, reduction = np.arange(m.start, m.stop), np.arange(k.start, k.stop)
        image, position = rows // self.positions, rows % self.positions
        channel, tap = reduction // self.taps, reduction % self.taps
        flat = image[:, None] * self.channels + channel[None, :]
        outside = np.zeros(flat.shape, dtype=bool)
        for index, axis in enumerate(self.axes):
            inner = self.axes[index + 1 :]
            o = (position // prod(a.out for a in inner)) % axis.out
            t = (tap // prod(a.kernel for a in inner)) % axis.kernel
            at = o[:, None] * axis.stride + t[None, :] * axis.dilation - axis.pad
            outside |= (at < 0) | (at >= axis.size)
            flat = flat * axis.size + at
        flat[outside] = -1
        return np.asarray(flat)

    def compute(self, inputs: NDArray[np.generic], right: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return the product by plain numpy, shape (groups, M, N): the oracle of every mapping."""
        index = self.gather(slice(0, self.m), slice(0, self.k))
        columns = np.where(index < 0, 0, inputs.reshape(self.groups, -1)[:, index])
        return np.asarray(columns @ right)


LANE_OPERATIONS = ("add", "mul", "max", "exp", "div", "sqrt", "tanh", "erf")
"""The kinds of lane operations: `add` is subtract too, `max` is min and compare too."""


@dataclass(frozen=True)
class VectorWork:
    """Lane work without multiply-accumulate arrays: pooling, activations, norms, additions, data movement.

    `operations` counts lane operations (one a lane and cycle), by kind, as ("add", 1000); pure data
    movement has none and still reads and writes. Element counts are those of whole tensors. `kept` counts
    the inputs that are on chip already; `inputs` are the others.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: int
    operations: tuple[tuple[str, int], ...] = ()
    weights: int = 0
    kinds: tuple[str, ...] = ()
    """What each input is in the accounts, "index" or "routing" for some; none: all are plain inputs."""
    kept: int = 0
    result: str = "output"
    """What the output is in the accounts."""
    streamed: int = 0
    """Weights that come while it works, all of them `passes` times."""
    passes: int = 1


@dataclass(frozen=True)
class Band:
    """`rows` query rows behind each other: row i of them sees the keys [start + i·start_step, stop + i·stop_step)."""

    rows: int
    start: int
    stop: int
    start_step: int = 0
    stop_step: int = 0

    def sees(self, first: int, last: int) -> tuple[int, int]:
        """Return the first key, and the one behind the last, that any of the band's rows [first, last) sees."""
        ends = first, last - 1
        return min(self.start + i * self.start_step for i in ends), max(self.stop + i * self.stop_step for i in ends)


@dataclass(frozen=True)
class Attention:
    """softmax(Q · Kᵀ) · V as one piece of work: `heads` independent ones, each with keys and values of its own.

    `rows` are the queries of all query heads that share these keys, behind each other. Shapes: Q (heads, rows,
    size), K (heads, keys, size), V (heads, keys, value), output (heads, rows, value). `bands` say which keys the
    rows see, one band behind the other; without any, all see all.
    """

    name: str
    heads: int
    rows: int
    keys: int
    size: int
    value: int
    bands: tuple[Band, ...] = ()
    shared: bool = False
    """Whether keys and values are one tensor: a key's first `value` features are its value, as in latent attention."""

    right_is = "kv"
    """What keys and values are in the accounts."""

    @property
    def seen(self) -> int:
        """Pairs of a query and a key that no mask hides, over all heads."""
        if not self.bands:
            return self.heads * self.rows * self.keys
        widths = (b.rows * (b.stop - b.start) + (b.stop_step - b.start_step) * b.rows * (b.rows - 1) // 2
                  for b in self.bands)  # fmt: skip
        return self.heads * sum(widths)

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates of both products."""
        return self.seen * (self.size + self.value)

    @property
    def input_elements(self) -> int:
        """Elements of the queries."""
        return self.heads * self.rows * self.size

    @property
    def right_elements(self) -> int:
        """Elements of keys and values, those that are both counted once."""
        return self.heads * self.keys * (self.size + (0 if self.shared else self.value))

    @property
    def output_elements(self) -> int:
        """Elements of the output."""
        return self.heads * self.rows * self.value

    def sees(self, first: int, last: int) -> tuple[int, int]:
        """Return the first key, and the one behind the last, that any of the rows [first, last) sees."""
        begin, stop, at = self.keys, 0, 0
        for band in self.bands or (Band(self.rows, 0, self.keys),):
            low, high = max(first - at, 0), min(last - at, band.rows)
            if low < high:
                reach = band.sees(low, high)
                begin, stop = min(begin, reach[0]), max(stop, reach[1])
            at += band.rows
        return begin, stop


Kernel = Contraction | VectorWork | Attention
