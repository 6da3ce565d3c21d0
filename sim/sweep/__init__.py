"""Sweeps: many designs from one file, simulated anywhere, stored so that nothing is lost, read as a front.

Reading order: `schema` (the file), `keys`, `axes`, `space`, `conditions` (from the file to points), `evaluate`
(one point), `executors`, `store`, `run` (all points), `figures`, `front`, `report` (what was found).
"""

from sim.sweep.report import Report, Row
from sim.sweep.run import Progress, Sweep, run_sweep
from sim.sweep.search import search

__all__ = ["Progress", "Report", "Row", "Sweep", "run_sweep", "search"]
