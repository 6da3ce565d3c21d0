"""The register-level reference: a grid of PEs, cycle by cycle, that really multiplies.

It is the living definition of what an array does: the oracle of the closed forms in `dataflows`, which the
engine uses, and the source of animations. Nothing in it knows a formula for a cycle count; what happens when
follows from registers, from marks that travel with the operands, and from counters in the controllers.

Reading order: `registers` (what the hardware is made of), `grid` (memories, exit, clock), `stationary` (`ws`
and `is`), `output` and `drains` (`os`), `run` (folds and matrix products), `records` (what
comes out). `row_stationary` (`rs`: PE sets, their buses and passes) and its `pass_records`
stand alone.
"""

from sim.reference.pass_records import PassBlock, PassRun, PassSnapshot
from sim.reference.records import Fold, FoldEdges, Product, Run, Snapshot
from sim.reference.row_stationary import run_passes
from sim.reference.run import gemm, simulate

__all__ = [
    "Fold", "FoldEdges", "PassBlock", "PassRun", "PassSnapshot", "Product", "Run", "Snapshot", "gemm", "run_passes",
    "simulate",
]  # fmt: skip
