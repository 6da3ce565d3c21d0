"""The parts of a mixture of experts: routing, the experts' linear layers, and the weighted sum behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from sim.kernel import Contraction, Kernel, VectorWork
from sim.op import Array, Op, Shape
from sim.ops._routing import Choices, Drawn, Routing, choices
from sim.ops._vector import work
from sim.ops.view import View


class ExpertPart(Op):
    """What the parts share: how many tokens each expert gets, and how many rows its products have.

    `rows` is at least `used` for each expert that computes: a static tile or capacity pads it. In a tensor the
    rows of the experts lie behind each other, padding last.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    used: tuple[int, ...]
    rows: tuple[int, ...]

    def slices(self) -> list[slice]:
        """Return where the rows of each expert lie."""
        ends = np.cumsum(self.rows)
        return [slice(int(end) - rows, int(end)) for end, rows in zip(ends, self.rows, strict=True)]


class Route(Op):
    """The top k of the scores of a token, given: values and indices, (batch, n, 2k).

    Which experts they are is the routing's to say, so that the imbalance is the one that is wanted; finding
    them costs what `top_k` costs.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    routing: Routing
    k: int
    renormalize: bool

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, n, 2k)."""
        return ((*inputs[0][:2], 2 * self.k),)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return k passes of comparisons, and k-1 additions and k divisions where the values shall add up to 1."""
        tokens, n = prod(inputs[0][:2]), inputs[0][2]
        compare = tokens * sum(n - 1 - i for i in range(self.k))
        add, div = (tokens * (self.k - 1), tokens * self.k) if self.renormalize else (0, 0)
        kernels = work("route", inputs, self.infer(inputs), max=compare, add=add, div=div)
        return tuple(replace(kernel, result="routing") for kernel in kernels if isinstance(kernel, VectorWork))

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the values and the indices that the routing gives."""
        chosen = self.chosen(inputs[0].shape)
        values = np.take_along_axis(inputs[0], chosen, axis=-1)
        if self.renormalize:
            values = values / values.sum(axis=-1, keepdims=True)
        return (np.concatenate([values, chosen], axis=-1),)

    def chosen(self, shape: Shape) -> Choices:
        """Return the experts of each token, (batch, n, k)."""
        return choices(self.routing, prod(shape[:2]), self.k, shape[2]).reshape(*shape[:2], self.k)


class Dispatch(ExpertPart, View):
    """The tokens of each expert behind each other: rows that its first products load from where they lie."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (rows, features)."""
        return ((sum(self.rows), inputs[0][2]),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the rows; padding is zero."""
        tokens = inputs[0].reshape(-1, inputs[0].shape[2])
        result = np.zeros((sum(self.rows), tokens.shape[1]), tokens.dtype)
        for row, (token, _, _) in self.assigned(inputs[1]).items():
            result[row] = tokens[token]
        return (result,)

    def assigned(self, route: Array) -> dict[int, tuple[int, int, float]]:
        """Return for each row with a token: the token, its expert and its weight. What exceeds `used` is dropped."""
        values, indices = np.split(route.reshape(-1, route.shape[2]), 2, axis=-1)
        filled = [0] * len(self.used)
        found = {}
        starts = [part.start for part in self.slices()]
        for token, slot in np.ndindex(indices.shape):
            expert = int(indices[token, slot])
            if expert < len(self.used) and filled[expert] < self.used[expert]:
                found[starts[expert] + filled[expert]] = (token, expert, float(values[token, slot]))
                filled[expert] += 1
        return found


class ExpertLinear(ExpertPart):
    """out[row] = in[row] · weight[expert of the row]; weight (experts, in, features).

    `order` says who comes first: `expert` loads an expert's weights once for all of its rows, the next one's
    behind them; `token` loads them anew for every row.
    """

    features: int
    order: Literal["expert", "token"] = "expert"
    drawn: Drawn | None = None
    """What the gate chose in this run and in those before it."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (rows, features)."""
        return ((inputs[0][0], self.features),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (experts, in, features)."""
        return {"weight": (len(self.rows), inputs[0][1], self.features)}

    def gathered(self, inputs: Sequence[Shape]) -> int:
        """Return the parameters of the experts that have a row; token by token, those of every row's expert."""
        loads = sum(self.rows) if self.order == "token" else sum(rows > 0 for rows in self.rows)
        return loads * inputs[0][1] * self.features

    def members(self) -> dict[int, list[int]]:
        """Return the experts by the rows of their products, those with most rows first."""
        found: dict[int, list[int]] = {}
        for expert in sorted(range(len(self.rows)), key=lambda e: -self.rows[e]):
            if self.rows[expert]:
                found.setdefault(self.rows[expert], []).append(expert)
        return found

    def slices_read(self, back: int = 0) -> tuple[tuple[int, ...], ...]:
        """Return the expert of each group of each kernel; of a run `back` steps ago, all in one."""
        if not back and self.order == "expert":
            return tuple(tuple(experts) for experts in self.members().values())
        if self.drawn is None:
            return (tuple(int(e) for e in np.repeat(np.arange(len(self.rows)), self.rows)),)
        asked = [expert for expert in self.drawn.choices(back).ravel().tolist() if expert < len(self.rows)]
        if self.order == "expert":
            counts = np.bincount(asked, minlength=len(self.rows))
            return (tuple(int(e) for e in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]),)
        return (self._by_token(asked) if not back else tuple(asked),)

    def _by_token(self, asked: Sequence[int]) -> tuple[int, ...]:
        """Return the expert of each row, token by token, what exceeds `used` dropped, rows that pad behind them."""
        left, found = list(self.used), []
        for expert in asked:
            left[expert] -= 1
            if left[expert] >= 0:
                found.append(expert)
        padding = [e for e in range(len(self.rows)) for _ in range(self.rows[e] - self.used[e])]
        return (*found, *padding)

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return a contraction for all experts with equally many rows; token by token one with a group a row."""
        length = inputs[0][1]
        if self.order == "token":
            hidden = (sum(self.rows) - sum(self.used)) * length * self.features
            return (Contraction("experts", self.features, length, 1, sum(self.rows), hidden=hidden),)
        found = []
        for rows, experts in self.members().items():
            padding = sum(rows - self.used[expert] for expert in experts)
            hidden = padding * length * self.features
            found.append(Contraction("experts", self.features, length, rows, len(experts), hidden=hidden))
        return tuple(found)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return rows and weights of each contraction."""
        if self.order == "token":
            experts = np.repeat(np.arange(len(self.rows)), self.rows)
            return [(inputs[0][:, None, :], weights["weight"][experts])]
        slices = self.slices()
        return [
            (np.stack([inputs[0][slices[expert]] for expert in experts]), weights["weight"][experts])
            for experts in self.members().values()
        ]

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (rows, features)."""
        if self.order == "token":
            return products[0][:, 0, :]
        result = np.zeros((inputs[0][0], self.features), products[0].dtype)
        slices = self.slices()
        for product, experts in zip(products, self.members().values(), strict=True):
            for rows, expert in zip(product, experts, strict=True):
                result[slices[expert]] = rows
        return result

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the products of all rows."""
        parts = [inputs[0][rows] @ weights["weight"][expert] for expert, rows in enumerate(self.slices())]
        return (np.concatenate(parts),)


class Combine(Dispatch):
    """The sum of a token's experts, each times its value in the route: (rows, features), route, tokens.

    Experts beyond the first `used` compute nothing: `zero` adds none, `copy` the token itself, `constant` a mix
    of the token and a trained vector by a trained gate (Jin et al., MoE++, ICLR 2025). In that order.
    """

    arity: ClassVar[tuple[int, int | None]] = (3, 3)

    zero: int = 0
    copied: tuple[int, ...] = ()
    """Tokens of each expert that copies."""
    constant: tuple[int, ...] = ()
    """Tokens of each constant expert."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the tokens."""
        return (inputs[2],)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the vector and the gate (two rows) of each constant expert."""
        count, features = len(self.constant), inputs[2][2]
        return {"vector": (count, features), "mix": (count, 2, features)} if count else {}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return a product and an addition for each element of a row that holds a token; the first needs no sum.

        A copy costs the same. A constant expert costs 2 products and 2 sums an element for its gate, its
        softmax of two, and 3 products and 2 sums an element for the mix.
        """
        features, tokens = inputs[2][2], prod(inputs[2][:2])
        rows, copies, mixes = sum(self.used), sum(self.copied), sum(self.constant)
        mul = (rows + copies + 5 * mixes) * features
        add = max(0, rows + copies + mixes - tokens) * features + (3 * features + 1) * mixes
        counts = {"mul": mul, "add": add, "exp": 2 * mixes, "div": 2 * mixes}
        read = (rows * features, prod(inputs[1]), (copies + mixes) * features)
        operations = tuple((kind, count) for kind, count in counts.items() if count)
        kinds = ("input", "routing", "input")
        return (VectorWork("combine", read, prod(inputs[2]), operations, self.parameters(inputs), kinds),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the weighted sums."""
        rows, route, x = inputs
        tokens = x.reshape(-1, x.shape[2])
        result = np.zeros(tokens.shape)
        for row, (token, _, value) in self.assigned(route).items():
            result[token] += value * rows[row]
        values, indices = np.split(route.reshape(-1, route.shape[2]), 2, axis=-1)
        for token, slot in np.ndindex(indices.shape):
            special = int(indices[token, slot]) - len(self.used) - self.zero
            if special >= 0:
                result[token] += values[token, slot] * self._special(tokens[token], special, weights)
        return (result.reshape(x.shape),)

    def _special(self, token: Array, index: int, weights: Mapping[str, Array]) -> Array:
        if index < len(self.copied):
            return token
        constant = index - len(self.copied)
        share = np.exp(weights["mix"][constant] @ token - (weights["mix"][constant] @ token).max())
        share = share / share.sum()
        return np.asarray(share[0] * token + share[1] * weights["vector"][constant])
