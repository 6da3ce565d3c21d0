"""Laws of cutting vector work into chunks: the best count there is, and more room never costs cycles."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

import sim
from sim.engine import Engine
from sim.errors import CapacityError
from sim.frontend import Stage
from sim.mapper import search_chunks
from sim.mapper.chunks import _bound
from sim.planner import chunk_counts, plan_vector
from tests.laws import arches, law, vector_works


def cycles(arch, plan):
    return Engine(arch).run([Stage(plan, 0)]).cycles


def sized(arch, capacity):
    buffers = {n: buffer.model_copy(update={"capacity": capacity}) for n, buffer in arch.buffers.items()}
    return arch.model_copy(update={"buffers": buffers})


KEPT = st.sets(st.sampled_from(("input", "output")), max_size=2).map(frozenset)


def found(work, arch, on_chip):
    try:
        return search_chunks(work, arch, "vector", on_chip)
    except CapacityError:
        return None


@law(vector_works(), arches(bounded=True), st.integers(20, 3000), KEPT, quick=25, full=600)
def test_no_count_of_chunks_beats_the_one_that_is_chosen_nor_ends_before_its_bound(work, arch, capacity, on_chip):
    arch = sized(arch, capacity)
    best = found(work, arch, on_chip)
    assume(best is not None)
    plans = [plan_vector(work, arch, "vector", on_chip, count) for count in chunk_counts(work, arch, on_chip)]
    taken = [cycles(arch, plan) for plan in plans]
    assert best == plans[taken.index(min(taken))]
    assert all(_bound(plan, Engine(arch).units) <= time for plan, time in zip(plans, taken, strict=True))


@law(vector_works(), arches(bounded=True), st.integers(20, 3000), st.integers(1, 3000), KEPT, quick=25, full=600)
def test_more_room_never_makes_vector_work_alone_slower(work, arch, capacity, more, on_chip):
    small, large = sized(arch, capacity), sized(arch, capacity + more)
    before = found(work, small, on_chip)
    assume(before is not None)
    assert cycles(large, found(work, large, on_chip)) <= cycles(small, before)


def test_a_larger_buffer_never_makes_a_lone_softmax_slower(tmp_path):
    """[1, 256, 64, 64] on a chip that keeps nothing: in the fewest chunks that fit, 3 MiB cost more than 128 KiB."""
    path = tmp_path / "net.yaml"
    path.write_text("name: net\ninputs: {x: [1, 256, 64, 64]}\nlayers: [{name: sm, op: softmax}]\n")
    buffer = "buffers.activations"
    small, large = (
        sim.run("edge_tpu_like_simple", str(path), {f"{buffer}.capacity": size, f"{buffer}.keep": "1 KiB"})
        for size in ("128 KiB", "3 MiB")
    )
    assert large.cycles <= small.cycles
