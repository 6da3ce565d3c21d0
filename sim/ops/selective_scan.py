"""The selective scan of state-space models: a state a channel that each token decays and adds to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, Self

import numpy as np

from sim import lanes
from sim.kernel import Kernel
from sim.op import Array, Op, Shape, op
from sim.ops._vector import work


@op("selective_scan")
class SelectiveScan(Op):
    """h = exp(step · A) · h + step · x · B, y = C · h + D · x, token by token (Gu and Dao, Mamba, 2023, algorithm 2).

    Inputs x and step (batch, tokens, channels), B and C (batch, tokens, states); trained A (channels, states) and
    D (channels). All of it is lane work, as no element of the state meets another's.
    """

    arity: ClassVar[tuple[int, int | None]] = (4, 4)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of x; ValueError where the inputs do not fit together."""
        x, step, first, second = inputs
        if len(x) != 3 or step != x or first != second or first[:2] != x[:2] or len(first) != 3:
            raise ValueError(f"inputs {x}, {step} (batch, tokens, channels) and {first}, {second} (batch, tokens, "
                             "states) do not fit together")  # fmt: skip
        return (x,)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return A (channels, states) and D (channels)."""
        return {"a": (inputs[0][2], inputs[2][2]), "d": (inputs[0][2],)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return for each state of a token: step·A, its exp, two products for the state and one addition, the
        product with C and its sum; for each channel step·x, D·x and its addition."""
        channels = prod(inputs[0])
        states = channels * inputs[2][2]
        weights = self.parameters(inputs)
        return work("selective_scan", inputs, inputs[:1], weights, mul=4 * states + 2 * channels,
                    add=2 * states, exp=states)  # fmt: skip

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return y by the recurrence."""
        x, step, first, second = inputs
        state, made = np.zeros((x.shape[0], *weights["a"].shape)), []
        for t in range(x.shape[1]):
            fed = (step[:, t] * x[:, t])[:, :, None] * first[:, t, None, :]
            state = lanes.exp(step[:, t, :, None] * weights["a"]) * state + fed
            made.append((state * second[:, t, None, :]).sum(axis=-1) + weights["d"] * x[:, t])
        return (np.stack(made, axis=1),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return it on several tokens, and on one."""
        several, one = ((2, 3, 4), (2, 3, 4), (2, 3, 5), (2, 3, 5)), ((1, 1, 2), (1, 1, 2), (1, 1, 3), (1, 1, 3))
        return [(cls(), several), (cls(), one)]
