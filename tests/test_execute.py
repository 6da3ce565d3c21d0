"""Plans carried out on numbers: every mapping computes the same product, and no broken plan gets through."""

from __future__ import annotations

import numpy as np

from sim.execute import execute, fold_blocks
from tests.laws import cases, law, product


@law(cases(), quick=300, full=5000)
def test_every_mapping_on_every_chip_computes_the_product(case):
    arch, plan = case
    inputs, right, expected = product(plan.kernel)
    assert np.array_equal(execute(plan, inputs, right, arch), expected)
