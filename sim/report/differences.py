"""Why one result differs from another, layer by layer: the cycles gained or lost, by cause.

Chips of different clocks are compared in seconds, as a cycle of one is none of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.report.losses import REASONS
from sim.report.summary import off_chip
from sim.report.table import Column, table, wrap
from sim.result import Layer, Result
from sim.units import show_bytes, show_si

MOST = 8
"""Layers that are told one by one, those with the largest difference."""

LEAST_SHARE = 0.05
"""Share of a layer's difference below which a cause is not told."""

Written = Callable[[float], str]
"""How cycles of the second result's clock are written, without their sign."""

_WORDS = REASONS | {"compute": "computing", "lanes": "in lane operations"}


@dataclass(frozen=True)
class Difference:
    """A layer in two results: the cycles between them, and those of each cause, the largest first.

    They are cycles of the second result's clock; whole ones where both clocks are the same.
    """

    name: str
    before: Layer
    after: Layer
    cycles: float
    causes: tuple[tuple[str, float], ...]

    def sentence(self, written: Written = "{:,}".format) -> str:
        """Return the causes in words: '1,200 cycles less waiting for weights from memory'."""
        told = [
            f"{written(abs(change))} {'more' if change > 0 else 'less'} {_WORDS.get(cause, cause)}"
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
    rate = 1 if first.clock_hz == other.clock_hz else other.clock_hz / first.clock_hz
    before = {layer.name: layer for layer in first.layers}
    pairs = [(before[layer.name], layer) for layer in other.layers if layer.name in before]
    return sorted((_difference(a, b, rate) for a, b in pairs), key=lambda found: -abs(found.cycles))


def _difference(before: Layer, after: Layer, rate: float) -> Difference:
    names = dict.fromkeys((*before.causes, *after.causes))
    changes = {name: after.causes.get(name, 0) - before.causes.get(name, 0) * rate for name in names}
    cycles = after.cycles - before.cycles * rate
    changes["outside"] = cycles - sum(changes.values())
    ordered = sorted(((n, c) for n, c in changes.items() if c), key=lambda item: -abs(item[1]))
    return Difference(after.name, before, after, cycles, tuple(ordered))


def explain(first: tuple[str, Result], other: tuple[str, Result], width: int) -> str:
    """Return what differs between two named results: the layers that change most, and why."""
    (name, before), (title, after) = first, other
    found = differences(before, after)
    changed = [entry for entry in found if entry.cycles]
    head, cells, written = _in_cycles(before, after) if before.clock_hz == after.clock_hz else _in_time(before, after)
    layers = f"{len(changed)} {'layer differs' if len(changed) == 1 else 'layers differ'}"
    lines = [f"{title} against {name}: {head}; {layers}\n"]
    if changed:
        columns = [Column("layer", right=False), Column("before"), Column("after"), Column("change")]
        lines.append(table(columns, [[entry.name, *cells(entry)] for entry in changed[:MOST]], width))
        lines += [wrap(f"{entry.name}: {entry.sentence(written)}", width, "  ", "    ") for entry in changed[:MOST]]
    if len(changed) > MOST:
        rest = sum((entry.cycles for entry in changed[MOST:]), 0)
        unit = " cycles" if before.clock_hz == after.clock_hz else ""
        lines.append(f"  {len(changed) - MOST} more, {_signed(rest, written)}{unit}\n")
    lines += _alone(before, after, name, width) + _alone(after, before, title, width)
    return "".join(lines)


def _signed(amount: float, written: Written) -> str:
    return f"{'-' if amount < 0 else '+'}{written(abs(amount))}"


def _in_cycles(before: Result, after: Result) -> tuple[str, Callable[[Difference], list[str]], Written]:
    """Return what is said of the whole, of a layer, and how amounts are written, where both have one clock."""

    def cells(entry: Difference) -> list[str]:
        return [f"{entry.before.cycles:,}", f"{entry.after.cycles:,}", f"{entry.cycles:+,}"]

    return f"{after.cycles - before.cycles:+,} cycles", cells, "{:,}".format


def _in_time(before: Result, after: Result) -> tuple[str, Callable[[Difference], list[str]], Written]:
    """Return the same where clocks differ, in seconds."""

    def written(cycles: float) -> str:
        return show_si(cycles / after.clock_hz, "s")

    def cells(entry: Difference) -> list[str]:
        each = ((entry.before, before), (entry.after, after))
        times = [show_si(layer.cycles / result.clock_hz, "s") for layer, result in each]
        return [*times, _signed(entry.cycles, written)]

    change = (after.seconds - before.seconds) * after.clock_hz
    clocks = f"clocks of {show_si(after.clock_hz, 'Hz')} against {show_si(before.clock_hz, 'Hz')}"
    return f"{_signed(change, written)} ({clocks}: times are compared, not cycles)", cells, written


def _alone(mine: Result, other: Result, title: str, width: int) -> list[str]:
    there = {layer.name for layer in other.layers}
    names = [layer.name for layer in mine.layers if layer.name not in there]
    return [wrap(f"only in {title}: {', '.join(names)}", width, "  ", "    ")] if names else []
