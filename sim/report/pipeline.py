"""A streaming fabric's run as text: blocks used, how often an image comes out, and what holds each part up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.report.table import pairs
from sim.result import Result
from sim.units import show_si

SHOWN = 4
"""Parts told one by one; of more, the slowest."""


def pipeline(result: Result, width: int) -> str:
    """Return the section on the fabric; nothing for a chip of arrays and lanes."""
    if not result.fabric:
        return ""
    parts = result.fabric["parts"]
    lines = [("pattern", _pattern(result, len(parts)))]
    told = parts if len(parts) <= SHOWN else sorted(parts, key=lambda part: -part["cycles"])[:SHOWN]
    for part in told:
        lines += _part(part, result)
    stalled = sorted(result.channels.items(), key=lambda item: -item[1]["full_cycles"])[:3]
    for name, channel in stalled:
        if channel["full_cycles"]:
            text = f"{name} is full for {channel['full_cycles']:,} cycles: {channel['consumer']} is slower"
            lines.append(("backpressure", text))
    return "Pipeline:\n" + pairs(lines, width, "  ")


def _pattern(result: Result, count: int) -> str:
    name, images = result.fabric["pattern"], result.fabric["images"]
    text = f"{name}: {count} parts, one after the other" if count > 1 else f"{name}: all at once"
    return f"{text}; {images} image{'s' if images > 1 else ''}"


def _part(part: Mapping[str, Any], result: Result) -> list[tuple[str, str]]:
    first, last = part["layers"][0], part["layers"][-1]
    names = first if first == last else f"{first} to {last}"
    slow = part["bottleneck"]
    near = ", ".join(f"{n['layer']} {n['interval']:,}" for n in part["neighbours"])
    rate = result.clock_hz / part["interval"]
    used = ", ".join(
        f"{part['used'][block]:,} {block}" + (f" of {budget:,}" if budget is not None else "")
        for block, budget in result.fabric["budget"].items()
        if budget or (budget is None and block == "bram18")
    )
    return [
        ("part", f"{names}: {part['cycles']:,} cycles; at best an image each {part['interval']:,} cycles "
                 f"({show_si(rate, 'images/s')})"),
        ("blocks", used),
        ("bottleneck", f"{slow['layer']}: {slow['interval']:,} cycles an image{_width(slow)}"
                       + (f"; beside it {near}" if near else "")),
    ]  # fmt: skip


def _width(slow: Mapping[str, Any]) -> str:
    return f" with PE {slow['pe']}, SIMD {slow['simd']}" if slow["pe"] else ", a word each"
