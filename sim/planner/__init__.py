"""Kernel + chip + mapping to plan: the tile loops of a contraction, the chunks of vector work."""

from sim.planner.contraction import ALONE, Surroundings, Works, plan_contraction
from sim.planner.passes import plan_passes
from sim.planner.tiles import fold_count, tile_work
from sim.planner.vector import chunk_counts, input_bytes, plan_vector, process

__all__ = [
    "ALONE", "Surroundings", "Works", "chunk_counts", "fold_count", "input_bytes", "plan_contraction", "plan_passes",
    "plan_vector", "process", "tile_work",
]  # fmt: skip
