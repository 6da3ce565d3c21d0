"""Laws of plans: work conserved, every output stored once, traffic between what is touched and what a machine
without any reuse would move, folds and on-chip accesses equal to the geometry carried out."""

from __future__ import annotations

from collections import Counter
from math import prod

from sim.dataflow import DATAFLOWS
from sim.execute import fold_blocks
from sim.mapping import RELEVANT
from sim.plan import Compute, totals
from tests.laws import cases, law, walk


def run(plan):
    return walk(plan.body)


@law(cases(), quick=100, full=3000)
def test_macs_are_conserved(case):
    _, plan = case
    assert totals(plan).macs == plan.kernel.macs


@law(cases(), quick=100, full=3000)
def test_folds_are_those_that_the_geometry_of_the_array_takes(case):
    arch, plan = case
    flow = DATAFLOWS[arch.array.dataflow]
    for step, at in run(plan):
        if isinstance(step, Compute):
            blocks = list(fold_blocks(plan, arch, step.extent, at))
            assert max(Counter(block.array for block in blocks).values()) == step.work.folds
            assert max(block.along(flow.stream).size for block in blocks) == step.work.stream
            used = sum(len(b.groups) * b.along(flow.row).size * b.along(flow.col).size for b in blocks)
            assert used == step.work.used
            assert step.work.used <= step.work.slots


@law(cases(count=1), quick=100, full=3000)
def test_on_chip_accesses_are_those_of_the_folds(case):
    arch, plan = case
    for step, at in run(plan):
        if isinstance(step, Compute):
            blocks = list(fold_blocks(plan, arch, step.extent, at))
            moved = {
                operand: sum(len(b.groups) * prod(b.along(d).size for d in dims) for b in blocks)
                for operand, dims in RELEVANT.items()
            }
            begun = prod(step.extent[:3]) if step.first else 0
            assert dict(step.work.reads) == moved | {"output": moved["output"] - begun}
            assert dict(step.work.writes) == {"output": moved["output"]}
