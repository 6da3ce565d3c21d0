"""Plans carried out on numbers: every mapping computes the same product, and no broken plan gets through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.errors import MappingError
from sim.execute import execute
from sim.kernel import Contraction
from sim.mapping import Mapping, Tiling
from sim.plan import Claim, Compute, Free, Load, Loop, Store
from sim.planner import plan_contraction
from sim.reference import simulate
from tests.laws import blocks_of, cases, chip, law, product, register_fold


@law(cases(), quick=200, full=5000)
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
            (values,) = simulate(array, [fold], rate=arch.mac_rate).outputs
            sums[np.ix_([g], block.m, block.n)] += values.T if array.dataflow == "is" else values
    assert np.array_equal(sums, expected)


KERNEL = Contraction("fc", 4, 4, 4)
MAPPING = Mapping(2, 4, 2, order=("m", "n", "k"), hold=(("weight", 3), ("input", 3), ("output", 2)))


def broken(change, mapping=MAPPING, capacity="1 KiB"):
    """Return what is told of the plan of a 4 x 4 x 4 product in which `change` maps each step to its steps."""

    def edit(nodes):
        for node in nodes:
            if isinstance(node, Loop):
                yield replace(node, body=tuple(edit(node.body)))
            else:
                yield from change(node)

    arch = chip(capacity)
    plan = plan_contraction(Tiling(KERNEL, mapping), arch, "array")
    inputs, right, _ = product(KERNEL)
    with pytest.raises(MappingError) as error:
        execute(replace(plan, body=tuple(edit(plan.body))), inputs, right, arch)
    return str(error.value)


def instead(kind, operand, *new):
    """Return the change that puts `new` (functions of the step) in the place of the steps of one kind."""

    def change(step):
        if isinstance(step, kind) and getattr(step, "operand", operand) == operand:
            return [make(step) for make in new]
        return [step]

    return change


def same(step):
    return step


def test_freeing_too_early_is_told():
    assert broken(instead(Load, "input", same, lambda s: Free("input"))) == (
        "fc at g 0, m 0, n 0, k 0: needs a tile of input, but none is on chip"
    )


def test_freeing_twice_is_told():
    assert broken(instead(Free, "weight", same, same)) == (
        "fc at g 0, m 0, n 0, k 0: needs a tile of weight, but none is on chip"
    )


def test_a_load_that_brings_too_little_is_told():
    half = instead(Load, "weight", lambda s: replace(s, bytes=4, extent=(1, 2, 2, 2)))
    assert broken(half) == "fc at g 0, m 0, n 0, k 0: reads 4 elements of weight that are not on chip"
    rows = instead(Load, "input", lambda s: replace(s, bytes=2, extent=(1, 1, 4, 2)))
    assert broken(rows) == "fc at g 0, m 0, n 0, k 0: reads 2 elements of input that are not on chip"


def test_a_transfer_that_pays_for_other_bytes_than_it_moves_is_told():
    assert broken(instead(Load, "input", lambda s: replace(s, bytes=3))) == (
        "fc at g 0, m 0, n 0, k 0: a load of input moves 3 bytes, its elements have 4"
    )
    assert broken(instead(Store, "output", lambda s: replace(s, bytes=9))) == (
        "fc at g 0, m 0, n 0, k 0: a store of output moves 9 bytes, its elements have 8"
    )


def test_storing_before_the_sums_are_complete_is_told():
    early = instead(Compute, "", same, lambda s: Store(8, (1, 2, 4, 4)))
    assert broken(early) == "fc at g 0, m 0, n 0, k 0: stores 8 outputs before they are complete"


def test_storing_twice_is_told():
    assert broken(instead(Store, "output", same, same)) == "fc at g 0, m 0, n 0, k 0: stores 8 outputs twice"


def test_storing_what_is_not_on_chip_is_told():
    assert broken(instead(Claim, "output", same, lambda s: Store(8, (1, 2, 4, 4)))) == (
        "fc at g 0, m 0, n 0, k 0: stores 8 outputs that are not on chip"
    )


def test_outputs_that_are_never_stored_are_told():
    first = instead(Store, "output", lambda s: replace(s, bytes=4, extent=(1, 1, 4, 4)))
    assert broken(first) == "fc: ends with 8 of 16 outputs missing"


def test_sums_that_are_not_there_or_there_already_are_told():
    assert broken(instead(Compute, "", lambda s: replace(s, first=False))) == (
        "fc at g 0, m 0, n 0, k 0: adds to 8 sums that are not on chip"
    )
    assert broken(instead(Compute, "", lambda s: replace(s, first=True))) == (
        "fc at g 0, m 0, n 0, k 2: starts 8 sums that are on chip already"
    )


def test_a_claim_that_is_too_small_for_its_sums_is_told():
    assert broken(instead(Claim, "output", lambda s: replace(s, bytes=31))) == (
        "fc at g 0, m 0, n 0, k 0: a tile of output claims 31 bytes and holds 32"
    )


def test_reading_back_sums_that_were_never_spilled_is_told():
    spilling = replace(MAPPING, hold=(("weight", 3), ("input", 3), ("output", 3)))
    assert broken(lambda s: [] if isinstance(s, Store) and s.partial else [s], spilling) == (
        "fc at g 0, m 0, n 0, k 2: loads 8 partial sums that were never stored"
    )


def test_more_tiles_than_slots_are_told():
    assert broken(instead(Load, "weight", same, same, same)) == (
        "fc: all 2 slots of weight are in use; free one first"
    )


def test_more_bytes_than_the_buffer_holds_are_told():
    assert broken(instead(Claim, "output", same), capacity="40 B") == (
        "fc: a tile of input beside the tiles there does not fit in buffer 'sram': needs 44 bytes, 40 are available; "
        "use smaller tiles"
    )


def test_packed_groups_that_do_not_fit_on_the_array_are_told():
    arch, kernel = chip(), Contraction("dw", 4, 4, 4, 2)
    plan = plan_contraction(Tiling(kernel, Mapping(4, 4, 4, g=2, packed=2)), arch, "array")
    inputs, right, _ = product(kernel)
    with pytest.raises(MappingError) as error:
        execute(plan, inputs, right, arch)
    assert str(error.value) == "dw: 2 packed groups of 4 k need 8 PEs on a side of 4"
