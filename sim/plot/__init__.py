"""Pictures of results. Every function takes an axis, or makes a figure, and returns the figure; none shows it."""

from sim.plot.array import array
from sim.plot.bandwidth import bandwidth
from sim.plot.banks import banks
from sim.plot.commands import commands
from sim.plot.fifos import fifos
from sim.plot.gantt import gantt
from sim.plot.layers import cycles, efficiency, energy, traffic, waterline
from sim.plot.pareto import pareto
from sim.plot.roofline import roofline
from sim.plot.time import heatmap, occupancy, power

__all__ = [
    "array", "bandwidth", "banks", "commands", "cycles", "efficiency", "energy", "fifos", "gantt", "heatmap",
    "occupancy", "pareto", "power", "roofline", "traffic", "waterline",
]  # fmt: skip
