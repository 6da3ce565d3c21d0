"""Where the numbers of row-stationary passes are: boxes of images, rows, columns, filters and channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sim.arch import Arch
from sim.execute.chip import Array, Chip, Mask
from sim.execute.geometry import FoldBlock, Index
from sim.passes import Passes, Piece, Planes
from sim.plan import Extent, Plan, Position


class PassChip(Chip):
    """A chip that carries out the plan of a row-stationary array."""

    def __init__(self, plan: Plan, inputs: Array, right: Array, arch: Arch) -> None:
        super().__init__(plan, inputs, right, arch)
        assert isinstance(plan.mapping, Passes)  # its caller has looked
        self.passes, self.planes = plan.mapping, Planes(self.kernel)
        self.pieces = {piece.at: piece for piece in self.planes.pieces(plan.mapping)}

    def points(self, at: Position) -> tuple[Index, Index, Index]:
        """Return the images, output rows and output columns of the pass at `at`."""
        (rows, columns), passes = self.planes.axes, self.passes
        image, position = divmod(at["m"], rows.out * columns.out)
        return (
            np.arange(image, min(image + passes.n, self.planes.images)),
            *(
                np.arange(start, min(start + size, axis.out))
                for start, size, axis in zip(
                    divmod(position, columns.out), (passes.e, passes.f), (rows, columns), strict=True
                )
            ),
        )  # type: ignore[return-value]

    def depth(self, at: Position) -> tuple[Index, Piece]:
        """Return the channels and the piece of the kernel of the pass at `at`."""
        channel, tap = divmod(at["k"], self.kernel.taps)
        stop = min(channel + self.passes.q * self.passes.r, self.kernel.channels)
        return np.arange(channel, stop), self.pieces[tap]

    def m(self, at: Position) -> Index:
        """Return the rows of the product that the pass at `at` sums up."""
        rows, columns = self.planes.axes
        images, y, x = np.ix_(*self.points(at))
        return np.asarray((images * rows.out + y) * columns.out + x).ravel()

    def k(self, at: Position) -> Index:
        """Return the reduction steps of the pass at `at`."""
        channels, piece = self.depth(at)
        columns = self.planes.axes[1].kernel
        c, y, x = np.ix_(channels, np.arange(piece.rows), np.arange(piece.taps))
        return np.asarray(c * self.kernel.taps + piece.at + y * columns + x).ravel()

    def blocks(self, extent: Extent, at: Position) -> Iterator[FoldBlock]:
        """Yield the one product of a pass."""
        filters = np.arange(at["n"], at["n"] + extent[2])
        yield FoldBlock(0, range(at["g"], at["g"] + 1), self.m(at), filters, self.k(at))

    def region(self, operand: str, extent: Extent, at: Position) -> Mask:
        """Return which elements of `operand` a step of `extent` at `at` touches."""
        group, filters = at["g"], slice(at["n"], at["n"] + extent[2])
        if operand == "input":
            mask = np.zeros(self.kernel.input_shape, bool)
            self._mark_inputs(mask[group], at)
            return mask.reshape(self.kernel.groups, -1)
        whole: Sequence[int] = self.memory["weight"].shape if operand == "weight" else self.shape
        mask = np.zeros(whole, bool)
        mask[group, self.k(at) if operand == "weight" else self.m(at), filters] = True
        return mask

    def _mark_inputs(self, mask: Mask, at: Position) -> None:
        """Mark the inputs (batch, channels, *sizes) of a group that the pass at `at` reads."""
        kernel, planes = self.kernel, self.planes
        (images, y, x), (channels, piece) = self.points(at), self.depth(at)
        if not kernel.axes:
            mask[np.ix_(x, channels)] = True
            return
        rows, columns = (
            np.unique(read[(read >= 0) & (read < axis.size)])
            for axis, outs, start, taps in zip(
                planes.axes, (y, x), (piece.row, piece.tap), (piece.rows, piece.taps), strict=True
            )
            for read in (axis.coordinates(int(outs[0]), outs.size)[:, start : start + taps],)
        )
        sizes = [axis.size for axis in planes.axes]
        planar = mask.reshape(kernel.batch, kernel.channels, -1, *sizes)
        outer = planes.images // kernel.batch
        for image in images:
            plane = planes.inside(int(image), piece.outside)
            if plane is not None:
                planar[np.ix_(*(np.atleast_1d(at) for at in (image // outer, channels, plane, rows, columns)))] = True
