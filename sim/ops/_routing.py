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
    """How tokens choose experts. `kind` is balanced, skewed (by `skew` and `seed`), histogram or trace.

    `layer` is the number of the layer: each draws for itself. A trace holds `steps` steps, the last is the run's.
    """

    kind: str
    skew: float = 1.0
    seed: int = 0
    histogram: str | tuple[int, ...] = ()
    trace: str = ""
    layer: int = 0
    steps: int = 1


@dataclass(frozen=True)
class Drawn:
    """What a gate chooses, step by step: `tokens` tokens a step, `top_k` of `experts` each."""

    routing: Routing
    tokens: int
    top_k: int
    experts: int

    def choices(self, back: int) -> Choices:
        """Return the experts of each token `back` steps before the run, which is step 0."""
        return past(self.routing, self.tokens, self.top_k, self.experts, back)


@lru_cache(maxsize=512)
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


@lru_cache(maxsize=512)
def choices(routing: Routing, tokens: int, top_k: int, experts: int) -> Choices:
    """Return the experts of each token.

    `skewed`: expert i is as likely as (i + 1)^-skew, drawn without putting back (Gumbel top-k, which is the
    Plackett-Luce model). From a histogram: each expert takes as many tokens in turn, which are all different
    as no expert has more than there are.
    """
    if routing.kind == "trace":
        return _trace(routing, tokens, top_k, experts)[-1]
    if routing.kind == "skewed":
        return _drawn(routing, -routing.skew * np.log(np.arange(1, experts + 1)), tokens, top_k, 0)
    counts = load(routing, tokens, top_k, experts)
    return np.repeat(np.arange(experts), counts).reshape(top_k, tokens).T


def past(routing: Routing, tokens: int, top_k: int, experts: int, back: int) -> Choices:
    """Return the experts of each token `back` steps before the run, which is step 0.

    A trace has recorded them. `skewed` draws anew by its skew; a histogram draws experts by their counts, and
    `balanced` all with equal chance. ValueError where a trace does not reach back so far.
    """
    if not back:
        return choices(routing, tokens, top_k, experts)
    if routing.kind == "trace":
        steps = _trace(routing, tokens, top_k, experts)
        if back >= len(steps):
            raise ValueError(
                f"trace '{routing.trace}' has {len(steps) - 1} steps before the run, not {back}; trace_steps says how "
                "many steps it holds"
            )
        return steps[-1 - back]
    ranks = np.arange(1, experts + 1)
    if routing.kind == "skewed":
        favour = -routing.skew * np.log(ranks)
    elif routing.kind == "histogram":
        favour = np.log(np.maximum(load(routing, tokens, top_k, experts), 1e-9))
    else:
        favour = np.zeros(experts)
    return _drawn(routing, favour, tokens, top_k, back)


def _drawn(routing: Routing, favour: NDArray[np.float64], tokens: int, top_k: int, back: int) -> Choices:
    """Return draws without putting back, expert i with weight exp(favour[i]); layers and steps draw independently."""
    spawn = (routing.layer, back) if routing.layer or back else ()
    generator = np.random.default_rng(np.random.SeedSequence(routing.seed, spawn_key=spawn))
    keys = generator.gumbel(size=(tokens, favour.size)) + favour
    return np.argsort(-keys, axis=1, kind="stable")[:, :top_k]


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


def _trace(routing: Routing, tokens: int, top_k: int, experts: int) -> list[Choices]:
    """Return the steps of a trace from a text file: a line for each token, its experts separated by commas.

    `{layer}` in the file's name stands for the number of the layer.
    """
    name = routing.trace.replace("{layer}", str(routing.layer))
    try:
        lines = [line for line in Path(name).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"trace '{name}' cannot be read: {getattr(error, 'strerror', 'it is no text')}") from None
    if len(lines) != tokens * routing.steps:
        several = f" x trace_steps {routing.steps} = {tokens * routing.steps}" if routing.steps > 1 else ""
        raise ValueError(f"trace '{name}' has {len(lines)} tokens, not {tokens}{several}")
    rows = [_row(name, number, line, top_k, experts) for number, line in enumerate(lines, start=1)]
    return list(np.array(rows, dtype=np.int64).reshape(routing.steps, tokens, top_k))


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
