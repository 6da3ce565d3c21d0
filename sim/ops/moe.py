"""A mixture of experts: a gate sends each token to some of many feed-forward networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, prod
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, PlainValidator

from sim.op import Array, Compound, Op, Part, Shape, op
from sim.ops._experts import Combine, Dispatch, ExpertLinear, Route
from sim.ops._routing import Drawn, Routing, load
from sim.ops._spatial import Count
from sim.ops.activation import Gelu, Relu, Sigmoid, Silu
from sim.ops.arithmetic import Add, Mul
from sim.ops.gated import GeGlu, ReGlu, SwiGlu
from sim.ops.linear import Linear
from sim.ops.softmax import Softmax

ACTIVATIONS: dict[str, type[Op]] = {
    "swiglu": SwiGlu, "geglu": GeGlu, "reglu": ReGlu, "gelu": Gelu, "relu": Relu, "silu": Silu,
}  # fmt: skip


def _counts(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(type(item) is int for item in value):
        return tuple(value)
    raise ValueError(f"expected the name of a histogram or a list of counts, not {value}")


@op("moe")
class MixtureOfExperts(Compound):
    """Each token through `top_k` of `experts` feed-forward networks of `ffn` hidden features, weighted by a gate.

    Which experts a token gets is given (`routing`), not computed, so that any imbalance can be asked for. All
    tokens of the batch are routed together. `capacity` 0 drops no token.
    """

    experts: Count = Field(description="experts that compute")
    top_k: Count = Field(description="experts that a token goes to")
    ffn: Count = Field(description="hidden features of an expert")
    activation: Literal["swiglu", "geglu", "reglu", "gelu", "relu", "silu"] = Field(
        "swiglu", description="of the hidden features; a gated one has a matrix more"
    )
    score: Literal["softmax", "sigmoid"] = Field("softmax", description="of the gate")
    renormalize: bool = Field(True, description="whether the values of a token's experts are divided by their sum")
    gate_bias: bool = Field(False, description="whether the gate adds a trained constant to each expert's score")
    shared_ffn: int = Field(0, ge=0, description="hidden features of the experts that every token goes through")
    shared_gate: bool = Field(False, description="whether the shared experts are weighted by a gate of their own")
    zero: int = Field(0, ge=0, description="experts beside `experts` that give zero")
    copies: int = Field(0, ge=0, description="experts beside `experts` that give the token itself")
    constant: int = Field(0, ge=0, description="experts beside `experts` that mix the token with a trained vector")
    capacity: float = Field(
        0.0, ge=0, description="rows of every expert as a multiple of the even share, tokens beyond are dropped; 0: all"
    )
    tile: int = Field(0, ge=0, description="each expert's rows are padded to a multiple of it; 0: not padded")
    order: Literal["expert", "token"] = Field(
        "expert", description="expert: an expert's weights load once, for all of its tokens; token: anew for each token"
    )
    routing: Literal["balanced", "skewed", "histogram", "trace"] = Field(
        "balanced", description="how many tokens each expert gets: evenly, drawn, counted, or as recorded"
    )
    skew: float = Field(1.0, ge=0, description="Zipf exponent of `skewed`; 0 draws experts with equal chance")
    seed: int = Field(0, ge=0, description="of `skewed`")
    histogram: Annotated[str | tuple[int, ...], PlainValidator(_counts, str | list[int])] = Field(
        (), description="tokens of each expert, or the name of a measured histogram"
    )
    trace: str = Field("", description="file with a line for each token: its experts, separated by commas")
    trace_steps: Count = Field(
        1, description="steps that the trace holds; the last is this run, caches of slower tiers have seen those before"
    )
    layer: int = Field(0, ge=0, description="number of the layer: each draws for itself; {layer} in a trace's name")

    @property
    def slots(self) -> int:
        """Experts that the gate chooses from."""
        return self.experts + self.zero + self.copies + self.constant

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shape of the input (batch, tokens, features); ValueError where the routing cannot be."""
        if len(inputs[0]) != 3:
            raise ValueError(f"needs an input of (batch, tokens, features), not {inputs[0]}")
        if not any(self.used(inputs)):
            raise ValueError("the routing sends no token to an expert that computes")
        return (inputs[0],)

    def load(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        """Return how many tokens the gate sends to each expert, those that compute nothing last."""
        return load(self._routing, prod(inputs[0][:2]), self.top_k, self.slots)

    @property
    def _routing(self) -> Routing:
        return Routing(
            self.routing, self.skew, self.seed, self.histogram, self.trace, self.layer, self.trace_steps
        )  # fmt: skip

    def used(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        """Return how many tokens each computing expert works on, dropped ones left out."""
        most = self._capacity(inputs) or max(self.load(inputs))
        return tuple(min(count, most) for count in self.load(inputs)[: self.experts])

    def _capacity(self, inputs: Sequence[Shape]) -> int:
        return ceil(self.capacity * prod(inputs[0][:2]) * self.top_k / self.slots)

    def rows(self, inputs: Sequence[Shape]) -> tuple[int, ...]:
        """Return the rows of each expert's products: its tokens, or what capacity and tile make of them."""
        capacity, step = self._capacity(inputs), max(self.tile, 1)
        counts = (capacity,) * self.experts if capacity else self.used(inputs)
        return tuple(-(-count // step) * step for count in counts)

    def parts(self, inputs: Sequence[Shape]) -> tuple[Part, ...]:
        """Return gate, route, the experts' layers, their sum, and the shared experts."""
        sizes = {"used": self.used(inputs), "rows": self.rows(inputs)}
        score: Op = Softmax() if self.score == "softmax" else Sigmoid()
        route = Route(routing=self._routing, k=self.top_k, renormalize=self.renormalize)
        parts = [
            Part("gate", "linear", Linear(features=self.slots, bias=self.gate_bias), (0,)),
            Part("score", self.score, score, ("gate",)),
            Part("route", "route", route, ("score",)),
        ]
        parts.append(Part("dispatch", "dispatch", Dispatch(**sizes), (0, "route")))
        drawn = Drawn(self._routing, prod(inputs[0][:2]), self.top_k, self.slots)
        wide = ExpertLinear(**sizes, features=self.ffn, order=self.order, drawn=drawn)
        narrow = ExpertLinear(**sizes, features=inputs[0][2], order=self.order, drawn=drawn)
        parts += self._feed_forward("expert", "dispatch", "experts", wide, narrow)
        parts.append(Part("combine", "combine", self._combine(inputs, sizes), ("expert_down", "route", 0)))
        if self.shared_ffn:
            parts += self._shared(inputs[0][2])
            parts.append(Part("add", "add", Add(), ("combine", "shared_gated" if self.shared_gate else "shared_down")))
        return tuple(parts)

    def _feed_forward(self, name: str, source: int | str, op_name: str, wide: Op, narrow: Op) -> list[Part]:
        activation = ACTIVATIONS[self.activation]()
        up = Part(f"{name}_up", op_name, wide, (source,))
        gated = self.activation.endswith("glu")
        before = [Part(f"{name}_gate", op_name, wide, (source,)), up] if gated else [up]
        reads = tuple(part.name for part in before)
        return [
            *before,
            Part(f"{name}_{self.activation}", self.activation, activation, reads),
            Part(f"{name}_down", op_name, narrow, (f"{name}_{self.activation}",)),
        ]

    def _combine(self, inputs: Sequence[Shape], sizes: dict[str, Any]) -> Combine:
        special = self.load(inputs)[self.experts + self.zero :]
        copied, constant = special[: self.copies], special[self.copies :]
        return Combine(**sizes, zero=self.zero, copied=copied, constant=constant)

    def _shared(self, features: int) -> list[Part]:
        wide = Linear(features=self.shared_ffn, bias=False)
        parts = self._feed_forward("shared", 0, "linear", wide, Linear(features=features, bias=False))
        if not self.shared_gate:
            return parts
        return [
            *parts,
            Part("shared_score", "linear", Linear(features=1, bias=False), (0,)),
            Part("shared_sigmoid", "sigmoid", Sigmoid(), ("shared_score",)),
            Part("shared_gated", "mul", Mul(), ("shared_down", "shared_sigmoid")),
        ]

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the mixture token by token: no rows, no padding, no order of experts."""
        shapes = [inputs[0].shape]
        tokens = inputs[0].reshape(-1, inputs[0].shape[2])
        logits = tokens @ weights["gate.weight"].T + (weights["gate.bias"] if self.gate_bias else 0)
        if self.score == "softmax":
            scores = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores = scores / scores.sum(axis=1, keepdims=True)
        else:
            scores = 1 / (1 + np.exp(-logits))
        route = Route(routing=self._routing, k=self.top_k, renormalize=self.renormalize)
        chosen = route.chosen((*shapes[0][:2], self.slots)).reshape(len(tokens), -1)
        left, result = list(self.used(shapes)), np.zeros(tokens.shape)
        for token, experts in enumerate(chosen):
            total = scores[token, experts].sum() if self.renormalize else 1.0
            for expert in experts:
                result[token] += scores[token, expert] / total * self._expert(expert, tokens[token], left, weights)
        if self.shared_ffn:
            result = result + self._of_all(tokens, weights)
        return (result.reshape(inputs[0].shape),)

    def _expert(self, expert: int, token: Array, left: list[int], weights: Mapping[str, Array]) -> Array:
        if expert < self.experts:
            left[expert] -= 1
            if left[expert] < 0:
                return np.zeros_like(token)
            names = [n for n in ("gate", "up", "down") if f"expert_{n}.weight" in weights]
            return self._network(token, [weights[f"expert_{n}.weight"][expert] for n in names])
        index = expert - self.experts - self.zero
        if index < 0:
            return np.zeros_like(token)
        if index < self.copies:
            return token
        mix = np.exp(weights["combine.mix"][index - self.copies] @ token)
        vector = weights["combine.vector"][index - self.copies]
        return np.asarray((mix[0] * token + mix[1] * vector) / mix.sum())

    def _network(self, x: Array, matrices: Sequence[Array]) -> Array:
        hidden = [x @ matrix for matrix in matrices[:-1]]
        (activated,) = ACTIVATIONS[self.activation]().reference(hidden, {})
        return np.asarray(activated @ matrices[-1])

    def _of_all(self, tokens: Array, weights: Mapping[str, Array]) -> Array:
        names = [n for n in ("gate", "up", "down") if f"shared_{n}.weight" in weights]
        made = self._network(tokens, [weights[f"shared_{n}.weight"].T for n in names])
        gate = 1 / (1 + np.exp(-tokens @ weights["shared_score.weight"].T)) if self.shared_gate else 1.0
        return np.asarray(gate * made)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return gated and plain experts, shared ones, static tiles, a capacity, token order, and idle experts."""
        sizes: dict[str, Any] = {"experts": 4, "top_k": 2, "ffn": 3}
        return [
            (cls(**sizes), ((2, 3, 4),)),
            (cls(**sizes, shared_ffn=5, shared_gate=True, activation="geglu"), ((1, 3, 4),)),
            (cls(**sizes, routing="skewed", skew=2.0, tile=4, score="sigmoid", gate_bias=True), ((1, 7, 4),)),
            (cls(**sizes, routing="histogram", histogram=(5, 4, 1, 0), capacity=1.0, activation="gelu"), ((1, 5, 4),)),
            (cls(**sizes, routing="histogram", histogram=(4, 0, 3, 1), order="token", shared_ffn=2), ((2, 2, 4),)),
            (cls(**sizes, zero=1, copies=2, constant=2, activation="relu", renormalize=False), ((1, 9, 4),)),
        ]  # fmt: skip
