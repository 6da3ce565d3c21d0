"""Tables of trained vectors: words, positions, and tokens that stand before all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from pydantic import Field

from sim.kernel import Kernel, VectorWork
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count
from sim.ops._vector import work


@op("embedding")
class Embedding(Op):
    """The row of a table (entries, features) for each index of the input: (batch, ...) to (batch, ..., features)."""

    entries: Count = Field(description="rows of the table")
    features: Count = Field(description="features of a row")
    tied: bool = Field(False, description="whether the table is another layer's, and counts there")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, ..., features)."""
        return ((*inputs[0], self.features),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (entries, features)."""
        return {"weight": (self.entries, self.features)}

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return the trained parameters that are no other layer's."""
        return 0 if self.tied else self.entries * self.features

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """Return how many trained parameters are read: a row for each index, and no other."""
        return prod(inputs[0]) * self.features

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the reading of the indices and of the rows that they name."""
        read = self.gathered(inputs)
        return (VectorWork("embedding", (prod(inputs[0]),), read, weights=read, kinds=("index",)),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the rows."""
        return (weights["weight"][inputs[0]],)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on sentences and on one word each."""
        return [(cls(entries=9, features=4), ((2, 3),)), (cls(entries=20, features=3), ((4,),))]


@op("positions")
class Positions(Op):
    """x + table[past : past + tokens], for a table (entries, features) of trained position vectors."""

    entries: Count = Field(description="positions of the table")
    past: int = Field(0, ge=0, description="tokens before these ones")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input (batch, tokens, features); ValueError where the table is too short."""
        if len(inputs[0]) != 3:
            raise ValueError(f"needs an input of (batch, tokens, features), not {inputs[0]}")
        if self.past + inputs[0][1] > self.entries:
            raise ValueError(f"{self.past + inputs[0][1]} positions are more than the {self.entries} of the table")
        return (inputs[0],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (entries, features)."""
        return {"weight": (self.entries, inputs[0][2])}

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """Return how many trained parameters are read: those of the positions there are."""
        return inputs[0][1] * inputs[0][2]

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one addition an element."""
        return work("positions", inputs, inputs, self.gathered(inputs), add=prod(inputs[0]))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the sum."""
        return (inputs[0] + weights["weight"][self.past : self.past + inputs[0].shape[1]],)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on a whole table and behind a cache."""
        return [(cls(entries=3), ((2, 3, 4),)), (cls(entries=9, past=4), ((1, 2, 4),))]


@op("prepend")
class Prepend(Op):
    """`tokens` trained vectors before those of the input, as the class token of a vision transformer."""

    tokens: Count = Field(1, description="trained vectors")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, tokens + those of the input, features)."""
        if len(inputs[0]) != 3:
            raise ValueError(f"needs an input of (batch, tokens, features), not {inputs[0]}")
        batch, count, features = inputs[0]
        return ((batch, self.tokens + count, features),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (tokens, features)."""
        return {"weight": (self.tokens, inputs[0][2])}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the moving of all vectors."""
        return work("prepend", inputs, self.infer(inputs), self.parameters(inputs))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return all vectors behind each other."""
        first = np.broadcast_to(weights["weight"], (inputs[0].shape[0], *weights["weight"].shape))
        return (np.concatenate([first, inputs[0]], axis=1),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return a class token, and one beside a distillation token."""
        return [(cls(), ((2, 3, 4),)), (cls(tokens=2), ((1, 3, 4),))]
