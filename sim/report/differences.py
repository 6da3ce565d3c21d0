"""Why one result differs from another, layer by layer: the cycles gained or lost, by cause."""

from __future__ import annotations

from dataclasses import dataclass

from sim.report.losses import REASONS
from sim.report.summary import off_chip
from sim.report.table import Column, table, wrap
from sim.result import Layer, Result
from sim.units import show_bytes

MOST = 8
"""Layers that are told one by one, those with the largest difference."""

LEAST_SHARE = 0.05
"""Share of a layer's difference below which a cause is not told."""

_WORDS = REASONS | {"compute": "computing", "lanes": "in lane operations"}


@dataclass(frozen=True)
class Difference:
    """A layer in two results: the cycles between them, and those of each cause, the largest first."""

    name: str
    before: Layer
    after: Layer
    cycles: int
    causes: tuple[tuple[str, int], ...]

    def sentence(self) -> str:
        """Return the causes in words: '1,200 cycles less waiting for weights from memory'."""
        told = [
            f"{abs(change):,} {'more' if change > 0 else 'less'} {_WORDS.get(cause, cause)}"
            for cause, change in self.causes
            if abs(change) >= LEAST_SHARE * abs(self.cycles or change)
        ]
        moved = off_chip(self.after.traffic_bytes) - off_chip(self.before.traffic_bytes)
        if moved:
            told.append(f"{show_bytes(abs(moved))} {'more' if moved > 0 else 'less'} off chip")
        return ", ".join(told[:4]) or "nothing else"


def differences(first: Result, other: Result) -> list[Difference]:
    """Return a Difference for each layer that both results have, the largest change of cycles first.

    Causes are those of the unit that does the layer's work; spans of layers overlap, so that the changes of all
    layers need not add up to the change of the whole.
    """
    before = {layer.name: layer for layer in first.layers}
    pairs = [(before[layer.name], layer) for layer in other.layers if layer.name in before]
    return sorted((_difference(a, b) for a, b in pairs), key=lambda found: -abs(found.cycles))


def _difference(before: Layer, after: Layer) -> Difference:
    names = dict.fromkeys((*before.causes, *after.causes))
    changes = {name: after.causes.get(name, 0) - before.causes.get(name, 0) for name in names}
    cycles = after.cycles - before.cycles
    changes["outside"] = cycles - sum(changes.values())
    ordered = sorted(((n, c) for n, c in changes.items() if c), key=lambda item: -abs(item[1]))
    return Difference(after.name, before, after, cycles, tuple(ordered))


def explain(first: tuple[str, Result], other: tuple[str, Result], width: int) -> str:
    """Return what differs between two named results: the layers that change most, and why."""
    (name, before), (title, after) = first, other
    found = differences(before, after)
    changed = [entry for entry in found if entry.cycles]
    lines = [f"{title} against {name}: {after.cycles - before.cycles:+,} cycles; {len(changed)} layers differ\n"]
    if changed:
        columns = [Column("layer", right=False), Column("before"), Column("after"), Column("change")]
        rows = [
            [entry.name, f"{entry.before.cycles:,}", f"{entry.after.cycles:,}", f"{entry.cycles:+,}"]
            for entry in changed[:MOST]
        ]
        lines.append(table(columns, rows, width))
        lines += [wrap(f"{entry.name}: {entry.sentence()}", width, "  ", "    ") for entry in changed[:MOST]]
    if len(changed) > MOST:
        lines.append(f"  {len(changed) - MOST} more, {sum(entry.cycles for entry in changed[MOST:]):+,} cycles\n")
    lines += _alone(before, after, name, width) + _alone(after, before, title, width)
    return "".join(lines)


def _alone(mine: Result, other: Result, title: str, width: int) -> list[str]:
    there = {layer.name for layer in other.layers}
    names = [layer.name for layer in mine.layers if layer.name not in there]
    return [wrap(f"only in {title}: {', '.join(names)}", width, "  ", "    ")] if names else []
