"""What an operator is: parameters to shapes, to kernels, to numbers. Each one is a file in `ops/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sim.kernel import Contraction, Kernel
from sim.registry import Registry
from sim.yamlfile import Strict

Shape = tuple[int, ...]
Array = NDArray[Any]


class Op(Strict):
    """An operator. Activations are (batch, channels, *spatial) or (batch, ..., features).

    Every method takes the shapes (or arrays) of its inputs in the order they are wired. `infer` raises
    ValueError, in the user's words, where they do not fit together; the other methods may rely on it.
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Fewest and most inputs (None: any number)."""
    fusible: ClassVar[bool] = False
    """Whether it can run element by element behind the array op that feeds it, without a trip to memory."""

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return a few operators of this kind with input shapes, on which the contract tests run."""
        raise NotImplementedError

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shapes of the outputs."""
        raise NotImplementedError

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the shape of each trained parameter by name."""
        return {}

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many trained parameters there are."""
        return sum(prod(shape) for shape in self.weight_shapes(inputs).values())

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the work, in order."""
        raise NotImplementedError

    def macs(self, inputs: Sequence[Shape]) -> int:
        """Return the multiply-accumulates of the contractions."""
        return sum(kernel.macs for kernel in self.kernels(inputs) if isinstance(kernel, Contraction))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the outputs by numpy, from the definition and not from the kernels."""
        raise NotImplementedError

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return (input, right) of each contraction, in the shapes that Contraction states."""
        raise NotImplementedError

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return the output tensor from the (groups, M, N) product of each contraction, bias left out."""
        raise NotImplementedError


OPS: Registry[type[Op]] = Registry("operator", "sim.ops")
op = OPS.register


def random_integers(shape: Shape, seed: int, high: int = 8) -> Array:
    """Return small integers in [-high, high): exact in every order of summation."""
    return np.random.default_rng(seed).integers(-high, high, size=shape)
