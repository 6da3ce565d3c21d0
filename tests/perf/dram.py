"""DRAM controllers beside the reference, their speed, and what extrapolation costs: the tables of reports/dram.md.

    python tests/perf/dram.py
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sim.dram import Controller, load
from sim.dram.extrapolate import extrapolate
from sim.dram.patterns import PATTERNS, Shape
from tests.dram_cases import CASES, COUNTS, DEVICES, run
from tests.test_dram_extrapolate import STREAMS

LONG = 300_000
"""Requests of an extrapolated stream."""

SPEED = (("seqR", 64), ("seqW", 64), ("copy", 64), ("rndR", 64), ("rndMix3", 64))


def table(*columns: str, rows: Iterator[tuple[object, ...]]) -> None:
    """Print a table in Markdown, row by row."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def reference() -> Iterator[tuple[object, ...]]:
    """Yield every reference stream: cycles there and here, and the counts that differ."""
    for name, row in CASES.items():
        cycles, controller = run(row)
        there = int(row["cycles_to_last_data"])
        differ = [count for column, count in COUNTS.items() if getattr(controller.counters, count) != int(row[column])]
        what = f"{DEVICES[row['timing']]}, {row['pattern']} {row['stride_B']} B, {row['mapping_msb_to_lsb']}"
        quiet = ", no refresh" if row["refresh"] == "none" else ""
        yield name, what + quiet, row["n_req"], f"{there:,}", f"{cycles:,}", f"{cycles / there - 1:.2%}", (
            ", ".join(differ) or "equal")


def speed() -> Iterator[tuple[object, ...]]:
    """Yield thousands of requests a CPU second by pattern, for DDR4 and the slowest device."""
    for pattern, stride in SPEED:
        found = []
        for name in ("ddr4_2400r", "lpddr5_6400", "hbm3_6400"):
            device = load(name)
            stream = PATTERNS[pattern](Shape(30_000, stride, device.capacity, device.burst))
            controller, began = Controller(device), time.process_time()
            controller.finish(controller.submit(*stream))
            found.append(f"{30 / (time.process_time() - began):,.0f}")
        yield pattern, *found


def extrapolated() -> Iterator[tuple[object, ...]]:
    """Yield the error and the stated bound of extrapolated streams, and how much sooner they are there."""
    for name, pattern, stride, overrides in STREAMS:
        device = load(name, overrides)
        stream = PATTERNS[pattern](Shape(LONG, stride, device.capacity, device.burst))
        short, full, began = Controller(device), Controller(device), time.process_time()
        beyond = extrapolate(short, short.submit(*stream))
        middle = time.process_time()
        cycles = full.finish(full.submit(*stream))
        ratio = (time.process_time() - middle) / (middle - began)
        settings = ", ".join(map(str, overrides.values()))
        what = f"{name}, {pattern} {stride} B" + (f", {settings}" if settings else "")
        if beyond is not None:
            yield what, f"{beyond.after:,}", f"{beyond.cycles / cycles - 1:+.3%}", f"{beyond.bound:.3%}", f"{ratio:.1f}"


if __name__ == "__main__":
    table("case", "stream", "requests", "Ramulator 2.1", "here", "error", "counts", rows=reference())
    table("pattern", "ddr4_2400r", "lpddr5_6400", "hbm3_6400", rows=speed())
    table("stream", "simulated", "error", "stated bound", "times faster", rows=extrapolated())
