"""Laws of layouts: every element has one place, transfers touch just the bursts that hold what they move."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from sim import arch as arch_module
from sim.errors import CapacityError
from sim.execute.geometry import input_region
from sim.formats import PLAIN
from sim.frontend import Read, Stage
from sim.kernel import Contraction, VectorWork
from sim.layout import Geometry, Placement, bursts, segments
from sim.plan import Load, Loop, Plan, Store
from tests.laws import cases, law, walk

LAYOUTS = ("row_major", "channel_last", "tiled")
CHIP = arch_module.load("tiny_4x4")


def geometry_of(arch, layouts=("tiled", "channel_last"), burst=64, capacity=1 << 40, tensors=None):
    weight, activation = layouts
    named = {"weight": weight, "input": activation, "output": activation}
    return Geometry(burst, capacity, named, tensors or {}, arch)


@st.composite
def boxes(draw):
    """A box: some indices, consecutive or not, of each dimension."""
    dims = []
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, 7))
        index = draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True).map(sorted))
        dims.append((size, np.array(index, np.int64)))
    return dims


@law(boxes(), quick=60, full=2000)
def test_segments_are_the_elements_of_the_box_in_address_order(dims):
    whole = np.arange(np.prod([size for size, _ in dims])).reshape([size for size, _ in dims])
    starts, length = segments(dims)
    found = (starts[:, None] + np.arange(length)[None, :]).ravel()
    np.testing.assert_array_equal(found, whole[np.ix_(*(index for _, index in dims))].ravel())


@law(boxes(), st.sampled_from([4, 8, 16, 32]), st.sampled_from([16, 32, 64]), st.integers(0, 9), quick=60, full=2000)
def test_bursts_are_those_that_hold_a_bit_of_a_segment(dims, bits, burst, base):
    starts, length = segments(dims)
    touched = {
        (8 * base + bit) // 8 // burst * burst
        for start in starts.tolist()
        for bit in range(start * bits, (start + length) * bits)
    }
    found = bursts(base, starts, length, bits, burst).tolist()
    assert set(found) == touched
    assert all(a != b for a, b in itertools.pairwise(found))


def moved(arch, plan, layouts, operand):
    """Return the bursts of each transfer of an operand, in program order."""
    stage = Stage(plan, 0)
    placement = Placement(geometry_of(arch, layouts, burst=1), [stage])
    for step, at in walk(plan.body):
        if not isinstance(step, Load | Store) or step.partial:
            continue
        if operand == ("output" if isinstance(step, Store) else step.operand):
            yield step, at, placement.stream(0, stage, step, at)


@law(cases(bounded=True), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS), quick=60, full=2000)
def test_outputs_are_stored_once_each_at_a_place_of_their_own(case, weight, activation):
    arch, plan = case
    assume(arch.precision.output not in ("int4",) and activation != "tiled")
    places = [place for _, _, stream in moved(arch, plan, (weight, activation), "output") for place in stream.tolist()]
    assert not places or len(places) == len(set(places)) == arch.bytes_of("output", plan.kernel.output_elements)


@law(cases(bounded=True), st.sampled_from(LAYOUTS), quick=60, full=2000)
def test_tiles_of_weights_touch_their_own_bytes_and_all_of_them(case, layout):
    arch, plan = case
    assume(arch.precision.weight != "int4")
    tiles: dict[bytes, int] = {}
    for step, _, stream in moved(arch, plan, (layout, "channel_last"), "weight"):
        assert stream.size == step.bytes
        tiles[np.sort(stream).tobytes()] = stream.size
    whole = arch.bytes_of("weight", plan.kernel.right_elements)
    if tiles:
        assert sum(tiles.values()) == whole
        assert len({place for key in tiles for place in np.frombuffer(key, np.int64).tolist()}) == whole


@law(cases(bounded=True), st.sampled_from(LAYOUTS), quick=60, full=2000)
def test_inputs_are_read_where_the_layout_puts_them(case, layout):
    """The oracle: a tensor of addresses, transposed as the layout says, and indexed by what the load brings."""
    arch, plan = case
    assume(arch.precision.input != "int4" and layout != "tiled")
    kernel, size = plan.kernel, PLAIN[arch.precision.input] // 8
    space = [axis.size for axis in kernel.axes]
    row_major = (kernel.batch, kernel.groups, kernel.channels, *space)
    order = list(range(len(row_major)))
    if layout == "channel_last":
        order = [0, *range(3, len(row_major)), 1, 2]
    stored = np.arange(np.prod(row_major)).reshape([row_major[d] for d in order])
    address = stored.transpose(np.argsort(order)).transpose([1, 0, 2, *range(3, len(row_major))])
    bases = None
    for step, at, stream in moved(arch, plan, ("tiled", layout), "input"):
        g, m, _, k = step.extent
        region = input_region(kernel, range(at["m"], at["m"] + m), range(at["k"], at["k"] + k))
        places = np.sort(address[np.ix_(np.arange(at["g"], at["g"] + g), *region)].ravel())
        expected = (places[:, None] * size + np.arange(size)[None, :]).ravel()
        if expected.size:
            bases = bases if bases is not None else int(stream.min()) - int(expected[0])
        np.testing.assert_array_equal(np.sort(stream), expected + (bases or 0))


@law(
    st.integers(1, 5000), st.lists(st.integers(1, 5000), min_size=1, max_size=3), st.integers(1, 9), quick=40, full=900
)
def test_chunks_of_vector_work_cover_each_of_its_tensors_once(outputs, inputs, chunks):
    work = VectorWork("add", tuple(inputs), outputs)
    extent = (1, 1, 1, 1)
    body = tuple(Loop("m", 1, i, 1, (Load("input", 1, extent), Store(1, extent))) for i in range(chunks))
    stage = Stage(Plan("add", work, "vector", body), 0)
    placement = Placement(Geometry(1, 1 << 30, {"input": "row_major"}, {}, CHIP), [stage])
    for kind, total in ((Load, sum(inputs)), (Store, outputs)):
        steps = [(step, at) for step, at in walk(body) if isinstance(step, kind)]
        places = [p for step, at in steps for p in placement.stream(0, stage, step, at).tolist()]
        assert len(places) == len(set(places)) == total


def plan_of(kernel):
    return Plan(kernel.name, kernel, "array", (Load("weight", kernel.n * kernel.k, (1, 1, kernel.n, kernel.k)),))


def test_tensors_of_different_layers_do_not_overlap_and_an_activation_is_read_where_it_was_written():
    first = Stage(plan_of(Contraction("a", filters=64, channels=32)), 0, (Read("input", "image"),), "a")
    second = Stage(plan_of(Contraction("b", filters=16, channels=64)), 1, (Read("input", "a"),), "b")
    geometry = Geometry(64, 1 << 20, {"input": "row_major", "weight": "tiled"}, {}, CHIP)
    placement = Placement(geometry, [first, second])
    spans = sorted(placement.bases.values())
    assert len(set(spans)) == len(spans) == 5  # two of weights, the image, a, b
    assert placement.bases[("a",)] % 4096 == 0


@pytest.mark.parametrize("each", [1, 2, 4])
def test_parameters_of_all_filters_have_a_place_of_their_own(each):
    """A bias, scale and shift of a batch norm, or more: `each` parameters of a filter, in tiles of 8 filters."""
    kernel = Contraction("a", filters=1024, channels=32)
    width = PLAIN[CHIP.precision.partial_sum] // 8
    load = Load("parameter", 8 * each * width, (1, 1, 8, 1))
    body = (Loop("n", 128, 0, 8, (load,)), Load("weight", 1024 * 32, (1, 1, 1024, 32)))
    stages = [Stage(Plan("a", kernel, "array", body), 0), Stage(plan_of(Contraction("b", filters=64, channels=64)), 1)]
    placement = Placement(geometry_of(CHIP, burst=1), stages)
    found: list[int] = []
    for index, stage in enumerate(stages):
        for step, at in walk(stage.plan.body):
            found += placement.stream(index, stage, step, at).tolist()
    assert len(found) == len(set(found)) == 1024 * each * width + 1024 * 32 + 64 * 64


def test_a_network_that_does_not_fit_into_memory_is_refused_with_both_sizes():
    stage = Stage(plan_of(Contraction("fc", filters=1000, channels=1000)), 0)
    message = (
        "^the network's memory image does not fit in the off-chip memory: needs 1011712 bytes, 524288 are available"
    )
    with pytest.raises(CapacityError, match=message) as error:
        Placement(Geometry(64, 1 << 19, {"input": "row_major", "weight": "tiled"}, {}, CHIP), [stage])
    assert "use a larger device or more channels" in str(error.value)
