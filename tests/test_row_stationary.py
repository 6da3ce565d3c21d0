"""Row stationary: closed forms against the grid of PEs, plans against numpy, cycles of layers against the grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from sim.arch import Arch, MappingChoice, PassChoice, Systolic
from sim.dataflow import DATAFLOWS
from sim.dataflows.row_stationary import pass_interval, pass_timing
from sim.engine import Engine
from sim.errors import CapacityError, MappingError
from sim.execute import execute
from sim.execute.passes import PassGeometry
from sim.frontend import Stage
from sim.kernel import Axis, Contraction
from sim.layout import Geometry, Placement
from sim.mapper import search
from sim.op import random_integers
from sim.passes import Passes, Planes, check, cuts, most_sets, sizes, slots
from sim.plan import Compute, Load, PassWork, Store, steps
from sim.planner import plan_passes
from sim.reference import PassBlock, gemm, run_passes
from sim.simulate import run
from sim.totals import totals
from tests.laws import contractions, law, product, walk

ROOMY = {"inputs": 64, "weights": 512, "sums": 32}


@st.composite
def arrays(draw, rows=None):
    """A row-stationary array with buses of any width and scratchpads with room."""
    return Systolic.model_validate({
        "kind": "systolic", "rows": rows or draw(st.integers(1, 8)), "cols": rows or draw(st.integers(1, 6)),
        "dataflow": "rs", "pe_pipeline": draw(st.integers(1, 4)), "sram_read_latency": draw(st.integers(0, 3)),
        "output_register": draw(st.integers(0, 2)), "scratchpads": ROOMY,
        "buses": {bus: draw(st.integers(1, 9)) for bus in ("weights", "inputs", "sums")},
    })  # fmt: skip


@st.composite
def blocks(draw):
    """Operands of a pass: any number of sets, filters and channels that fill them or not, stride and dilation."""
    r, t, kernel_rows, taps, width = (draw(st.integers(1, 3)) for _ in range(5))
    channels, filters = draw(st.integers(r, 3 * r)), draw(st.integers(t, 4 * t))
    images, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    stride, dilation = ((draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2))
    rows, columns = (
        (outs - 1) * stride[i] + (kernel - 1) * dilation[i] + 1
        for i, (outs, kernel) in enumerate(((width, kernel_rows), (outputs, taps)))
    )
    return PassBlock(
        random_integers((images, channels, rows, columns), 0),
        random_integers((filters, channels, kernel_rows, taps), 1),
        random_integers((images, filters, width, outputs), 2), (r, t), stride, dilation,
    )  # fmt: skip


def convolved(block):
    """Return the sums that a pass must leave, tap by tap in numpy."""
    total = block.sums.copy()
    width, outputs = total.shape[2:]
    for i, s in np.ndindex(block.weights.shape[2:]):
        (y, x), (down, right) = (i * block.dilation[0], s * block.dilation[1]), block.stride
        seen = block.inputs[:, :, y : y + (width - 1) * down + 1 : down, x : x + (outputs - 1) * right + 1 : right]
        total += np.einsum("ncyx,fc->nfyx", seen, block.weights[:, :, i, s])
    return total


@law(arrays(rows=40), blocks(), st.integers(1, 4), quick=60, full=1500)
def test_a_pass_takes_the_cycles_of_the_grid_and_its_sums_are_those_of_numpy(array, block, count):
    done = run_passes(array, [block] * count)
    timing, interval = pass_timing(array, block.shape), pass_interval(array, block.shape)
    assert done.ends == tuple(array.sram_read_latency + i * interval + timing.end - 1 for i in range(count))
    assert all(np.array_equal(sums, convolved(block)) for sums in done.sums)
    assert done.macs == count * block.sums[:, 0].size * block.weights.size
    pes = np.prod(block.sets) * block.weights.shape[2] * block.sums.shape[2]
    assert done.macs <= count * timing.computing * pes
    assert timing.first + timing.computing + timing.adding <= timing.busy <= interval


@law(arrays(rows=40), blocks(), st.sampled_from(("weights", "inputs", "sums")), quick=25, full=500)
def test_a_wider_bus_never_makes_a_pass_longer(array, block, bus):
    wider = array.buses.model_copy(update={bus: getattr(array.buses, bus) + 1})
    faster = array.model_copy(update={"buses": wider})
    assert pass_timing(faster, block.shape).end <= pass_timing(array, block.shape).end
    assert pass_interval(faster, block.shape) <= pass_interval(array, block.shape)


@law(arrays(), st.integers(1, 20), st.integers(1, 3), quick=20, full=300)
def test_a_fold_of_a_product_is_a_pass_with_one_weight_a_pe(array, stream, count):
    """The chain of all rows, a set of one PE for each: K on the rows, N on the columns, M streams."""
    a, b = random_integers((stream, array.rows), 0), random_integers((array.rows, array.cols), 1)
    sums = np.zeros((1, array.cols, 1, stream), int)
    block = PassBlock(a.T[None, :, None, :], b.T[:, :, None, None], sums, (array.rows, array.cols))
    done = run_passes(array, [block] * count)
    timing = DATAFLOWS["rs"].timing(array, stream)
    assert done.cycles == timing.total(count)
    assert np.array_equal(done.sums[0][0, :, 0].T, a @ b)


@st.composite
def mappings(draw, kernel, array):
    """A mapping of a contraction whose PE sets lie on the array."""
    planes = Planes(kernel)
    rows, columns = planes.axes
    kernel_rows, taps = draw(st.integers(1, min(rows.kernel, array.rows))), draw(st.integers(1, columns.kernel))
    e = draw(st.integers(1, min(rows.out, array.cols * (array.rows // kernel_rows))))
    r, most = draw(st.sampled_from(list(most_sets(array, kernel_rows, e))))
    t, p = draw(st.integers(1, most)), draw(st.integers(1, 3))
    return Passes(
        m=t * p * draw(st.integers(1, 3)), n=draw(st.integers(1, 1 if planes.outside else min(2, planes.images))),
        e=e, f=draw(st.integers(1, columns.out)), p=p, q=draw(st.integers(1, 2)), r=r, t=t, rows=kernel_rows, taps=taps,
    )  # fmt: skip


def chip(array, planes=None, passes=None):
    """Return a chip with the array: ideal memory, or a buffer just large enough for a mapping."""
    data = {"name": "chip", "clock": "1 GHz", "memory": "ideal", "units": {"array": array.model_dump()}}
    if planes is not None:
        data |= {"memory": {"kind": "simple", "bandwidth": "8 GB/s", "burst": "4 B"}}
        data |= {"buffers": {"glb": {"capacity": "1 GiB", "holds": ["weight", "input", "output"]}}}
        roomy = Arch.model_validate(data)
        needed = sum(roomy.bytes_of("partial_sum" if o == "output" else o, n) for o, n in sizes(planes, passes).items())
        data["buffers"]["glb"]["capacity"] = f"{needed} B"
    return Arch.model_validate(data)


@law(st.data(), quick=60, full=1500)
def test_the_plan_computes_the_product_within_the_buffer_it_asks_for(data):
    kernel, array = data.draw(contractions()), data.draw(arrays())
    passes = data.draw(mappings(kernel, array))
    arch = chip(array, *((Planes(kernel), passes) if data.draw(st.booleans()) else ()))
    check(Planes(kernel), passes, arch)
    inputs, right, expected = product(kernel)
    plan = plan_passes(kernel, passes, arch, "array")
    assert np.array_equal(execute(plan, inputs, right, arch), expected)
    assert totals(plan).macs == kernel.macs
    assert all(step.work.used <= step.work.slots for step, _ in steps(plan.body) if isinstance(step, Compute))


@law(st.data(), st.sampled_from(("row_major", "channel_last")), quick=30, full=600)
def test_transfers_of_passes_touch_the_bytes_that_they_move_and_outputs_lie_apart(data, layout):
    kernel, array = data.draw(contractions()), data.draw(arrays())
    passes = data.draw(mappings(kernel, array))
    arch = chip(array, Planes(kernel), passes)
    stage = Stage(plan_passes(kernel, passes, arch, "array"), 0)
    layouts = dict.fromkeys(("weight", "input", "output"), layout)
    placement = Placement(Geometry(1, 1 << 40, layouts, {}, arch), [stage])
    moved = [(s, placement.stream(0, stage, s, at)) for s, at in walk(stage.plan.body) if isinstance(s, Load | Store)]
    assert all(step.bytes == stream.size == np.unique(stream).size for step, stream in moved)
    stored = np.concatenate([stream for step, stream in moved if isinstance(step, Store)])
    assert stored.size == np.unique(stored).size == kernel.output_elements
    read = {o: {a for s, stream in moved if isinstance(s, Load) and s.operand == o for a in stream.tolist()}
            for o in ("weight", "input")}  # fmt: skip
    assert len(read["weight"]) == kernel.right_elements
    assert len(read["input"]) == kernel.input_elements


def grid_blocks(plan):
    """Return the operands of every pass of a plan of ones, in order, in the shape that the plan says."""
    kernel = plan.kernel
    carried = PassGeometry(kernel, plan.mapping)
    axes = carried.planes.axes
    for step, at in walk(plan.body):
        if isinstance(step, Compute):
            (images, rows, columns), (channels, piece) = carried.points(at), carried.depth(at)
            reach = [
                (outs.size - 1) * axis.stride + (taps - 1) * axis.dilation + 1
                for outs, axis, taps in zip((rows, columns), axes, (piece.rows, piece.taps), strict=True)
            ]
            shape = step.work.shape
            yield step.work, PassBlock(
                np.ones((images.size, channels.size, *reach), int),
                np.ones((step.extent[2], channels.size, piece.rows, piece.taps), int),
                np.zeros((images.size, step.extent[2], rows.size, columns.size), int),
                shape.sets, (axes[0].stride, axes[1].stride), (axes[0].dilation, axes[1].dilation),
            )  # fmt: skip


@law(st.data(), quick=25, full=400)
def test_the_engine_takes_the_cycles_of_the_grid_for_a_whole_layer(data):
    kernel, array = replace(data.draw(contractions()), groups=1), data.draw(arrays())
    arch = chip(array)
    plan = plan_passes(kernel, data.draw(mappings(kernel, array)), arch, "array")
    assume(sum(times for step, times in steps(plan.body) if isinstance(step, Compute)) <= 40)
    works, found = zip(*grid_blocks(plan), strict=True)
    assert [block.shape for block in found] == [work.shape for work in works]
    assert Engine(arch).run([Stage(plan, 0)]).cycles == run_passes(array, found).cycles


@law(st.data(), quick=15, full=200)
def test_settled_loops_of_passes_are_skipped_exactly(data):
    kernel, array = data.draw(contractions()), data.draw(arrays())
    passes = data.draw(mappings(kernel, array))
    arch = chip(array, Planes(kernel), passes)
    plan = plan_passes(kernel, passes, arch, "array")
    assume(sum(times for _, times in steps(plan.body)) <= 3000)
    fast, slow = (Engine(arch, fast_forward).run([Stage(plan, 0)]) for fast_forward in (True, False))
    assert (fast.cycles, fast.spans, fast.peaks) == (slow.cycles, slow.spans, slow.peaks)
    for name, ledger in fast.ledgers.items():
        assert ledger.by_cause() == slow.ledgers[name].by_cause()
        assert sum(ledger.by_cause().values()) == fast.cycles


@pytest.mark.parametrize("workload", ["gemm:33x20x17", "gemv:40x30", "conv:6,15,13,10,5,3,stride=2,pad=2,batch=2",
                                      "conv:8,9,9,8,3,3,groups=8,pad=1", "conv:3,20,20,4,18,14"])  # fmt: skip
def test_every_layer_has_a_mapping_and_its_cycles_add_up(workload):
    for arch, overrides in (("array", {"dataflow": "rs"}), ("tiny_4x4", {"dataflow": "rs"}), ("eyeriss", {})):
        result = run(arch, workload, overrides)
        assert sum(result.units["array"]["cycles"].values()) == result.cycles
        assert result.macs == result.layers[0].macs
        assert 0 < result.utilization <= result.mapping_efficiency <= 1


def test_one_parameter_fewer_is_found_by_the_search():
    """What the user leaves out is chosen; what the user fixes is kept."""
    fixed = {"mapping.passes.p": 4, "mapping.passes.e": 6}
    chosen = run("eyeriss", "conv:16,28,28,32,3,3,pad=1", fixed).layers[0].mapping["passes"]
    assert (chosen["p"], chosen["e"]) == (4, 6)


CONV = "conv:64,28,28,64,3,3,pad=1"


@pytest.mark.parametrize(("passes", "error", "message"), [
    ({"p": 25}, MappingError, "conv: p 25 need 25 words of scratchpads.sums, a PE has 24"),
    ({"q": 5}, MappingError, "conv: q 5 x 3 columns need 15 words of scratchpads.inputs, a PE has 12"),
    ({"p": 24, "q": 4}, MappingError,
     "conv: p 24 x q 4 x 3 taps need 288 words of scratchpads.weights, a PE has 224"),
    ({"e": 28, "t": 3}, MappingError, "conv: r 1 x t 3 sets of 3 x 28 PEs do not fit on an array of 12 x 14; "
     "at most (r x t): 1 x 2, 2 x 1"),
    ({"m": 64, "e": 28, "f": 28}, CapacityError, "conv: a pass with m 64, n 1, e 28, f 28, 1 channels, 1 filters "
     "(weight 18, input 1800, output 100352 bytes) does not fit in buffer 'glb': needs 102170 bytes, "
     "98304 are available; make m, n, e, f or q smaller"),
])  # fmt: skip
def test_a_mapping_that_does_not_fit_is_refused_with_what_would(passes, error, message):
    overrides = {f"mapping.passes.{key}": value for key, value in passes.items()}
    with pytest.raises(error) as caught:
        run("eyeriss", CONV, overrides | {"glb.capacity": "96 KiB"})
    assert str(caught.value) == message


@pytest.mark.parametrize("capacity", [20, 150, 1000, 2500])
def test_whatever_fits_at_all_is_mapped(capacity):
    """Far below what equal shares of a layer need, down to one word of each operand."""
    found = run("eyeriss", "gemm:8x30x50", {"glb.capacity": f"{capacity} B"})
    assert found.macs == 8 * 30 * 50
    assert found.buffers["glb"]["peak_bytes"] <= capacity


def test_where_not_even_one_word_of_each_fits_the_way_out_is_a_larger_buffer():
    with pytest.raises(CapacityError) as caught:
        run("eyeriss", "gemm:8x30x50", {"glb.capacity": "5 B"})
    assert str(caught.value) == (
        "gemm: a pass with m 1, n 1, e 1, f 1, 1 channels, 1 filters (weight 2, input 2, output 2 bytes) "
        "does not fit in buffer 'glb': needs 6 bytes, 5 are available; make the buffer larger"
    )


@pytest.mark.parametrize(("overrides", "message"), [
    ({"count": 2, "link": {"bandwidth": "8 B/cycle"}},
     "conv: a row-stationary array works alone; set 2 arrays to count: 1"),
    ({"convention": "scalesim"}, "conv: SCALE-Sim has no row-stationary dataflow; set convention: rtl"),
])  # fmt: skip
def test_what_a_row_stationary_array_cannot_be_is_told(overrides, message):
    with pytest.raises(MappingError) as caught:
        run("array", CONV, {"dataflow": "rs"} | overrides)
    assert str(caught.value) == message


def test_over_three_axes_a_pass_takes_one_image():
    axes = (Axis(4, 2, 3), Axis(4, 2, 3), Axis(4, 2, 3))
    kernel, arch = Contraction("c", 2, 2, batch=2, axes=axes), chip(Systolic(kind="systolic", dataflow="rs"))
    with pytest.raises(MappingError) as caught:
        search(kernel, arch, "array", wish=MappingChoice(passes=PassChoice(n=2)))
    assert str(caught.value) == "c: n 2, but over 3 axes a pass takes one image"
    assert search(kernel, arch, "array").mapping.n == 1


def test_a_pass_that_overflows_a_scratchpad_is_refused_by_the_grid():
    array = Systolic(kind="systolic", rows=4, cols=4, dataflow="rs")
    ones = np.ones((1, 13, 1, 1), int)
    block = PassBlock(ones, np.ones((1, 13, 1, 1), int), np.zeros((1, 1, 1, 1), int))
    with pytest.raises(MappingError) as caught:
        run_passes(array, [block])
    message = "pass 0: needs 13 words of inputs a PE, there are 12; cut it into smaller passes"
    assert str(caught.value) == message


def test_products_are_no_work_for_the_row_stationary_grid():
    with pytest.raises(MappingError) as caught:
        gemm(Systolic(kind="systolic", dataflow="rs"), np.ones((3, 3)), np.ones((3, 3)))
    assert str(caught.value) == "dataflow 'rs' runs passes, not folds of a product; use run_passes"


def test_weights_are_the_first_to_be_loaded_behind_a_pass():
    """Room for a second tile goes to weights, then inputs, then sums."""
    kernel = Contraction("c", 8, 4, axes=())
    passes = Passes(8, 1, 1, 1, 8, 4, 1, 1, 1, 1)
    planes, array = Planes(kernel), Systolic(kind="systolic", rows=4, cols=4, dataflow="rs")
    arch = chip(array, planes, passes)
    least = arch.buffers["glb"].capacity
    found = []
    for more in (0, 31, 32, 35, 36, 67, 68):
        glb = arch.buffers["glb"].model_copy(update={"capacity": least + more})
        found.append(slots(planes, passes, arch.model_copy(update={"buffers": {"glb": glb}})))
    assert [tuple(f.values()) for f in found] == [
        (1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 1), (2, 2, 2)
    ]  # fmt: skip


def test_cuts_cover_everything_once():
    assert [(c.start, c.count, c.size) for c in cuts(10, 4)] == [(0, 2, 4), (8, 1, 2)]
    apart = cuts(10, 4, lambda start, _: start)
    assert [(c.start, c.count, c.size) for c in apart] == [(0, 1, 4), (4, 1, 4), (8, 1, 2)]


def test_work_of_a_pass_is_what_the_plan_counts():
    """A pass of 2 filters x 2 channels, 3 x 3 taps, 2 rows of 4 outputs: words by hand."""
    array = Systolic(kind="systolic", rows=6, cols=2, dataflow="rs")
    kernel = Contraction("c", 2, 2, axes=(Axis(4, 2, 3), Axis(6, 4, 3)))
    plan = plan_passes(kernel, Passes(2, 1, 2, 4, 2, 1, 2, 1, 3, 3), chip(array), "a")
    works = [step.work for step, _ in steps(plan.body) if isinstance(step, Compute)]
    assert len(works) == 1
    assert isinstance(works[0], PassWork)
    assert dict(works[0].reads) == {"weight": 36, "input": 2 * 4 * 6, "output": 16}
    assert dict(works[0].writes) == {"output": 16}
    assert works[0].used == 12
    assert dict(works[0].hops) == {"weight": 36 * 2, "input": 12 * 6, "output": 16 * 6}
