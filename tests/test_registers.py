"""Register writes beside those of products: the closed form equals what the register-level grid really writes."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import sim
from sim import energy
from sim.arch import load
from sim.kernel import Contraction
from sim.mapping import Mapping, Tiling
from sim.mapping import words as words_of
from sim.planner import plan_contraction
from sim.reference.grid import GRIDS
from sim.registers import shifted
from sim.totals import totals
from tests.laws import arches, blocks_of, cases, chip, contractions, law, mappings, register_fold


def written(array, fold, rate):
    """Return how often each register of a grid takes a word of the one fold that it runs, by the grid's names.

    Words are large, random and never zero, so that a register that takes one changes; unused PEs hold zeros. Of
    `rate` elements along k that stand in one register, perhaps not all used, all are written.
    """
    grid = GRIDS[array.dataflow](array, [fold], np.dtype(np.int64), rate)
    found, before = dict.fromkeys(("weights", "sums", "drain"), 0), {}
    for edge in range(10_000):
        grid.step(edge)
        now = {"sums": grid.sums.copy()}
        if array.dataflow == "os":
            now["drain"] = grid.drain.registers.value.copy()
            if array.drain == "stream":
                now["held"] = grid.drain.held.copy()
        else:
            now["weights"] = grid.weights.value.copy()
            if array.weight_buffers == 2:
                now["shadow"] = grid.shadow.value.copy()
        for name, values in now.items():
            key = {"held": "sums", "shadow": "weights"}.get(name, name)
            changed = (values != before.get(name, 0)) & (values != 0)
            found[key] += np.count_nonzero(changed.any(axis=2) if values.ndim > 2 else changed) * values[0, 0].size
        before = now
        if grid.finished:
            return found
    raise AssertionError("the fold does not end")


def fold_of(arch, block, random):
    """Return the fold of a block with random words; packed groups stand block-diagonally, as they lie on the array."""
    groups, sizes = len(block.groups), (block.m.size, block.k.size, block.n.size)
    left, right = (random.integers(1 << 10, 1 << 20, (groups, *shape)) for shape in (sizes[:2], sizes[1:]))
    rest = -sizes[1] % arch.mac_rate if groups > 1 else 0  # packed groups share no register
    left, right = np.pad(left, ((0, 0), (0, 0), (0, rest))), np.pad(right, ((0, 0), (0, rest), (0, 0)))
    if arch.array.dataflow == "os":  # every product of rows and columns is summed, those of a group are useful
        return register_fold(arch, np.concatenate(list(left)), np.concatenate(list(right), axis=1))
    resident = list(left.transpose(0, 2, 1)) if arch.array.dataflow == "is" else list(right)
    flowing = list(right.transpose(0, 2, 1)) if arch.array.dataflow == "is" else list(left)
    (rows, cols), count = resident[0].shape, len(resident)
    diagonal = np.zeros((rows * count, cols * count), np.int64)
    for index, part in enumerate(resident):
        diagonal[index * rows :, index * cols :][:rows, :cols] = part
    stream = np.concatenate(flowing, axis=1)
    return register_fold(arch, *((diagonal.T, stream.T) if arch.array.dataflow == "is" else (stream, diagonal)))


def by_grid(arch, plan):
    """Return the words written in all folds of the plan, products' sums taken out, by operand."""
    random, stationary = np.random.default_rng(1), {"ws": "weight", "is": "input"}.get(arch.array.dataflow)
    found = {"output": 0} | ({stationary: 0} if stationary else {})
    for block in blocks_of(plan, arch):
        groups, products = len(block.groups), len(block.groups) * block.m.size * block.n.size * block.k.size
        taken = written(arch.array, fold_of(arch, block, random), arch.mac_rate)
        products = products // block.k.size * words_of(block.k.size, arch.mac_rate)  # sums that PEs write for them
        if stationary:
            found[stationary] += taken["weights"]
            found["output"] += taken["sums"] - products
        else:
            found["output"] += (taken["sums"] + taken["drain"]) // groups - products
    return found


@st.composite
def folds(draw):
    """A chip with any knobs, of one or several arrays, and the plan of a product or a convolution in few folds."""
    arch = draw(arches(bounded=False, knobs=True))
    streams = arch.array.dataflow == "os" and draw(st.booleans())
    array = arch.array.model_copy(update={"convention": "rtl", **({"drain": "stream"} if streams else {})})
    arch = arch.model_copy(update={"units": {**arch.units, "array": array}})
    kernel = draw(contractions())
    assume(kernel.macs <= 4000)
    plan = plan_contraction(Tiling(kernel, draw(mappings(kernel, arch))), arch, "array")
    assume(totals(plan).folds * array.count <= 60)
    return arch, plan


@law(folds(), quick=40, full=400)
def test_words_shifted_in_and_out_are_those_of_the_register_level_grid(case):
    arch, plan = case
    assert shifted(plan, arch) == by_grid(arch, plan)


@law(cases(), quick=20, full=300)
def test_every_result_leaves_and_every_stationary_word_enters(case):
    """Each fold takes its stationary words in at least once, and an output-stationary sum out at least once."""
    arch, plan = case
    found, total = shifted(plan, arch), totals(plan)
    if arch.array.dataflow == "os":
        assert found["output"] >= total.writes["output"]
    else:
        operand = {"ws": "weight", "is": "input"}[arch.array.dataflow]
        assert found[operand] >= total.reads[operand] * arch.array.weight_buffers


def words(size, **array):
    kernel = Contraction("c", size, size, size)
    arch = chip(**array)
    return shifted(plan_contraction(Tiling(kernel, Mapping(size, size, size)), arch, "array"), arch)


def test_a_full_fold_and_half_a_fold_by_hand():
    """4 x 4 PEs: words for rows 0 to 3 take 1 + 2 + 3 + 4 registers; from a used 2 x 2 sums fall two rows more."""
    assert words(4) == {"weight": 4 * 10, "output": 0}
    assert words(4, weight_buffers=2) == {"weight": 4 * 10 + 16, "output": 0}
    assert words(2) == {"weight": 2 * 3, "output": 2 * 2 * 2}
    assert words(4, dataflow="os") == {"output": 4 * 10}
    assert words(2, dataflow="os") == {"output": 2 * (4 + 3)}
    assert words(4, dataflow="os", drain="stream") == {"output": 4 * 10}
    assert words(2, dataflow="os", drain="stream") == {"output": 2 * (5 + 4)}, "steps of zeros before the hand-over"


def test_registers_in_the_account_are_those_of_products_and_those_on_the_way():
    """int8 operands and int32 sums: a product moves one operand and a sum; 10 words a column are shifted in."""
    result = sim.run("array", "gemm:7x4x4", {"array.rows": 4, "array.cols": 4})
    table = energy.load(load("array").technology)
    bits = 7 * 4 * 4 * (8 + 32) + 4 * 10 * 8
    assert np.isclose(result.energy_pj["by_action"]["array.register"], bits * table.register(1).pj)
