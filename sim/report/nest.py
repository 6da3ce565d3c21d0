"""The loop nest of a layer as text."""

from __future__ import annotations

from sim.nest import head, nest, reuse
from sim.report.table import Column, table, wrap
from sim.result import Layer

WIDTH = 2
"""Spaces by which a loop stands within the one around it."""

REUSE = (Column("memory", right=False), Column("operand", right=False), Column("bytes"), Column("MACs a byte"))


def nest_text(layer: Layer, width: int = 120) -> str:
    """Return the nest of a layer and its reuse as text; `||` marks loops whose turns happen at once."""
    if not nest(layer):
        return f"{layer.name}: {layer.op} on {layer.unit}, without loops over tiles of a product\n"
    rows = [(m, operand, f"{moved:,}", f"{macs:,.1f}") for m, operand, moved, macs in reuse(layer)]
    moved = "\n" + table(REUSE, rows, width) if rows else ""
    key = "  || turns happen at once, side by side\n"
    return f"{layer.name}: {loops_text(layer, width)}{key}{moved}"


def loops_text(layer: Layer, width: int) -> str:
    """Return what the nest of a layer computes, and its loops, without the layer's name."""
    lines = nest(layer)
    shown = [f"{' ' * (WIDTH * line.depth)}{'|| ' if line.spatial else ''}{line.words}" for line in lines]
    size = min(max(map(len, shown)), width * 2 // 3)
    told = [
        wrap(line.stays, width, f"  {text:{size}}  ", " " * (size + 6)) if line.stays else f"  {text}\n"
        for text, line in zip(shown, lines, strict=True)
    ]
    return f"{wrap(head(layer), width)}{''.join(told)}"
