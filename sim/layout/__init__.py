"""Where tensors lie in off-chip memory, and which bursts a transfer touches. No time in it."""

from sim.layout.boxes import Region, regions
from sim.layout.placement import Geometry, Placement
from sim.layout.streams import bursts, segments

__all__ = ["Geometry", "Placement", "Region", "bursts", "regions", "segments"]
