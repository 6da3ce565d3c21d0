"""Firing patterns as users write them (each, first, last of a group of firings), and the phases they mean."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

from pydantic import Field

from sim.streaming.graph import Op, Phase, Verb
from sim.yamlfile import Strict


class First(Strict):
    """In the first so many firings of a group."""

    first: int = Field(ge=1)


class Last(Strict):
    """In the last so many firings of a group."""

    last: int = Field(ge=1)


When = Literal["each", "first", "last"] | First | Last
"""In which firings of a group a port is used."""
Ports = dict[str, When] | list[str] | str
"""Channels in program order, each with its pattern; a name or a list of names takes the kind's own pattern."""


def ports(written: Ports, default: When) -> dict[str, When]:
    """Return the patterns by channel, in program order; `default` is that of channels which name none."""
    if isinstance(written, dict):
        return written
    return dict.fromkeys([written] if isinstance(written, str) else written, default)


def span(when: When, group: int) -> tuple[int, int]:
    """Return the firings (from, to) of a group of `group` in which the port is used; ValueError where it has fewer."""
    if when == "each":
        return 0, group
    count = when.first if isinstance(when, First) else when.last if isinstance(when, Last) else 1
    if count > group:
        raise ValueError(f"a group of {group} firings has no {count} to choose; enlarge 'group'")
    return (0, count) if when == "first" or isinstance(when, First) else (group - count, group)


def phases(pops: Mapping[str, When], pushes: Mapping[str, When], group: int, interval: int) -> tuple[Phase, ...]:
    """Return the phases of one group of firings; ValueError where a pattern does not fit the group."""
    spans: list[tuple[Verb, str, int, int]] = [
        *(("pop", channel, *span(when, group)) for channel, when in pops.items()),
        *(("push", channel, *span(when, group)) for channel, when in pushes.items()),
    ]
    cuts = sorted({0, group, *(start for _, _, start, _ in spans), *(stop for *_, stop in spans)})
    return tuple(
        Phase(stop - start, tuple(Op(v, channel) for v, channel, a, b in spans if a <= start < b), interval)
        for start, stop in pairwise(cuts)
    )
