"""A slower memory behind the off-chip one: flash, or the memory of a host. It holds weights; memory caches them."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sim import units
from sim.arch.memory import Channel
from sim.arch.quantities import Bandwidth, Seconds, Size, quantity
from sim.yamlfile import Strict


def _energy(text: object) -> float:
    value = units.parse("energy", text)
    if value < 0:
        raise ValueError(f"energy '{text}' must not be less than zero")
    return float(value)


Energy = Annotated[float, BeforeValidator(_energy), quantity("energy")]
"""Picojoules, written with their unit."""


class Prefetch(Strict):
    """Fetches before it is known what is needed. Which experts a layer will choose is a guess."""

    ahead: int = Field(0, ge=0, description="layers of the tier by which fetches go ahead; 0: none, only what is asked")
    accuracy: float = Field(
        1.0, ge=0, le=1, description="chance that a guessed expert is one of the chosen; 1: as if the trace were known"
    )
    seed: int = Field(0, ge=0, description="of the guesses")


class Tier(Strict):
    """Weights that lie in a slower memory and come through a channel of their own into a cache in memory."""

    source: str = Field("", description="where the figures come from")
    bandwidth: Bandwidth = Field(description="bytes a second, reads")
    latency: Seconds = Field("0 s", validate_default=True, description="from request to first byte; requests overlap")
    block: Size = Field("4 KiB", validate_default=True, description="a fetch moves whole blocks")
    energy: Energy | None = Field(None, description="of a bit that is read; left out: named under not_modelled")
    holds: Literal["experts", "weights"] = Field(
        "experts", description="the matrices of experts, or of all layers that multiply by stored weights"
    )
    layers: str = Field("*", description="of these, those of layers whose name fits")
    cache: Size = Field(description="part of memory that keeps what was fetched")
    policy: Literal["lru", "lfu", "pinned", "belady"] = Field(
        "lru", description="who makes room: the least recently or least frequently used; pinned: those that were first "
        "stay, the others pass through; belady: who is needed last, which only a trace can know"
    )  # fmt: skip
    shares: Literal["all", "layers"] = Field(
        "all", description="all layers share the cache, or each (as many as read the tier) has an equal part of it"
    )
    history: int = Field(0, ge=0, description="runs of the network before this one that the cache has seen; 0: empty")
    prefetch: Prefetch = Field(Prefetch(), description="what is fetched ahead")

    def channel(self, clock: int) -> Channel:
        """Return its channel in cycles of a chip at `clock` hertz."""
        latency = ceil(Fraction(self.latency).limit_denominator(10**15) * clock)
        return Channel(Fraction(self.block * clock, self.bandwidth), self.block, latency)
