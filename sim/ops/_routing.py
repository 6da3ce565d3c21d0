"""How many tokens each expert gets: evenly, by a seeded skew, from a histogram, or from a trace of every token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import library
from sim.errors import ConfigError
from sim.yamlfile import Strict, check, read

Choices = NDArray[np.int64]
"""The experts of each token, (tokens, k), all different in a row."""


class Histogram(Strict):
    """A measured histogram: how many of `tokens` tokens, each sent to `top_k` experts, every expert got."""

    name: str
    model: str
    source: str
    tokens: int
    top_k: int
    counts: list[int]


@dataclass(frozen=True)
class Routing:
    """How tokens choose experts. `kind` is balanced, skewed (by `skew` and `seed`), histogram or trace."""

    kind: str
    skew: float = 1.0
    seed: int = 0
    histogram: str | tuple[int, ...] = ()
    trace: str = ""


@lru_cache(maxsize=64)
def load(routing: Routing, tokens: int, top_k: int, experts: int) -> tuple[int, ...]:
    """Return how many tokens each expert gets; ValueError where that cannot be."""
    if top_k > experts:
        raise ValueError(f"top_k {top_k} is more than the {experts} experts")
    if routing.kind in ("skewed", "trace"):
        return tuple(np.bincount(choices(routing, tokens, top_k, experts).ravel(), minlength=experts).tolist())
    if routing.kind == "histogram":
        return _checked(routing.histogram, tokens, top_k, experts)
    share, more = divmod(tokens * top_k, experts)
    return tuple(share + (index < more) for index in range(experts))


@lru_cache(maxsize=64)
def choices(routing: Routing, tokens: int, top_k: int, experts: int) -> Choices:
    """Return the experts of each token.

    `skewed`: expert i is as likely as (i + 1)^-skew, drawn without putting back (Gumbel top-k, which is the
    Plackett-Luce model). From a histogram: each expert takes as many tokens in turn, which are all different
    as no expert has more than there are.
    """
    if routing.kind == "trace":
        return _trace(routing.trace, tokens, top_k, experts)
    if routing.kind == "skewed":
        noise = np.random.default_rng(routing.seed).gumbel(size=(tokens, experts))
        keys = noise - routing.skew * np.log(np.arange(1, experts + 1))
        return np.argsort(-keys, axis=1, kind="stable")[:, :top_k]
    counts = load(routing, tokens, top_k, experts)
    return np.repeat(np.arange(experts), counts).reshape(top_k, tokens).T


def _checked(given: str | Sequence[int], tokens: int, top_k: int, experts: int) -> tuple[int, ...]:
    counts, what = (tuple(given), "the histogram") if not isinstance(given, str) else _named(given)
    if len(counts) != experts:
        raise ValueError(f"{what} has {len(counts)} experts, not {experts}")
    if any(count < 0 for count in counts):
        raise ValueError(f"{what} has a negative count")
    if sum(counts) != tokens * top_k:
        raise ValueError(
            f"{what} adds up to {sum(counts)} tokens, not to {tokens} x top_k {top_k} = {tokens * top_k}"
        )
    if max(counts) > tokens:
        raise ValueError(f"{what} gives an expert {max(counts)} of {tokens} tokens, but a token goes there once")
    return counts


def _named(name: str) -> tuple[tuple[int, ...], str]:
    try:
        path = library.find("routing", name)
        histogram, problems = check(Histogram, read(path, library.shown(path)))
        if histogram is None:
            raise ConfigError(*problems)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return tuple(histogram.counts), f"the histogram '{name}' ({histogram.tokens} tokens, top_k {histogram.top_k})"


def _trace(name: str, tokens: int, top_k: int, experts: int) -> Choices:
    """Return a trace from a text file: a line for each token, its experts separated by commas."""
    try:
        lines = [line for line in Path(name).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"trace '{name}' cannot be read: {getattr(error, 'strerror', 'it is no text')}") from None
    if len(lines) != tokens:
        raise ValueError(f"trace '{name}' has {len(lines)} tokens, not {tokens}")
    rows = [_row(name, number, line, top_k, experts) for number, line in enumerate(lines, start=1)]
    return np.array(rows, dtype=np.int64)


def _row(name: str, number: int, line: str, top_k: int, experts: int) -> list[int]:
    words: list[Any] = [word.strip() for word in line.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"trace '{name}', line {number}: expected numbers of experts, not '{line}'")
    row = [int(word) for word in words]
    if len(row) != top_k or len(set(row)) != top_k:
        raise ValueError(f"trace '{name}', line {number}: expected {top_k} different experts, not '{line}'")
    if max(row) >= experts:
        raise ValueError(f"trace '{name}', line {number}: there is no expert {max(row)}; there are {experts}")
    return row
