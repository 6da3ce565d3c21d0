"""Multi-head latent attention: keys and values of all heads from one short vector a token (DeepSeek-V2, 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from sim.kernel import Contraction, Kernel
from sim.op import Array, Compound, Op, Part, Shape, op
from sim.ops._attention import MaskedSoftmax, Scores, Values, default_scale
from sim.ops._masks import Mask, Sight
from sim.ops._spatial import Count
from sim.ops.view import View


class LatentOp(Op):
    """What the projections of MLA share: sizes of heads, of the latent vector and of what is turned by position."""

    heads: Count
    rank: Count
    rope: Count
    nope: Count
    value: Count
    past: int = 0


class Join(View):
    """Behind the features of each head the last `tail` ones of the other input's head (or of its only head).

    No work: what is written before lies where the turned part is, and is read with it.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    heads: Count
    others: Count
    """Heads of the other input: as many, or one for all."""
    tail: Count

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, m, heads · (size + tail))."""
        return ((*inputs[0][:2], inputs[0][2] + self.heads * self.tail),)

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return what the first input has from a cache and the second not yet, (batch, past, features)."""
        past = inputs[0][1] - inputs[1][1]
        return {"cache": (inputs[1][0], past, inputs[1][2])} if past else {}

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the heads with their tails."""
        first = inputs[0].reshape(*inputs[0].shape[:2], self.heads, -1)
        other = _with_cache(inputs[1], weights)
        tails = other.reshape(*other.shape[:2], self.others, -1)[..., -self.tail :]
        tails = np.broadcast_to(tails, (*first.shape[:3], self.tail))
        return (np.concatenate([first, tails], axis=-1).reshape(*first.shape[:2], -1),)


class Absorb(LatentOp):
    """Queries in the latent space: the unturned part of q · key_upᵀ of each head."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, n, heads · rank)."""
        return ((*inputs[0][:2], self.heads * self.rank),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (heads, nope, rank)."""
        return {"weight": (self.heads, self.nope, self.rank)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group a head."""
        return (Contraction("absorb", self.rank, self.nope, inputs[0][0] * inputs[0][1], self.heads),)

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the queries in the latent space."""
        ((left, right),) = self.operands(inputs, weights)
        return (self.assemble([left @ right], [inputs[0].shape]),)

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (batch, n, heads · rank)."""
        return products[0].swapaxes(0, 1).reshape(self.infer(inputs)[0])

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the unturned part of the queries of each head, and the weights."""
        queries = inputs[0].reshape(-1, self.heads, self.nope + self.rope)[..., : self.nope]
        return [(queries.swapaxes(0, 1), weights["weight"])]


class UpProject(LatentOp):
    """Unturned keys (or values) of all heads from the latent vectors of all tokens, those in the cache included."""

    size: Count
    """Features of a head."""

    def cached(self) -> tuple[int, ...]:
        """Return the latent vectors."""
        return (0,)

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, past + n, heads · size)."""
        batch, count, _ = inputs[0]
        return ((batch, self.past + count, self.heads * self.size),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (rank, heads · size)."""
        return {"weight": (self.rank, self.heads * self.size)}

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the cache, (batch, past, rank + rope)."""
        return {"cache": (inputs[0][0], self.past, inputs[0][2])} if self.past else {}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction over all tokens."""
        batch, count, _ = inputs[0]
        return (Contraction("up_project", self.heads * self.size, self.rank, batch * (self.past + count)),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the latent vectors without their turned part, and the weights."""
        latent = _with_cache(inputs[0], weights)[..., : self.rank]
        return [(latent.reshape(1, -1, self.rank), weights["weight"][None])]

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return keys or values."""
        ((left, right),) = self.operands(inputs, weights)
        return (self.assemble([left @ right], [inputs[0].shape]),)

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (batch, past + n, heads · size)."""
        return products[0].reshape(self.infer(inputs)[0])


class Unlatent(LatentOp):
    """The weighted latent vectors of each head as its values: · value_up."""

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, n, heads · value)."""
        return ((*inputs[0][:2], self.heads * self.value),)

    def weight_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return weight (heads, rank, value)."""
        return {"weight": (self.heads, self.rank, self.value)}

    def kernels(self, inputs: Sequence[Shape]) -> tuple[Kernel, ...]:
        """Return one contraction with a group a head."""
        return (Contraction("value_up", self.value, self.rank, inputs[0][0] * inputs[0][1], self.heads),)

    def operands(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
        """Return the vectors of each head, and the weights."""
        return [(inputs[0].reshape(-1, self.heads, self.rank).swapaxes(0, 1), weights["weight"])]

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return the values of all heads."""
        ((left, right),) = self.operands(inputs, weights)
        return (self.assemble([left @ right], [inputs[0].shape]),)

    def assemble(self, products: Sequence[Array], inputs: Sequence[Shape]) -> Array:
        """Return (batch, n, heads · value)."""
        return products[0].swapaxes(0, 1).reshape(self.infer(inputs)[0])


@op("mla")
class LatentAttention(Compound):
    """Causal attention of queries (batch, n, heads · (nope + rope)) over latent vectors (batch, n, rank + rope).

    The cache holds the latent vectors alone. `absorbed` turns the queries into the latent space and back, as
    decoding does; `plain` makes keys and values of all heads first, as prefill does. Both are the same function.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    heads: Count = Field(description="heads")
    rank: Count = Field(description="features of the latent vector that keys and values are made from")
    rope: Count = Field(description="features of keys and queries that positions turn, shared by all heads")
    nope: Count = Field(description="other features of a head of keys and queries")
    value: Count = Field(description="features of a head of values")
    form: Literal["absorbed", "plain"] = Field(
        "absorbed", description="absorbed: queries go into the latent space; plain: keys and values come out of it"
    )
    past: int = Field(0, ge=0, description="tokens that are in the cache already")

    def infer(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return (batch, n, heads · value); ValueError where the sizes do not fit."""
        queries, latent = inputs
        if len(queries) != 3 or queries[2] != self.heads * (self.nope + self.rope):
            raise ValueError(
                f"needs queries of (batch, tokens, {self.heads} heads x {self.nope + self.rope}), not {queries}"
            )
        if latent != (*queries[:2], self.rank + self.rope):
            raise ValueError(f"needs latent vectors of {(*queries[:2], self.rank + self.rope)}, not {latent}")
        return ((*queries[:2], self.heads * self.value),)

    def _shared(self, count: int) -> dict[str, Any]:
        mask = Mask((Sight("causal", count, self.past + count),), (count,))
        return {"mask": mask, "heads": self.heads}

    def parts(self, inputs: Sequence[Shape]) -> tuple[Part, ...]:
        """Return the parts of the form that was chosen."""
        shared = self._shared(inputs[0][1])
        scale = default_scale(self.nope + self.rope)
        sizes = {key: getattr(self, key) for key in ("heads", "rank", "rope", "nope", "value")}
        if self.form == "absorbed":
            one = shared | {"kv_heads": 1, "past": self.past, "cache": True}
            return (
                Part("absorb", "absorb", Absorb(**sizes), (0,)),
                Part("queries", "join", Join(heads=self.heads, others=self.heads, tail=self.rope), ("absorb", 0)),
                Part("scores", "scores", Scores(**one), ("queries", 1)),
                Part("softmax", "softmax", MaskedSoftmax(**shared, kv_heads=1, scale=scale), ("scores",)),
                Part("values", "values", Values(**one, size=self.rank), ("softmax", 1)),
                Part("value_up", "value_up", Unlatent(**sizes), ("values",)),
            )
        every = shared | {"kv_heads": self.heads}
        return (
            Part("key_up", "up_project", UpProject(**sizes, past=self.past, size=self.nope), (1,)),
            Part("value_up", "up_project", UpProject(**sizes, past=self.past, size=self.value), (1,)),
            Part("keys", "join", Join(heads=self.heads, others=1, tail=self.rope), ("key_up", 1)),
            Part("scores", "scores", Scores(**every), (0, "keys")),
            Part("softmax", "softmax", MaskedSoftmax(**every, scale=scale), ("scores",)),
            Part("values", "values", Values(**every), ("softmax", "value_up")),
        )

    def state_shapes(self, inputs: Sequence[Shape]) -> dict[str, Shape]:
        """Return the one cache of all parts, (batch, past, rank + rope)."""
        return {"cache": (inputs[1][0], self.past, inputs[1][2])} if self.past else {}

    def cache_elements(self, inputs: Sequence[Shape]) -> int:
        """Return the elements of a latent vector."""
        return self.rank + self.rope

    def reference(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return attention with keys and values of every head written out (DeepSeek-V2, equations 9 to 19)."""
        absorbed = self.form == "absorbed"
        latent = _with_cache(inputs[1], weights)
        key_up = weights["absorb.weight"] if absorbed else _by_head(weights["key_up.weight"], self.heads)
        value_up = weights["value_up.weight"]
        value_up = value_up if absorbed else _by_head(value_up, self.heads).swapaxes(1, 2)
        hidden, turned = latent[..., : self.rank], latent[..., self.rank :]
        queries = inputs[0].reshape(*inputs[0].shape[:2], self.heads, -1)
        keys = np.einsum("bmr,her->bmhe", hidden, key_up)
        scores = np.einsum("bnhe,bmhe->bhnm", queries[..., : self.nope], keys)
        scores = scores + np.einsum("bnhe,bme->bhnm", queries[..., self.nope :], turned)
        ahead = np.triu(np.ones(scores.shape[-2:], bool), self.past + 1)
        scores = np.where(ahead, -np.inf, scores * default_scale(self.nope + self.rope))
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares = shares / shares.sum(axis=-1, keepdims=True)
        values = np.einsum("bmr,hrf->bmhf", hidden, value_up)
        return (np.einsum("bhnm,bmhf->bnhf", shares, values).reshape(*inputs[0].shape[:2], -1),)

    @classmethod
    def examples(cls) -> list[tuple[Self, tuple[Shape, ...]]]:
        """Return both forms, alone and behind a cache."""
        sizes: dict[str, Any] = {"heads": 2, "rank": 3, "rope": 2, "nope": 4, "value": 5}
        prefill, decode = ((2, 3, 12), (2, 3, 5)), ((1, 1, 12), (1, 1, 5))
        return [
            (cls(**sizes), prefill), (cls(**sizes, form="plain"), prefill),
            (cls(**sizes, past=4), decode), (cls(**sizes, form="plain", past=4), decode),
        ]  # fmt: skip


def _with_cache(new: Array, weights: Mapping[str, Array]) -> Array:
    return np.concatenate([weights["cache"], new], axis=1) if "cache" in weights else new


def _by_head(weight: Array, heads: int) -> Array:
    """Return a weight (rank, heads · size) as (heads, size, rank)."""
    return weight.reshape(weight.shape[0], heads, -1).transpose(1, 2, 0)
