"""Two published questions asked again: `python tests/perf/studies.py` prints tables of `reports/sweeps.md`.

The sweeps `e2gc` and `draco` of the library, every design simulated, as `tiletick sweep` does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.sweep import run_sweep

SPATIAL = {3: "3x3", 1: "1x1"}
ALL = 1024
"""Channels a group that stand for no groups at all."""


def simulated(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return settings and figures of every design of a sweep of the library."""
    with tempfile.TemporaryDirectory() as folder:
        report = run_sweep(name, out=Path(folder) / f"{name}.sweep", jobs=1)
        return [(dict(row.settings), dict(row.figures or {})) for row in report.done]


def percent(share: float) -> str:
    """Write a share."""
    return f"{100 * share:.1f} %"


def row(cells: Sequence[Any]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table."""
    return "\n".join([row(heads), f"|{'---|' * len(heads)}", *map(row, rows), ""])


def e2gc() -> str:
    """Return energy and cycles by channels a group, groups packed and one by one."""
    found = {(s["mapping.groups"], s["channels_per_group"]): figures for s, figures in simulated("e2gc")}
    heads = ["channels a group", "MACs, M", "cycles, groups packed", "cycles, one by one", "energy, uJ (packed)",
             "PE utilization (packed)"]  # fmt: skip
    rows = []
    for size in sorted({size for _, size in found}):
        packed, serial = found["packed", size], found["serial", size]
        cycles, energy = [f"{each['cycles']:,}" for each in (packed, serial)], f"{packed['energy_pj'] * 1e-6:,.1f}"
        rows.append([size, f"{packed['macs'] / 1e6:,.1f}", *cycles, energy, percent(packed["utilization"])])
    return table(heads, rows)


def draco() -> str:
    """Return utilization and latency of what stands in place of depthwise layers."""
    rows, beside = [], {}
    for settings, figures in simulated("draco"):
        if settings["widen"] == 1:
            beside[settings["spatial"], settings["channels_per_group"]] = figures
    for (spatial, size), figures in sorted(beside.items(), key=lambda entry: (-entry[0][0], entry[0][1])):
        named = "all" if size == ALL else "1 (MobileNet v1)" if (spatial, size) == (3, 1) else size
        macs, latency = f"{figures['macs'] / 1e6:,.1f}", f"{figures['seconds'] * 1e6:,.0f}"
        rows.append([SPATIAL[spatial], named, macs, percent(figures["utilization"]), latency])
    heads = ["kernel", "channels a group", "MACs, M", "PE utilization", "latency, us"]
    return "\n".join([table(heads, rows), published(beside)])


def published(beside: dict[tuple[int, int], dict[str, Any]]) -> str:
    """Return what the paper's abstract states beside each design here of less than twice the products."""
    plain = beside[3, 1]
    said = "DRACO states"
    heads = ["in place of depthwise 3x3, 64x64 PEs", "latency saved", said, "more PE utilization", said]
    rows = []
    for (spatial, size), figures in sorted(beside.items(), key=lambda entry: (-entry[0][0], entry[0][1])):
        if (spatial, size) != (3, 1) and figures["macs"] < 2 * plain["macs"]:
            faster, denser = (figures[key] / plain[key] for key in ("seconds", "utilization"))
            name = f"{SPATIAL[spatial]}, {'all' if size == ALL else size} a group"
            rows.append([name, percent(1 - faster), "42.6 %", percent(denser - 1), "41.8 %"])
    return table(heads, rows)


if __name__ == "__main__":
    print(e2gc())
    print(draco())
