"""Where the numbers of row-stationary passes are: boxes of images, rows, columns, filters and channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from sim.arch import Arch
from sim.execute.chip import Array, Chip, Mask
from sim.execute.geometry import FoldBlock, Index
from sim.kernel import Contraction
from sim.passes import Passes, Piece, Planes
from sim.plan import Extent, Plan, Position


class PassGeometry:
    """Which elements a pass of a contraction touches, by where the loops around it stand."""

    def __init__(self, kernel: Contraction, passes: Passes) -> None:
        self.kernel, self.passes, self.planes = kernel, passes, Planes(kernel)
        self.pieces = {piece.at: piece for piece in self.planes.pieces(passes)}

    def points(self, at: Mapping[str, int]) -> tuple[Index, Index, Index]:
        """Return the images, output rows and output columns."""
        (rows, columns), passes = self.planes.axes, self.passes
        image, position = divmod(at["m"], rows.out * columns.out)
        y, x = divmod(position, columns.out)
        return (
            np.arange(image, min(image + passes.n, self.planes.images)),
            np.arange(y, min(y + passes.e, rows.out)),
            np.arange(x, min(x + passes.f, columns.out)),
        )

    def depth(self, at: Mapping[str, int]) -> tuple[Index, Piece]:
        """Return the channels and the piece of the kernel."""
        channel, tap = divmod(at["k"], self.kernel.taps)
        stop = min(channel + self.passes.q * self.passes.r, self.kernel.channels)
        return np.arange(channel, stop), self.pieces[tap]

    def m(self, at: Mapping[str, int]) -> Index:
        """Return the rows of the product that are summed up."""
        rows, columns = self.planes.axes
        images, y, x = np.ix_(*self.points(at))
        return np.asarray((images * rows.out + y) * columns.out + x).ravel()

    def k(self, at: Mapping[str, int]) -> Index:
        """Return the reduction steps."""
        channels, piece = self.depth(at)
        columns = self.planes.axes[1].kernel
        c, y, x = np.ix_(channels, np.arange(piece.rows), np.arange(piece.taps))
        return np.asarray(c * self.kernel.taps + piece.at + y * columns + x).ravel()

    def inputs(self, at: Mapping[str, int]) -> tuple[Index, ...]:
        """Return the indices (batch, channels, *sizes) of a group's inputs; empty ones where all is padding."""
        (images, y, x), (channels, piece) = self.points(at), self.depth(at)
        if not self.kernel.axes:
            return x, channels
        plane = [
            np.unique(read[(read >= 0) & (read < axis.size)])
            for axis, outs, start, taps in zip(
                self.planes.axes, (y, x), (piece.row, piece.tap), (piece.rows, piece.taps), strict=True
            )
            for read in (axis.coordinates(int(outs[0]), outs.size)[:, start : start + taps],)
        ]
        outer = self.planes.images // self.kernel.batch
        outside = self._outside(int(images[0]), piece.outside)
        return (images // outer, channels, *outside, *plane[2 - min(2, len(self.kernel.axes)) :])

    def outputs(self, at: Mapping[str, int]) -> tuple[Index, ...]:
        """Return the indices (batch, *outs) of a group's outputs."""
        images, y, x = self.points(at)
        if not self.kernel.axes:
            return (x,)
        sizes = [axis.out for axis in self.planes.outside]
        outside = np.unravel_index(int(images[0]) % prod(sizes), sizes) if sizes else ()
        plane = (y, x)[2 - min(2, len(self.kernel.axes)) :]
        return (images // prod(sizes), *(np.atleast_1d(at) for at in outside), *plane)

    def _outside(self, image: int, tap: int) -> list[Index]:
        """Return the coordinate along each axis in front of the plane, none where that is padding."""
        plane = self.planes.inside(image, tap)
        sizes = [axis.size for axis in self.planes.outside]
        if plane is None:
            return [np.arange(0) for _ in sizes]
        return [np.atleast_1d(at) for at in np.unravel_index(plane, sizes)] if sizes else []


class PassChip(Chip):
    """A chip that carries out the plan of a row-stationary array."""

    def __init__(self, plan: Plan, inputs: Array, right: Array, arch: Arch) -> None:
        super().__init__(plan, inputs, right, arch)
        assert isinstance(plan.mapping, Passes)  # its caller has looked
        self.geometry = PassGeometry(self.kernel, plan.mapping)

    def blocks(self, extent: Extent, at: Position) -> Iterator[FoldBlock]:
        """Yield the one product of a pass."""
        filters = np.arange(at["n"], at["n"] + extent[2])
        yield FoldBlock(0, range(at["g"], at["g"] + 1), self.geometry.m(at), filters, self.geometry.k(at))

    def region(self, operand: str, extent: Extent, at: Position) -> Mask:
        """Return which elements of `operand` a step of `extent` at `at` touches."""
        group, filters = at["g"], slice(at["n"], at["n"] + extent[2])
        if operand == "input":
            mask = np.zeros(self.kernel.input_shape, bool)
            mask[group][np.ix_(*self.geometry.inputs(at))] = True
            return mask.reshape(self.kernel.groups, -1)
        whole: Sequence[int] = self.memory["weight"].shape if operand == "weight" else self.shape
        mask = np.zeros(whole, bool)
        mask[group, self.geometry.k(at) if operand == "weight" else self.geometry.m(at), filters] = True
        return mask
