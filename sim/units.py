"""Quantities with units, to base units (byte, hertz, byte/s, second, picojoule) and back, exactly."""

from __future__ import annotations

import re
from fractions import Fraction

from sim.errors import nearest

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SMALL = {"": Fraction(1), **{p: Fraction(1, 10 ** (3 * (i + 1))) for i, p in enumerate("munpf")}}

UNITS: dict[str, dict[str, Fraction]] = {
    "size": {f"{p}B": Fraction(f) for p, f in (_DECIMAL | _BINARY).items()} | {"KB": Fraction(1000)},
    "frequency": {f"{p}Hz": Fraction(f) for p, f in _DECIMAL.items()},
    "bandwidth": {f"{p}B/s": Fraction(f) for p, f in (_DECIMAL | _BINARY).items()},
    "rate": {"B/cycle": Fraction(1), "KiB/cycle": Fraction(1024)},
    "time": {f"{p}s": f for p, f in _SMALL.items()},
    "energy": {f"{p}J": f * 10**12 for p, f in _SMALL.items()},
    "power": {f"{p}W": f for p, f in _SMALL.items()},
    "area": {"mm2": Fraction(1), "um2": Fraction(1, 10**6)},
    "voltage": {"V": Fraction(1), "mV": Fraction(1, 1000)},
    "length": {"nm": Fraction(1), "um": Fraction(1000)},
}
"""Base unit of each dimension: byte, hertz, byte/s, byte/cycle, second, picojoule, watt, mm2, volt, nm."""

EXAMPLES = {
    "size": "64 KiB", "frequency": "1 GHz", "bandwidth": "25.6 GB/s", "rate": "64 B/cycle", "time": "100 ns",
    "energy": "0.9 pJ", "power": "5 mW", "area": "0.02 mm2", "voltage": "0.9 V", "length": "45 nm",
}  # fmt: skip

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*")


def parse(dimension: str, text: object) -> Fraction:
    """Return `text` ("64 KiB") in the base unit of `dimension`; ValueError says what is wrong with it."""
    table, example = UNITS[dimension], EXAMPLES[dimension]
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"{dimension} {text} needs a unit, as in '{example}'")
    if text is None:
        raise ValueError(f"{dimension} is empty; write a number and a unit, as in '{example}'")
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"'{text}' is not a {dimension}; write a number and a unit, as in '{example}'")
    number, unit = match.groups()
    if unit is None:
        raise ValueError(f"{dimension} {number} needs a unit, as in '{example}'")
    if unit not in table:
        guess = nearest(unit, table)
        hint = f"; did you mean '{guess}'?" if guess else ";"
        raise ValueError(f"'{unit}' is not a unit of {dimension}{hint} choose from: {', '.join(table)}")
    return Fraction(number) * table[unit]


def parse_whole(dimension: str, text: object) -> int:
    """Return `text` as a whole number of base units; ValueError where it is not whole."""
    value = parse(dimension, text)
    if value.denominator != 1:
        raise ValueError(f"{dimension} '{text}' is not a whole number of base units")
    return int(value)


def show_bytes(count: float) -> str:
    """Write a byte count with a binary prefix: 65536 is '64 KiB'."""
    for prefix, factor in reversed(_BINARY.items()):
        if abs(count) >= factor:
            return f"{count / factor:.4g} {prefix}B"
    return f"{count:.4g} B"


def show_si(value: float, unit: str) -> str:
    """Write a value with a decimal prefix: 1.2e9, 'Hz' is '1.2 GHz'."""
    for prefix, factor in reversed(_DECIMAL.items()):
        if abs(value) >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    for prefix, small in _SMALL.items():
        if abs(value) >= small:
            return f"{value / float(small):.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}"
