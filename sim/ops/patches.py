"""Parts of an image, and the image from its parts: by their places alone, which takes no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, PlainValidator

from sim.op import Array, Shape, op
from sim.ops._spatial import Count, at, spatial
from sim.ops.view import View


def _spans(value: Any) -> tuple[tuple[int, int], ...]:
    pairs = value if isinstance(value, list | tuple) else ()
    if pairs and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        found = tuple((first, count) for first, count in pairs)
        if all(type(first) is int and type(count) is int and first >= 0 and count > 0 for first, count in found):
            return found
    raise ValueError(f"expected [first, count] per spatial axis, not {value}")


@op("window")
class Window(View):
    """What lies in a box of the spatial axes. Its reader finds it by its addresses: nothing is moved."""

    box: Annotated[tuple[tuple[int, int], ...], PlainValidator(_spans)] = Field(
        description="[first, count] per spatial axis"
    )

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, *counts); ValueError where the box leaves the input."""
        sizes = spatial(inputs[0], len(self.box))
        for axis, ((first, count), size) in enumerate(zip(self.box, sizes, strict=True)):
            if first + count > size:
                raise ValueError(f"elements {first} to {first + count - 1} are not in {size} on spatial axis {axis}")
        return ((*inputs[0][:2], *(count for _, count in self.box)),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return what lies in the box."""
        return (inputs[0][at([slice(first, first + count) for first, count in self.box])],)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return a box in an image, and one that is the whole of an axis."""
        return [(cls(box=((1, 2), (0, 3))), ((1, 2, 4, 5),)), (cls(box=((0, 4),)), ((2, 3, 4),))]


@op("mosaic")
class Mosaic(View):
    """An image from parts that were written where they belong: `columns` of them beside each other, rows below."""

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    columns: Count = Field(description="parts in a row of the image")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, height, width); ValueError where the parts make no rectangle."""
        if len(inputs) % self.columns:
            raise ValueError(f"{len(inputs)} parts make no rows of {self.columns}")
        for shape in inputs:
            spatial(shape, 2)
        rows = [inputs[at : at + self.columns] for at in range(0, len(inputs), self.columns)]
        for row in rows:
            fits = row[0][:2] == inputs[0][:2] and all(shape[:3] == row[0][:3] for shape in row)
            if not fits or [shape[3] for shape in row] != [shape[3] for shape in rows[0]]:
                raise ValueError(f"parts of {' and '.join(map(str, row))} make no rectangle")
        width, height = sum(shape[3] for shape in rows[0]), sum(row[0][2] for row in rows)
        return ((*inputs[0][:2], height, width),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the image."""
        rows = [inputs[at : at + self.columns] for at in range(0, len(inputs), self.columns)]
        return (np.concatenate([np.concatenate(row, axis=3) for row in rows], axis=2),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return two rows of two parts of different sizes."""
        return [(cls(columns=2), ((1, 2, 3, 4), (1, 2, 3, 1), (1, 2, 2, 4), (1, 2, 2, 1)))]
