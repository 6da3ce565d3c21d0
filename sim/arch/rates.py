"""Rates of precision-scalable units: how many narrow elements a PE or lane takes at once, format by format.

A rate counts products (or lane operations) a cycle beside those of the native format, which has rate 1. A pair of
formats runs at the slower rate of the two, unless it has a rate of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from sim.arch.quantities import Count
from sim.errors import unknown
from sim.formats import BLOCKS, PLAIN, element_of

PAIR = "x"
"""What stands between the formats of a pair, as in int8xint4."""


def _checked(rates: dict[str, int]) -> dict[str, int]:
    """Return the rates by format or by pair in either order; ValueError for what is no format, or stands twice."""
    found: dict[str, int] = {}
    for key, rate in rates.items():
        names = sorted(part.strip() for part in key.split(PAIR)) if key not in BLOCKS else [key]
        for name in names:
            if name in BLOCKS:
                element = element_of(name)
                raise ValueError(f"elements of {name} are multiplied as {element}; give {element} a rate")
            if name not in PLAIN:
                raise ValueError(unknown("number format", name, PLAIN))
        if len(names) > 2:
            raise ValueError(f"'{key}' names {len(names)} formats; a rate belongs to one, or to a pair: int8xint4")
        if PAIR.join(names) in found:
            raise ValueError(f"'{key}' has two rates; keep one")
        found[PAIR.join(names)] = rate
    return found


Rates = Annotated[dict[str, Count], AfterValidator(_checked)]


class NoRate(ValueError):
    """Formats that a unit has no rate for."""


def rate_of(rates: Mapping[str, int], *formats: str) -> int:
    """Return the rate of a format, or of two that are multiplied; 1 where no rates are declared.

    Elements of a block count as their own format. Raises NoRate, with the formats that there are, where a unit that
    declares rates has none.
    """
    if not rates:
        return 1
    names = sorted(map(element_of, formats))
    own = rates.get(PAIR.join(names)) if len(names) > 1 else None
    if own is not None:
        return own
    if missing := [name for name in names if name not in rates]:
        what = " x ".join(map(element_of, formats))
        raise NoRate(f"has no rate for {what if len(set(names)) > 1 else missing[0]}; it has: {', '.join(rates)}")
    return min(rates[name] for name in names)
