"""Linear attention, gated or not: a matrix a head that each token decays and adds to, in chunks or token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from sim import lanes
from sim.kernel import Contraction, Kernel
from sim.op import Array, Compound, Op, Part, Shape, op
from sim.ops._spatial import Count
from sim.ops._vector import work
from sim.ops.arithmetic import Add


class ChunkPart(Op):
    """What the parts share: heads, and the tokens of a chunk, which divide the sequence.

    Tensors between the parts are (batch, heads, chunks, rows, columns).
    """

    heads: int
    chunk: int

    def split(self, x: Array) -> Array:
        """Return (batch, tokens, heads · size) as (batch, heads, chunks, chunk, size)."""
        batch, tokens, _ = x.shape
        return x.reshape(batch, tokens // self.chunk, self.chunk, self.heads, -1).transpose(0, 3, 1, 2, 4)

    def groups(self, shape: Shape) -> tuple[int, ...]:
        """Return (batch, heads, chunks) of an input (batch, tokens, ...)."""
        return (shape[0], self.heads, shape[1] // self.chunk)

    def product(self, pairs: Sequence[tuple[Array, Array]], lead: Shape) -> Array:
        """Return the product of the operands with its leading axes."""
        left, right = pairs[0]
        made = left @ right
        return made.reshape(*lead, *made.shape[1:])


class ChunkScores(ChunkPart):
    """query · keyᵀ within each chunk; a later token's are hidden."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, heads, chunks, chunk, chunk)."""
        return ((*self.groups(inputs[0]), self.chunk, self.chunk),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group for each chunk of each head."""
        groups, size = prod(self.groups(inputs[0])), inputs[0][2] // self.heads
        hidden = groups * size * self.chunk * (self.chunk - 1) // 2
        return (Contraction("scores", self.chunk, size, self.chunk, groups, right_is="kv", hidden=hidden),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the queries and the keys of each chunk."""
        queries, keys = (self.split(x) for x in inputs)
        keys = keys.swapaxes(-1, -2)
        return [(queries.reshape(-1, *queries.shape[3:]), keys.reshape(-1, *keys.shape[3:]))]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return the scores of all chunks."""
        return products[0].reshape(self.infer(inputs)[0])

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the scores."""
        return (self.product(self.operands(inputs, weights), self.groups(inputs[0].shape)),)


class Decay(ChunkPart):
    """Scores without those of later tokens, each times the decay between its two tokens."""

    gated: bool
    arity: ClassVar[tuple[int, int | None]] = (1, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the scores."""
        return (inputs[0],)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return for each seen pair one product with 0 or 1, or with the exponential of a difference."""
        seen = prod(inputs[0][:3]) * self.chunk * (self.chunk + 1) // 2
        extra = {"add": seen, "exp": seen} if self.gated else {}
        return work("decay", inputs, inputs[:1], mul=seen, **extra)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the decayed scores."""
        seen = np.tril(np.ones((self.chunk, self.chunk)))
        if not self.gated:
            return (inputs[0] * seen,)
        total = self.split(inputs[1])[..., 0].cumsum(axis=-1)
        between = np.where(seen > 0, total[..., :, None] - total[..., None, :], 0)
        return (inputs[0] * lanes.exp(between) * seen,)


class Inner(ChunkPart):
    """Decayed scores · values of each chunk."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, heads, chunks, chunk, f)."""
        return ((*inputs[0][:4], inputs[1][2] // self.heads),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group for each chunk of each head."""
        groups, size = prod(inputs[0][:3]), inputs[1][2] // self.heads
        hidden = groups * size * self.chunk * (self.chunk - 1) // 2
        return (Contraction("inner", size, self.chunk, self.chunk, groups, right_is="kv", hidden=hidden),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the scores and the values of each chunk."""
        values = self.split(inputs[1])
        return [(inputs[0].reshape(-1, *inputs[0].shape[3:]), values.reshape(-1, *values.shape[3:]))]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return the sums of all chunks."""
        return products[0].reshape(self.infer(inputs)[0])

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the sums."""
        return (self.product(self.operands(inputs, weights), inputs[0].shape[:3]),)


class Scale(ChunkPart):
    """Queries times the decay since their chunk began, or keys times that until it ends: (batch, tokens, ...)."""

    side: Literal["queries", "keys"]
    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of queries or keys."""
        return (inputs[0],)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return a sum and an exponential a token and head, and one product an element."""
        count = prod(inputs[1])
        return work("scale", inputs, inputs[:1], add=count, exp=count, mul=prod(inputs[0]))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the scaled input."""
        batch, tokens, _ = inputs[0].shape
        total = inputs[1].reshape(batch, -1, self.chunk, self.heads).cumsum(axis=2)
        decay = total if self.side == "queries" else total[:, :, -1:] - total
        x = inputs[0].reshape(batch, tokens // self.chunk, self.chunk, self.heads, -1)
        return ((x * lanes.exp(decay)[..., None]).reshape(inputs[0].shape),)


class Update(ChunkPart):
    """keyᵀ · value of each chunk: what it adds to the state."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, heads, chunks, e, f)."""
        return ((*self.groups(inputs[0]), inputs[0][2] // self.heads, inputs[1][2] // self.heads),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group for each chunk of each head."""
        *lead, rows, columns = self.infer(inputs)[0]
        return (Contraction("update", columns, self.chunk, rows, prod(lead), right_is="kv"),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the keys, transposed, and the values of each chunk."""
        keys, values = (self.split(x) for x in inputs)
        return [(keys.swapaxes(-1, -2).reshape(-1, keys.shape[-1], self.chunk), values.reshape(-1, *values.shape[3:]))]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return what all chunks add."""
        return products[0].reshape(self.infer(inputs)[0])

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return what all chunks add."""
        return (self.product(self.operands(inputs, weights), self.groups(inputs[0].shape)),)


class Scan(ChunkPart):
    """The state before each chunk: that before the chunk before, decayed, and what that one added."""

    gated: bool
    past: bool
    arity: ClassVar[tuple[int, int | None]] = (1, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the additions."""
        return (inputs[0],)

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the state before the first chunk, (batch, heads, e, f)."""
        return {"state": (*inputs[0][:2], *inputs[0][3:])} if self.past else {}

    def constants(self, inputs: Sequence[Shape]) -> int:
        """Return the elements of the state that is there already."""
        return prod(inputs[0]) // inputs[0][2] if self.past else 0

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one addition an element and chunk; with a gate one product more, and its exponential a chunk."""
        size, chunks = prod(inputs[0]), prod(inputs[0][:3])
        extra = {"mul": size, "exp": chunks} if self.gated else {}
        return work("scan", inputs, inputs[:1], self.constants(inputs), add=size, **extra)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the states."""
        added, made = inputs[0], []
        state = weights["state"] if self.past else np.zeros((*added.shape[:2], *added.shape[3:]))
        decay = lanes.exp(self.split(inputs[1])[..., 0].sum(axis=-1)) if self.gated else np.ones(added.shape[:3])
        for index in range(added.shape[2]):
            made.append(state)
            state = state * decay[:, :, index, None, None] + added[:, :, index]
        return (np.stack(made, axis=2),)


class Outer(ChunkPart):
    """Queries · the state before their chunk."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, heads, chunks, chunk, f)."""
        return ((*self.groups(inputs[0]), self.chunk, inputs[1][-1]),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group for each chunk of each head."""
        size, columns = inputs[1][-2:]
        return (Contraction("outer", columns, size, self.chunk, prod(self.groups(inputs[0])), right_is="kv"),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the queries and the state of each chunk."""
        queries = self.split(inputs[0])
        return [(queries.reshape(-1, *queries.shape[3:]), inputs[1].reshape(-1, *inputs[1].shape[3:]))]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return the products of all chunks."""
        return products[0].reshape(self.infer(inputs)[0])

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the products."""
        return (self.product(self.operands(inputs, weights), self.groups(inputs[0].shape)),)


class Merge(Add):
    """The sum of what a chunk and its past give, as (batch, tokens, heads · f)."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, tokens, heads · f)."""
        batch, heads, chunks, rows, size = inputs[0]
        return ((batch, chunks * rows, heads * size),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one addition an element."""
        return work("merge", inputs, self.infer(inputs), add=prod(inputs[0]))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the sums in the order of the tokens."""
        made = (inputs[0] + inputs[1]).transpose(0, 2, 3, 1, 4)
        return (made.reshape(self.infer([inputs[0].shape])[0]),)


@op("linear_attention")
class LinearAttention(Compound):
    """state = decay · state + keyᵀ · value, out = query · state, token by token and head by head.

    Inputs q and k (batch, tokens, heads · e), v (batch, tokens, heads · f) and, where gated, the logarithm of the
    decay (batch, tokens, heads): without a gate linear attention (Katharopoulos et al., ICML 2020, features
    mapped before, not normalised), with it RetNet, Mamba-2 and their like (Dao and Gu, ICML 2024, section 6).
    `chunk` tokens are computed together; 1 is the recurrence.
    """

    arity: ClassVar[tuple[int, int | None]] = (3, 4)

    heads: Count = Field(description="heads")
    chunk: Count = Field(64, description="tokens that are computed together; 1: one after the other")
    past: bool = Field(False, description="whether there is a state from earlier tokens")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, tokens, heads · f); ValueError where the inputs or the chunk do not fit."""
        q, k, v = inputs[:3]
        if len(q) != 3 or q != k or len(v) != 3 or v[:2] != q[:2] or q[2] % self.heads or v[2] % self.heads:
            raise ValueError(f"queries {q}, keys {k} and values {v} of {self.heads} heads do not belong together")
        if len(inputs) == 4 and inputs[3] != (*q[:2], self.heads):
            raise ValueError(f"needs a gate of {(*q[:2], self.heads)}, not {inputs[3]}")
        if q[1] % self._chunk(q):
            raise ValueError(f"chunks of {self.chunk} do not divide {q[1]} tokens")
        return (v,)

    def _chunk(self, shape: Shape) -> int:
        return min(self.chunk, shape[1])

    def parts(self, inputs: Sequence[Shape]) -> tuple[Part, ...]:
        """Return what happens within a chunk, between chunks, and their sum."""
        gated = len(inputs) == 4
        sizes: dict[str, Any] = {"heads": self.heads, "chunk": self._chunk(inputs[0])}
        gate: tuple[int | str, ...] = (3,) if gated else ()
        queries: int | str = "queries" if gated else 0
        keys: int | str = "keys" if gated else 1
        scaled = [
            Part("queries", "scale", Scale(**sizes, side="queries"), (0, 3)),
            Part("keys", "scale", Scale(**sizes, side="keys"), (1, 3)),
        ] if gated else []  # fmt: skip
        return (
            Part("scores", "scores", ChunkScores(**sizes), (0, 1)),
            Part("decay", "decay", Decay(**sizes, gated=gated), ("scores", *gate)),
            Part("inner", "inner", Inner(**sizes), ("decay", 2)),
            *scaled,
            Part("update", "update", Update(**sizes), (keys, 2)),
            Part("scan", "scan", Scan(**sizes, gated=gated, past=self.past), ("update", *gate)),
            Part("outer", "outer", Outer(**sizes), (queries, "scan")),
            Part("merge", "add", Merge(), ("inner", "outer")),
        )

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the recurrence, token by token."""
        batch, tokens, _ = inputs[0].shape
        q, k, v = (x.reshape(batch, tokens, self.heads, -1) for x in inputs[:3])
        decay = np.exp(inputs[3]) if len(inputs) == 4 else np.ones((batch, tokens, self.heads))
        state = weights["scan.state"] if self.past else np.zeros((batch, self.heads, q.shape[-1], v.shape[-1]))
        made = []
        for t in range(tokens):
            state = decay[:, t, :, None, None] * state + k[:, t, :, :, None] * v[:, t, :, None, :]
            made.append(np.einsum("bhe,bhef->bhf", q[:, t], state))
        return (np.stack(made, axis=1).reshape(batch, tokens, -1),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return chunks and single tokens, with and without a gate and a past."""
        return [
            (cls(heads=2, chunk=2), ((1, 6, 4), (1, 6, 4), (1, 6, 6))),
            (cls(heads=2, chunk=3), ((2, 6, 4), (2, 6, 4), (2, 6, 6), (2, 6, 2))),
            (cls(heads=1, chunk=1, past=True), ((1, 3, 4), (1, 3, 4), (1, 3, 2), (1, 3, 1))),
        ]
