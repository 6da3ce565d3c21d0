"""Weights in slower memories behind the off-chip one, and what memory caches of them.

Reading order: `uses` (which layer reads which blocks of weights), `cache` (what stays, and who makes room),
`schedule` (what is fetched when: data without time), `fetching` (the front end's part of it).
"""

from sim.tiers.fetching import Fetching
from sim.tiers.schedule import Schedule, schedule

__all__ = ["Fetching", "Schedule", "schedule"]
