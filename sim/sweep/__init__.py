"""Sweeps: many designs from one file, simulated anywhere, stored so that nothing is lost, read as a front.

Reading order: `schema` (the file), `axes`, `formula`, `dimensions`, `keys`, `space`, `conditions` (from the file to
points), `evaluate` (one point), `executors`, `store`, `run` (all points), `figures`, `front`, `report` (what was
found).
"""

from sim.sweep.latency import latency_table
from sim.sweep.report import Report, Row
from sim.sweep.run import Progress, Sweep, run_sweep
from sim.sweep.search import search
from sim.sweep.trust import correlate

__all__ = [
    "Progress", "Report", "Row", "Sweep", "correlate", "latency_table", "run_sweep", "search",
]  # fmt: skip
