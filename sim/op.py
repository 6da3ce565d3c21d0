"""What an operator is: parameters to shapes, to kernels, to numbers. Each one is a file in `ops/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    beside: ClassVar[tuple[str, ...]] = ("in", "name", "op", "when")
    """Keys of a layer that are not its operator's own."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Fewest and most inputs (None: any number)."""
    fusible: ClassVar[bool] = False
    """Whether it can run element by element behind the array op that feeds it, without a trip to memory."""

    tokenwise: ClassVar[bool] = False
    """Whether each position of its output needs that position of each input alone; what is fusible does."""

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

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the shape of each tensor that is there from earlier steps and not trained, by name: a KV cache."""
        return {}

    def constants(self, inputs: Sequence[Shape]) -> int:
        """Return how many values it reads that are neither inputs nor trained, as a table of sines."""
        return 0

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """Return how many trained parameters it reads: all, the rows that it looks up, or some of them often."""
        return self.parameters(inputs)

    def active_parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many of its trained parameters a run needs."""
        return min(self.gathered(inputs), self.parameters(inputs))

    def cached(self) -> tuple[int, ...]:
        """Return which inputs join a cache that later steps read, so that they are always written to memory.

        Only operators that are kernels themselves are asked.
        """
        return ()

    def cache_elements(self, inputs: Sequence[Shape]) -> int:
        """Return how many elements the cache grows by with every token of a sequence."""
        return 0

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many trained parameters there are."""
        return sum(prod(shape) for shape in self.weight_shapes(inputs).values())

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the work, in order."""
        raise NotImplementedError

    def slices_read(self, back: int = 0) -> tuple[tuple[int, ...], ...]:
        """Return which slice of the weights each group of each kernel reads; empty where all are read as one.

        `back` steps before the run (0) it is all in one tuple, in the order in which they are read.
        """
        return ()

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


@dataclass(frozen=True)
class Part:
    """One operator inside a compound one, and what it reads.

    `inputs` are those of the compound by index, or earlier parts by name (`route.1`: its second output). Its
    weights are the compound's under `name.`, state that several parts share under its own name; the compound's
    outputs are those of its last part.
    """

    name: str
    op_name: str
    op: Op
    inputs: tuple[int | str, ...]


class Compound(Op):
    """An operator that is a small network of others, which carry its work and its weights."""

    def parts(self, inputs: Sequence[Shape]) -> tuple[Part, ...]:
        """Return the operators that it is made of, in an order in which each is made before it is read."""
        raise NotImplementedError

    def shapes(self, inputs: Sequence[Shape]) -> list[tuple[Part, tuple[Shape, ...], tuple[Shape, ...]]]:
        """Return each part with the shapes that it reads and makes."""
        known: dict[int | str, Shape] = dict(enumerate(inputs))
        found = []
        for part in self.parts(inputs):
            read = tuple(known[name] for name in part.inputs)
            made = part.op.infer(read)
            known.update({part.name: made[0]} | {f"{part.name}.{i}": shape for i, shape in enumerate(made)})
            found.append((part, read, made))
        return found

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the weights of all parts, as `part.weight`."""
        return {
            f"{part.name}.{name}": shape
            for part, read, _ in self.shapes(inputs)
            for name, shape in part.op.weight_shapes(read).items()
        }

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the state of all parts, as `part.state`."""
        return {
            f"{part.name}.{name}": shape
            for part, read, _ in self.shapes(inputs)
            for name, shape in part.op.state_shapes(read).items()
        }

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return the work of all parts, in order."""
        return tuple(kernel for part, read, _ in self.shapes(inputs) for kernel in part.op.kernels(read))

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return the trained parameters of all parts."""
        return sum(part.op.parameters(read) for part, read, _ in self.shapes(inputs))

    def by_parts(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the outputs computed part by part: equal to `reference`, which knows no parts."""
        known: dict[int | str, Array] = dict(enumerate(inputs))
        made: tuple[Array, ...] = ()
        for part, read, _ in self.shapes([array.shape for array in inputs]):
            own = {n.removeprefix(f"{part.name}."): w for n, w in weights.items() if n.startswith(f"{part.name}.")}
            own |= {name: weights[name] for name in part.op.state_shapes(read) if name in weights}
            made = part.op.reference([known[name] for name in part.inputs], own)
            known.update({part.name: made[0]} | {f"{part.name}.{i}": array for i, array in enumerate(made)})
        return made


OPS: Registry[type[Op]] = Registry("operator", "sim.ops")
op = OPS.register


def random_integers(shape: Shape, seed: int, high: int = 8) -> Array:
    """Return small integers in [-high, high): exact in every order of summation."""
    return np.random.default_rng(seed).integers(-high, high, size=shape)
