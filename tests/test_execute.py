"""Plans carried out on numbers: every mapping computes the same product, and no broken plan gets through."""

from __future__ import annotations

import numpy as np

from sim.execute import execute
from sim.reference import simulate
from tests.laws import blocks_of, cases, law, product, register_fold


@law(cases(), quick=300, full=5000)
def test_every_mapping_on_every_chip_computes_the_product(case):
    arch, plan = case
    inputs, right, expected = product(plan.kernel)
    assert np.array_equal(execute(plan, inputs, right, arch), expected)


@law(cases(bounded=False, knobs=True, count=1), quick=40, full=1000)
def test_the_folds_of_every_mapping_sent_through_the_registers_make_the_product(case):
    arch, plan = case
    array = arch.array.model_copy(update={"convention": "rtl"})
    inputs, right, expected = product(plan.kernel)
    reads = plan.kernel.gather(slice(0, plan.kernel.m), slice(0, plan.kernel.k))
    sums = np.zeros_like(expected)
    for block in blocks_of(plan, arch):
        reads_here = reads[np.ix_(block.m, block.k)]
        for g in block.groups:
            left = np.where(reads_here < 0, 0, inputs[g].ravel()[reads_here])
            fold = register_fold(arch, left, right[g][np.ix_(block.k, block.n)])
            (values,) = simulate(array, [fold]).outputs
            sums[np.ix_([g], block.m, block.n)] += values.T if array.dataflow == "is" else values
    assert np.array_equal(sums, expected)
