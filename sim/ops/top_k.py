"""The largest of a row, and where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from pydantic import Field

from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._spatial import Count
from sim.ops._vector import work


@op("top_k")
class TopK(Op):
    """The `k` largest of the last axis, largest first, and behind them their indices; of equals the first wins."""

    k: Count = Field(description="how many")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (..., 2k); ValueError where a row has fewer than k."""
        if self.k > inputs[0][-1]:
            raise ValueError(f"cannot take the {self.k} largest of {inputs[0][-1]}")
        return ((*inputs[0][:-1], 2 * self.k),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return k passes over what is left of a row: n-1 comparisons, then n-2, and so on."""
        n = inputs[0][-1]
        comparisons = prod(inputs[0]) // n * sum(n - 1 - i for i in range(self.k))
        return work("top_k", inputs, self.infer(inputs), max=comparisons)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return values and indices."""
        order = np.argsort(-inputs[0], axis=-1, kind="stable")[..., : self.k]
        return (np.concatenate([np.take_along_axis(inputs[0], order, axis=-1), order], axis=-1),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return some of a row, and all of it."""
        return [(cls(k=2), ((3, 5),)), (cls(k=4), ((2, 1, 4),))]
