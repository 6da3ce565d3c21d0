"""Laws of plans: work conserved, every output stored once, traffic between what is touched and what a machine
without any reuse would move, folds and on-chip accesses equal to the geometry carried out."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import strategies as st

from sim.dataflow import DATAFLOWS
from sim.engine import Engine
from sim.errors import CapacityError
from sim.execute import fold_blocks
from sim.fits import needs
from sim.frontend import Stage
from sim.kernel import Contraction, VectorWork
from sim.mapping import RELEVANT, Mapping, Tiling, words
from sim.plan import Claim, Compute, Free, Load, Store, moves_of
from sim.planner import Surroundings, plan_contraction, plan_vector
from sim.totals import totals
from tests.laws import arches, cases, chip, contractions, law, mappings, tight, vector_works, walk


def run(plan):
    return walk(plan.body)


@law(cases(), quick=100, full=3000)
def test_macs_are_conserved(case):
    _, plan = case
    assert totals(plan).macs == plan.kernel.macs


@law(cases(), quick=100, full=3000)
def test_folds_are_those_that_the_geometry_of_the_array_takes(case):
    """Of k, as many as the rate of the PEs says stream at once."""
    arch, plan = case
    flow = DATAFLOWS[arch.array.dataflow]
    rate = arch.mac_rate if flow.stream == "k" else 1
    for step, at in run(plan):
        if isinstance(step, Compute):
            blocks = list(fold_blocks(plan, arch, step.extent, at))
            assert max(Counter(block.array for block in blocks).values()) == step.work.folds
            assert max(words(block.along(flow.stream).size, rate) for block in blocks) == step.work.stream
            used = sum(len(b.groups) * b.along(flow.row).size * b.along(flow.col).size for b in blocks)
            assert used == step.work.used
            assert step.work.used <= step.work.slots


def moved_in_folds(plan, blocks):
    """Return the elements of each operand that the folds move; what several arrays share is read for one of them."""
    moved = {}
    for operand, dims in RELEVANT.items():
        arrays = Counter()
        for block in blocks:
            arrays[block.array] += len(block.groups) * prod(block.along(d).size for d in dims)
        shared = plan.mapping.split is not None and plan.mapping.split not in dims
        moved[operand] = max(arrays.values()) if shared and operand != "output" else sum(arrays.values())
    return moved


@law(cases(), quick=150, full=3000)
def test_on_chip_accesses_are_those_of_the_folds(case):
    arch, plan = case
    for step, at in run(plan):
        if isinstance(step, Compute):
            moved = moved_in_folds(plan, list(fold_blocks(plan, arch, step.extent, at)))
            begun = prod(step.extent[:3]) if step.first else 0
            assert dict(step.work.reads) == moved | {"output": moved["output"] - begun}
            assert dict(step.work.writes) == {"output": moved["output"]}


@pytest.mark.parametrize(("dataflow", "depth", "written", "added"), [
    ("ws", 1, 1, 0), ("ws", 5, 3, 2), ("ws", 13, 4, 2), ("os", 1, 1, 0), ("os", 2, 2, 1), ("os", 13, 3, 2),
])  # fmt: skip
def test_arrays_without_a_share_of_the_reduction_have_no_sums(dataflow, depth, written, added):
    """Three arrays of 4 x 4 divide k: a sum is written once a fold of each share (of 13: 5, 4 and 4)."""
    arch = chip("1 MiB", dataflow=dataflow, count=3)
    total = totals(plan_contraction(Tiling(Contraction("c", 1, depth), Mapping(1, 1, depth, split="k")), arch, "array"))
    assert total.writes["output"] == written
    assert total.link == added * 4
    assert needs(Tiling(Contraction("c", 1, depth), Mapping(1, 1, depth, split="k")), arch)["output"] == 4 * (added + 1)


@law(cases(bounded=True), quick=100, full=3000)
def test_each_output_is_stored_once_when_finished(case):
    _, plan = case
    finals = [(step, at) for step, at in run(plan) if isinstance(step, Store) and not step.partial]
    stored = np.zeros((plan.kernel.groups, plan.kernel.m, plan.kernel.n), int)
    for step, at in finals:
        stored[tuple(slice(at[d], at[d] + size) for d, size in zip("gmn", step.extent, strict=False))] += 1
    assert stored.max() == stored.min() == bool(finals)


@law(cases(bounded=True), quick=100, full=3000)
def test_every_partial_sum_that_is_spilled_is_read_back(case):
    _, plan = case
    moved = {Load: 0, Store: 0}
    for step, _ in run(plan):
        if isinstance(step, Load | Store) and step.partial:
            moved[type(step)] += step.bytes
    assert moved[Load] == moved[Store] == totals(plan).partial // 2


@law(cases(bounded=True), quick=150, full=3000)
def test_traffic_is_between_what_is_touched_and_what_a_machine_without_reuse_moves(case):
    """Without reuse, each multiply-accumulate reads both operands and reads and writes its sum."""
    arch, plan = case
    kernel, total = plan.kernel, totals(plan)
    loaded = {step.operand for step, _ in run(plan) if isinstance(step, Load)}
    touched = {"weight": kernel.right_elements, "input": kernel.input_elements}
    for operand in loaded & touched.keys():
        assert total.load[operand] >= arch.bytes_of(operand, touched[operand])
    assert total.load.get("weight", 0) <= kernel.macs * arch.bytes_of("weight", 1)
    if whole_rows(plan):
        assert total.load.get("input", 0) <= kernel.macs * arch.bytes_of("input", 1)
    assert total.load.get("output", 0) <= kernel.macs * arch.bytes_of("partial_sum", 1)
    assert total.store.get("output", 0) <= kernel.macs * arch.bytes_of("partial_sum", 1)


def whole_rows(plan):
    """Tell whether the tiles of M are cuts of one output row or whole rows: others load touched rows whole."""
    kernel, size = plan.kernel, plan.mapping.m
    inner = prod(axis.out for axis in kernel.axes[1:])
    return len(kernel.axes) < 2 or size % inner == 0 or (inner % size == 0 and len(kernel.axes) < 3)


def test_totals_multiply_loops_out():
    arch = chip()
    mapping = Mapping(4, 4, 4, hold=(("weight", 3), ("input", 3), ("output", 2)))
    plan = plan_contraction(Tiling(Contraction("fc", 8, 12, 10), mapping), arch, "array")
    total = totals(plan)
    assert (total.macs, total.folds) == (8 * 12 * 10, 3 * 2 * 3)
    assert total.load == {"weight": 3 * 8 * 12, "input": 2 * 10 * 12}
    assert total.store == {"output": 80}
    assert (total.partial, total.link) == (0, 0)


@pytest.mark.parametrize(("order", "hold", "loaded", "room"), [
    ("mnk", (3, 3, 2), 3 * 64, 2 * 32),  # back with every tile of n, for each tile of m
    ("nmk", (3, 3, 2), 64, 2 * 32),  # each tile of n once
    ("mnk", (3, 3, 1), 64, 64),  # sums of all filters are there, so are their parameters
    ("mnk", (0, 3, 2), 64, 64),  # the weights of all filters are there
])  # fmt: skip
def test_parameters_come_with_the_tiles_of_their_filters_or_stay(order, hold, loaded, room):
    """16 biases of 4 bytes in two tiles of 8; 3 tiles of rows read those of their filters."""
    arch, kernel = chip("1 KiB"), Contraction("fc", 16, 8, 12, biased=True)
    mapping = Mapping(4, 8, 8, order=tuple(order), hold=tuple(zip(RELEVANT, hold, strict=True)))
    tiling = Tiling(kernel, mapping)
    plan = plan_contraction(tiling, arch, "array", Surroundings(parameters=16))
    moved = totals(plan).moves
    assert (moved["parameter", "write"], moved["parameter", "read"]) == (loaded, 3 * 64)
    bare = plan_contraction(tiling, arch, "array")
    with_biases, without = (Engine(arch).run([Stage(p, 0)]).peaks["sram"] for p in (plan, bare))
    assert 0 < with_biases - without <= room
    assert needs(tiling, arch, parameters=16) == needs(tiling, arch) | {"parameter": room}


@law(contractions(), st.data(), quick=100, full=3000)
def test_parameters_are_on_chip_where_their_filters_need_them_and_come_once_a_scope(kernel, data):
    arch = data.draw(arches(bounded=True))
    tiling = Tiling(kernel, data.draw(mappings(kernel, arch)))
    parameters = data.draw(st.sampled_from((1, 5, kernel.groups * kernel.n, 3 * kernel.groups * kernel.n)))
    elements = kernel.output_elements
    epilogue = (VectorWork("e", (elements,), elements, (("add", elements),)),) if data.draw(st.booleans()) else ()
    arch = tight(tiling, arch, parameters=parameters)
    plan = plan_contraction(tiling, arch, "array", Surroundings(frozenset(), epilogue, parameters))
    live, sums, loads, largest = deque(), set(), 0, 0
    for step, at in run(plan):
        if isinstance(step, Claim):
            sums = set()
        if isinstance(step, Compute):
            sums |= filters(step, at)
        if isinstance(step, Load) and step.operand == "parameter":
            live.append(filters(step, at))
            loads, largest = loads + 1, max(largest, step.bytes)
        elif step == Free("parameter"):
            live.popleft()
        elif any(operand == "parameter" for operand, _, _ in moves_of(step)):
            assert (filters(step, at) if isinstance(step, Compute) else sums) <= live[-1]
        assert len(live) <= 1
    assert loads == tiling.parameter_loads
    slots = dict(plan.slots)["parameter"]
    assert needs(tiling, arch, parameters=parameters)["parameter"] == largest * min(slots, loads)
    assert Engine(arch).run([Stage(plan, 0)]).cycles


def filters(step, at):
    return {(g, n) for g in range(at["g"], at["g"] + step.extent[0]) for n in range(at["n"], at["n"] + step.extent[2])}


def test_sums_of_every_array_take_room_where_they_divide_the_reduction():
    arch, kernel = chip("1 KiB", count=2), Contraction("fc", 4, 8, 4)
    mapping = Mapping(4, 4, 8, hold=(("weight", 0), ("input", 0), ("output", 0)))
    one, both = (Tiling(kernel, replace(mapping, split=split)) for split in ("n", "k"))
    assert needs(both, arch)["output"] == 2 * needs(one, arch)["output"] == 2 * 4 * 4 * 4
    claimed = [
        next(step.bytes for step, _ in run(plan_contraction(t, arch, "array")) if isinstance(step, Claim))
        for t in (one, both)
    ]
    assert claimed == [64, 128]


@law(vector_works(), arches(bounded=True), st.integers(64, 4000), quick=100, full=2000)
def test_vector_work_is_cut_into_equal_chunks_that_fit(work, arch, capacity):
    arch = arch.model_copy(update={"buffers": {
        name: buffer.model_copy(update={"capacity": capacity}) for name, buffer in arch.buffers.items()
    }})  # fmt: skip
    plan = plan_vector(work, arch, "vector")
    total = totals(plan)
    wanted = {"input": sum(work.inputs), "weight": work.weights}
    assert total.load == {o: arch.bytes_of(o, elements) for o, elements in wanted.items() if elements}
    assert total.store == {"output": arch.bytes_of("output", work.outputs)}
    assert total.operations == dict(work.operations)
    assert total.elements == work.outputs
    largest, smallest = {}, {}
    for step, _ in run(plan):
        if isinstance(step, Load | Claim):
            largest[step.operand] = max(largest.get(step.operand, 0), step.bytes)
            smallest[step.operand] = min(smallest.get(step.operand, step.bytes), step.bytes)
    assert all(largest[operand] - smallest[operand] <= 1 for operand in largest)
    for buffer in arch.buffers.values():
        slots = min(buffer.slots, sum(node.count for node in plan.body))
        assert sum(largest.get(operand, 0) for operand in buffer.holds) * slots <= capacity


def test_vector_work_of_which_no_chunk_fits_says_so():
    with pytest.raises(CapacityError) as error:
        plan_vector(VectorWork("add", (100, 100), 100), chip("3 B", vector=True), "vector")
    assert str(error.value) == (
        "add: a chunk of one byte does not fit in buffer 'sram': needs 4 bytes, 3 are available; "
        "enlarge the buffer or set its buffering to single"
    )
