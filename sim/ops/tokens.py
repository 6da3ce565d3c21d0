"""Images as tokens, tokens as images, and one token of many: the same elements, none of them moved.

Arrays write the channels of a position behind each other, so that an image is a list of tokens as it lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from pydantic import Field

from sim.op import Array, Shape, op
from sim.ops._spatial import Sizes
from sim.ops.view import View


@op("to_tokens")
class ToTokens(View):
    """(batch, channels, *spatial) as (batch, positions, channels)."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, positions, channels); ValueError where there are no spatial axes."""
        if len(inputs[0]) < 3:
            raise ValueError(f"needs an input of (batch, channels, *spatial), not {inputs[0]}")
        return ((inputs[0][0], prod(inputs[0][2:]), inputs[0][1]),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the channels last."""
        return (inputs[0].reshape(*inputs[0].shape[:2], -1).swapaxes(1, 2),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on an image."""
        return [(cls(), ((2, 3, 4, 5),))]


@op("to_image")
class ToImage(View):
    """(batch, positions, channels) as (batch, channels, *grid)."""

    grid: Sizes = Field(description="positions along each axis")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, channels, *grid); ValueError where the grid has another number of positions."""
        grid = (self.grid,) if isinstance(self.grid, int) else self.grid
        if len(inputs[0]) != 3 or prod(grid) != inputs[0][1]:
            raise ValueError(f"grid {grid} does not hold the tokens of {inputs[0]} (batch, tokens, features)")
        return ((inputs[0][0], inputs[0][2], *grid),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the channels before the positions."""
        return (inputs[0].swapaxes(1, 2).reshape(self.infer([inputs[0].shape])[0]),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on the tokens of an image."""
        return [(cls(grid=(4, 5)), ((2, 20, 3),))]


@op("take")
class Take(View):
    """One token of a sequence: the first (index 0, a class token), the last (index -1), or another."""

    index: int = Field(0, description="which one; negative: from the end")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, features); ValueError where there is no such token."""
        if len(inputs[0]) != 3 or not -inputs[0][1] <= self.index < inputs[0][1]:
            raise ValueError(f"there is no token {self.index} in {inputs[0]} (batch, tokens, features)")
        return ((inputs[0][0], inputs[0][2]),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the token."""
        return (np.asarray(inputs[0][:, self.index]),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return the first and the last."""
        return [(cls(), ((2, 3, 4),)), (cls(index=-1), ((2, 3, 4),))]
