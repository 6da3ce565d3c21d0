"""The values of an axis: lists, ranges, log ranges and random ones, of numbers or of quantities with a unit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, exp, floor, log
from typing import Any

import numpy as np

from sim.sweep.schema import Range
from sim.units import UNITS

BASE = {
    "size": "B", "frequency": "Hz", "bandwidth": "B/s", "rate": "B/cycle", "time": "s", "energy": "pJ",
    "power": "W", "area": "mm2", "voltage": "V", "length": "nm",
}  # fmt: skip
"""Each dimension to the unit in which figures of it are compared and computed."""

_SLACK = 1e-9
"""Share of a step by which rounding may push the last value of a range over its end."""


def dimension_of(value: object) -> str | None:
    """Return the dimension of a quantity such as '64 KiB'; None for everything else."""
    unit = value.strip().lstrip("+-0123456789.eE").strip() if isinstance(value, str) else ""
    return next((name for name, table in UNITS.items() if unit in table), None) if unit else None


def number(value: object) -> Any:
    """Return a quantity in the base unit of its dimension, everything else as it is."""
    dimension = dimension_of(value)
    if dimension is None or not isinstance(value, str):
        return value
    unit = value.strip().lstrip("+-0123456789.eE").strip()
    amount = Fraction(value.strip().removesuffix(unit).strip()) * UNITS[dimension][unit]
    return int(amount) if amount.denominator == 1 else float(amount)


def quantity(amount: float, dimension: str | None) -> Any:
    """Return an amount in base units as it is written in files, with the largest unit that leaves it whole."""
    whole = int(amount) if float(amount).is_integer() else amount
    if dimension is None:
        return whole
    if dimension not in ("size", "frequency", "bandwidth") or not isinstance(whole, int):
        return f"{whole!r} {BASE[dimension]}"
    fits = [(factor, unit) for unit, factor in UNITS[dimension].items() if unit != "KB" and whole % factor == 0]
    factor, unit = max(fits, default=(Fraction(1), BASE[dimension]))
    return f"{int(whole / factor)} {unit}"


def values_of(written: Any) -> list[Any]:
    """Return the values of an axis; ValueError, in the user's words, where it has none."""
    if not isinstance(written, dict):
        values = written if isinstance(written, list) else [written]
        if not values:
            raise ValueError("is empty; list at least one value")
        seen = set[str]()
        for value in values:
            if repr(value) in seen:
                raise ValueError(f"lists {value!r} twice")
            seen.add(repr(value))
        return values
    rule = Range.model_validate(written)
    first, last, dimension = ends(rule)
    if rule.random:
        draws = np.random.default_rng(rule.seed).random(rule.count)
        amounts = [between(rule, first, last, float(share)) for share in draws]
    else:
        amounts = _steps(rule, first, last)
    return list(dict.fromkeys(written_as(rule, amount, dimension) for amount in amounts))


def ends(rule: Range) -> tuple[float, float, str | None]:
    """Return both ends in base units, and their dimension; ValueError where they make no range."""
    texts = rule.ends
    (first, last), dimension = map(number, texts), dimension_of(texts[0])
    if dimension != dimension_of(texts[1]) or not all(isinstance(v, int | float) for v in (first, last)):
        raise ValueError(f"the ends of a range must be two numbers or two quantities alike, not {list(texts)}")
    if not first <= last:
        raise ValueError(f"the first value, {texts[0]}, must not exceed the last, {texts[1]}")
    if rule.log and first <= 0:
        raise ValueError(f"a log range must begin above zero, not at {texts[0]}")
    return first, last, dimension


def between(rule: Range, first: float, last: float, share: float) -> float:
    """Return the value at `share` of the way from first to last, in equal ratios where the range is a log one."""
    if rule.log:
        return exp(log(first) + share * (log(last) - log(first)))
    return first + share * (last - first)


def written_as(rule: Range, amount: float, dimension: str | None) -> Any:
    """Return a value as files have it: whole where both ends are."""
    whole = all(isinstance(number(end), int) for end in rule.ends)
    if whole and dimension is None and isinstance(number(rule.step), float):
        whole = False
    first, last, _ = ends(rule)
    return quantity(min(max(round(amount), ceil(first)), floor(last)) if whole else amount, dimension)


def _steps(rule: Range, first: float, last: float) -> list[float]:
    if rule.count is not None:
        return [between(rule, first, last, i / max(1, rule.count - 1)) for i in range(rule.count)]
    if rule.log:
        factor = rule.factor or 2.0
        steps = floor(log(last / first) / log(factor) + _SLACK)
        return [first * factor**i for i in range(steps + 1)]
    step = number(rule.step) if rule.step is not None else 1
    if not isinstance(step, int | float) or step <= 0:
        raise ValueError(f"step must be above zero and of the unit of the ends, not {rule.step!r}")
    return [first + i * step for i in range(floor((last - first) / step + _SLACK) + 1)]


def draw(written: Any, shares: Sequence[float]) -> list[Any]:
    """Return a value for each share in [0, 1): a place in a list, or between the ends of a range."""
    if isinstance(written, dict) and not {"step", "factor", "count"} & set(written):
        rule = Range.model_validate(written)
        first, last, dimension = ends(rule)
        return [written_as(rule, between(rule, first, last, share), dimension) for share in shares]
    values = values_of(written)
    return [values[int(share * len(values))] for share in shares]
