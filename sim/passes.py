"""How a contraction is cut into the processing passes of a row-stationary array, and what that needs.

The words are those of Chen et al., JSSC 52(1), 2017, table of mapping parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from math import prod

from sim.arch import Arch, Systolic
from sim.errors import CapacityError, MappingError
from sim.kernel import Axis, Contraction

NOTHING = Axis(1, 1, 1)
"""The rows of what has no rows: one, and one tap."""


@dataclass(frozen=True)
class Passes:
    """A mapping of row-stationary passes.

    A pass works on `n` images, `e` output rows (the width of a PE set) of `f` columns, `p` x `t` filters and `q` x `r`
    channels; the sums of `m` filters stay in the buffer until all channels are done. `rows` and `taps` of the
    kernel are in a pass at once.
    """

    m: int
    n: int
    e: int
    f: int
    p: int
    q: int
    r: int
    t: int
    rows: int
    taps: int


@dataclass(frozen=True)
class Piece:
    """Part of a kernel: one tap of the axes outside a plane, some rows and columns; `at` is its first tap."""

    outside: int
    at: int
    row: int
    rows: int
    tap: int
    taps: int


@dataclass(frozen=True)
class Cut:
    """`count` equal pieces of `size` behind each other, from `start`."""

    start: int
    count: int
    size: int


def cuts(total: int, size: int, alike: Callable[[int, int], Hashable] = lambda start, length: None) -> list[Cut]:
    """Return the pieces of `size` that cover `total`, neighbours joined where `alike(start, length)` is the same."""
    each = ((start, min(size, total - start)) for start in range(0, total, size))
    joined = (list(same) for _, same in groupby(each, key=lambda piece: (piece[1], alike(*piece))))
    return [Cut(same[0][0], len(same), same[0][1]) for same in joined]


@dataclass(frozen=True)
class Planes:
    """A contraction as convolutions of planes: its last two axes are rows and columns, all others count images.

    Rows of a matrix product are the columns of a plane of one row.
    """

    kernel: Contraction

    @cached_property
    def outside(self) -> tuple[Axis, ...]:
        """The axes in front of the plane."""
        return self.kernel.axes[:-2]

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """Rows and columns."""
        if not self.kernel.axes:
            return NOTHING, Axis(self.kernel.batch, self.kernel.batch, 1)
        return (NOTHING, *self.kernel.axes)[-2:]  # type: ignore[return-value]

    @property
    def images(self) -> int:
        """Planes of outputs a filter."""
        return self.kernel.m // prod(axis.out for axis in self.axes)

    def pieces(self, passes: Passes) -> list[Piece]:
        """Return the parts of the kernel that passes work on one by one."""
        rows, columns = self.axes
        area = rows.kernel * columns.kernel
        return [
            Piece(tap, tap * area + y.start * columns.kernel + x.start, y.start, y.size, x.start, x.size)
            for tap in range(prod(axis.kernel for axis in self.outside))
            for y in _each(cuts(rows.kernel, passes.rows))
            for x in _each(cuts(columns.kernel, passes.taps))
        ]

    def inside(self, image: int, tap: int) -> int | None:
        """Return the plane of a channel's inputs that an image reads at a tap outside; None is padding."""
        image %= prod(axis.out for axis in self.outside)
        plane, outs, taps = 0, 1, 1
        for axis in reversed(self.outside):
            o, s = image // outs % axis.out, tap // taps % axis.kernel
            at = o * axis.stride + s * axis.dilation - axis.pad
            if not 0 <= at < axis.size:
                return None
            plane += at * prod(a.size for a in self.outside[self.outside.index(axis) + 1 :])
            outs, taps = outs * axis.out, taps * axis.kernel
        return plane

    def touched(self, which: int, start: int, count: int, tap: int, taps: int) -> int:
        """Return how many rows (0) or columns (1) of inputs outputs [start, start + count) read at some taps."""
        axis = self.axes[which]
        return _shifted(axis, tap, taps).touched(start, count)

    def span(self, which: int, count: int, taps: int) -> int:
        """Return how many rows (0) or columns (1) reach the PEs for `count` outputs, padding included."""
        axis = self.axes[which]
        if not which:
            return _distinct(count, axis.stride, taps, axis.dilation)
        reach = (taps - 1) * axis.dilation + 1
        return reach + (count - 1) * min(reach, axis.stride)


@lru_cache(maxsize=4096)
def _distinct(outputs: int, stride: int, taps: int, dilation: int) -> int:
    return len({o * stride + s * dilation for o in range(outputs) for s in range(taps)})


def _each(found: list[Cut]) -> Iterator[Cut]:
    for cut in found:
        yield from (Cut(cut.start + i * cut.size, 1, cut.size) for i in range(cut.count))


def _shifted(axis: Axis, tap: int, taps: int) -> Axis:
    """Return the axis as some of its taps see it."""
    return Axis(axis.size, axis.out, taps, axis.stride, axis.dilation, axis.pad - tap * axis.dilation)


def most_sets(array: Systolic, rows: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield (r, t): for each number of sets along the channels, the most along the filters that the array holds.

    A set wider than the array is folded into segments that lie behind each other. Sets of one chain of channels
    lie behind each other too, as sums move up the columns; sets of other filters anywhere.
    """
    high = array.rows // rows
    segments, beside = -(-width // array.cols), max(1, array.cols // width)
    for r in range(1, high // segments + 1):
        yield r, beside * (high // (r * segments))


def sizes(planes: Planes, passes: Passes) -> dict[str, int]:
    """Return the elements of the largest tiles: weights and inputs of a pass, sums of `m` filters."""
    kernel = planes.kernel
    channels, filters = (min(whole, part) for whole, part in (
        (kernel.channels, passes.q * passes.r), (kernel.filters, passes.p * passes.t)))  # fmt: skip
    rows, columns = planes.span(0, passes.e, passes.rows), planes.span(1, passes.f, passes.taps)
    return {
        "weight": filters * channels * passes.rows * passes.taps,
        "input": passes.n * channels * rows * columns,
        "output": passes.n * passes.e * passes.f * min(passes.m, kernel.filters),
    }


def slots(planes: Planes, passes: Passes, arch: Arch, parameters: int = 0) -> dict[str, int]:
    """Return how many tiles of each operand are on chip at once: two where the buffer has room, weights first.

    So many `parameters` stay beside the sums for the whole layer.

    Source of the order: Eyeriss loads the filters of the next pass behind the current one, in a part of the buffer
    that is theirs alone (Chen et al., JSSC 2017). CapacityError where not even one tile of each fits.
    """
    need = {o: arch.bytes_of("partial_sum" if o == "output" else o, size) for o, size in sizes(planes, passes).items()}
    found = dict.fromkeys(need, 1)
    for name, buffer in arch.buffers.items():
        free = buffer.tile_capacity - sum(need[o] for o in buffer.holds if o in need)
        free -= arch.bytes_of("partial_sum", parameters) if "output" in buffer.holds else 0
        if free < 0:
            parts = ", ".join(f"{o} {need[o]}" for o in need if o in buffer.holds)
            kept = arch.bytes_of("partial_sum", parameters) if "output" in buffer.holds else 0
            parts += f", parameters {kept}" if kept else ""
            least = max(passes.m, passes.n, passes.e, passes.f, passes.q) == 1
            raise CapacityError(
                f"{planes.kernel.name}: a pass with m {passes.m}, n {passes.n}, e {passes.e}, f {passes.f}, "
                f"{passes.q * passes.r} channels, {passes.p * passes.t} filters ({parts} bytes)",
                f"buffer '{name}'", buffer.tile_capacity - free, buffer.tile_capacity,
                "make the buffer larger" if least else "make m, n, e, f or q smaller",
            )  # fmt: skip
        for operand in ("weight", "input", "output") if buffer.buffering == "double" else ():
            if operand in buffer.holds and need[operand] <= free:
                found[operand], free = 2, free - need[operand]
    return found


def most_filters(planes: Planes, passes: Passes, arch: Arch, parameters: int = 0) -> int:
    """Return for how many filters sums fit into the buffer beside the other tiles of a pass; 0 where those do not."""
    if not arch.bounded:
        return planes.kernel.filters
    elements, room = sizes(planes, passes), planes.kernel.filters
    for buffer in arch.buffers.values():
        others = (o for o in buffer.holds if o in ("weight", "input"))
        free = buffer.tile_capacity - sum(arch.bytes_of(o, elements[o]) for o in others)
        free -= arch.bytes_of("partial_sum", parameters) if "output" in buffer.holds else 0
        if free < 0:
            return 0
        if "output" in buffer.holds:
            sums = free * 128 // round(16 * arch.bits("partial_sum"))  # the most elements within so many bytes
            room = min(room, sums // (passes.n * passes.e * passes.f))
    return room


def check(planes: Planes, passes: Passes, arch: Arch, parameters: int = 0) -> None:
    """Make sure that the chip can execute the mapping.

    MappingError where the PE sets do not lie on the array or a pass does not fit into the scratchpads of its PEs,
    CapacityError where its tiles do not fit into the buffers.
    """
    assert arch.array is not None  # its caller has checked it
    check_pes(planes, passes, arch.array)
    if planes.outside and passes.n > 1:
        axes = len(planes.kernel.axes)
        raise MappingError(f"{planes.kernel.name}: n {passes.n}, but over {axes} axes a pass takes one image")
    if arch.bounded:
        slots(planes, passes, arch, parameters)


def check_pes(planes: Planes, passes: Passes, array: Systolic) -> None:
    """Make sure that PE sets lie on the array and that a pass fits into scratchpads; MappingError otherwise."""
    name = planes.kernel.name
    pads, window = array.scratchpads, planes.span(1, 1, passes.taps)
    for what, key, needed, there in (
        ("inputs", f"q {passes.q} x {window} columns", passes.q * window, pads.inputs),
        ("weights", f"p {passes.p} x q {passes.q} x {passes.taps} taps", passes.p * passes.q * passes.taps,
         pads.weights),
        ("sums", f"p {passes.p}", passes.p, pads.sums),
    ):  # fmt: skip
        if needed > there:
            raise MappingError(f"{name}: {key} need {needed} words of scratchpads.{what}, a PE has {there}")
    fitting = list(most_sets(array, passes.rows, passes.e))
    if not any(passes.r <= r and passes.t <= t for r, t in fitting):
        choices = ", ".join(f"{r} x {t}" for r, t in fitting) or "none"
        raise MappingError(
            f"{name}: r {passes.r} x t {passes.t} sets of {passes.rows} x {passes.e} PEs do not fit on an array of "
            f"{array.rows} x {array.cols}; at most (r x t): {choices}"
        )
