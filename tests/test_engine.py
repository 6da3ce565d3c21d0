"""Laws of the engine: exact skipping of settled loops, every cycle one cause, bounds, and no gain that costs."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import strategies as st

from sim.arch import Arch, Link, Simple, channel
from sim.engine import Engine
from sim.errors import CapacityError, DeadlockError
from sim.fits import check
from sim.frontend import Read, Stage
from sim.hardware.buffers import Buffers
from sim.hardware.folds import tile_timing
from sim.hardware.unit import Signal
from sim.kernel import Contraction
from sim.mapper.scout import Scout
from sim.mapping import RELEVANT, Mapping, Tiling
from sim.plan import Compute, Load, Process, Store, steps
from sim.planner import Surroundings, plan_contraction
from sim.reference import simulate
from sim.timeline import CAUSES
from tests.laws import (
    FLOWS,
    ORDERS,
    arches,
    blocks_of,
    chip,
    drifting,
    law,
    long_loops,
    register_fold,
    runs_of_stages,
)  # fmt: skip


def run(arch, stages, fast_forward=True):
    return Engine(arch, fast_forward).run(stages)


def alone(plan):
    return [Stage(plan, 0)]


@law(runs_of_stages(), quick=80, full=3000)
def test_skipping_settled_loops_changes_nothing(case):
    arch, stages = case
    assert run(arch, stages) == run(arch, stages, fast_forward=False)


@law(long_loops(), quick=5, full=1000)
def test_skipping_long_loops_in_small_buffers_changes_nothing(case):
    arch, stages = case
    assert run(arch, stages) == run(arch, stages, fast_forward=False)


@law(drifting(), quick=25, full=1000)
def test_skipping_loops_while_places_drift_changes_nothing(case):
    """The scout skips likewise: where no port is shared it finds what the engine finds."""
    arch, stages = case
    each = run(arch, stages, fast_forward=False)
    assert run(arch, stages) == each
    assert Scout(arch).run(stages[0]) == each.cycles


def test_a_loop_is_not_skipped_while_places_drift_through_the_buffer():
    """All times of its iterations agree; but at the end the parameters of the next group find no free room any more."""
    arch = Arch.model_validate({
        "name": "chip", "clock": "1 GHz", "precision": {"weight": "int4", "output": "int4"},
        "units": {"array": {"kind": "systolic", "rows": 2, "cols": 1, "dataflow": "is", "weight_buffers": 2,
                            "drain": "overlap"}},
        "buffers": {"sram": {"capacity": "500 B", "holds": ["weight", "input", "output"]}},
        "memory": {"kind": "simple", "bandwidth": "3 GB/s", "latency": "1 ns"},
    })  # fmt: skip
    kernel = Contraction("c", filters=7, channels=25, batch=33, groups=7)
    mapping = Mapping(2, 1, 4, order=("m", "n", "k"), hold=(("weight", 2), ("input", 3), ("output", 1)))
    stages = alone(plan_contraction(Tiling(kernel, mapping), arch, "array", Surroundings(frozenset(), (), 49)))
    each = run(arch, stages, fast_forward=False)
    assert run(arch, stages) == each
    assert Scout(arch).run(stages[0]) == each.cycles


@law(runs_of_stages(), quick=30, full=500)
def test_the_dispatch_distance_changes_nothing(case):
    arch, stages = case
    with patch("sim.engine.AHEAD", 10**9):
        whole = run(arch, stages, fast_forward=False)
    assert whole == run(arch, stages, fast_forward=False)


@law(runs_of_stages(), quick=15, full=300)
def test_the_same_run_gives_the_same_timeline(case):
    arch, stages = case
    first, second = run(arch, stages), run(arch, stages)
    assert first == second
    assert [list(ledger.cycles) for ledger in first.ledgers.values()] == [
        list(ledger.cycles) for ledger in second.ledgers.values()
    ]


@law(runs_of_stages(), quick=25, full=1000)
def test_every_cycle_of_every_unit_has_one_cause(case):
    arch, stages = case
    timeline = run(arch, stages)
    for ledger in timeline.ledgers.values():
        assert ledger.until == timeline.cycles
        assert sum(ledger.by_cause().values()) == timeline.cycles
        assert all(amount > 0 for amount in ledger.cycles.values())
        assert {cause for _, cause in ledger.cycles} <= set(CAUSES)


@law(runs_of_stages(), quick=25, full=1000)
def test_every_unit_computes_what_the_plans_ask_for(case):
    arch, stages = case
    timeline, rate = run(arch, stages), channel(arch)
    array = tiles = lanes = moved = 0
    for stage in stages:
        for step, times in steps(stage.plan.body):
            if isinstance(step, Compute):
                array, tiles = array + step.work.folds * step.work.stream * times, tiles + times
            elif isinstance(step, Process):
                lanes += ceil(step.cycles * arch.vector.pace(arch.clock)) * times
            elif isinstance(step, Load):
                moved += rate.cycles(arch.brought(step.operand, step.bytes)) * times
            elif isinstance(step, Store):
                moved += rate.cycles(step.bytes) * times
    computed = {name: ledger.by_cause()["compute"] for name, ledger in timeline.ledgers.items()}
    own = array * arch.array.pace(arch.clock)
    assert own <= computed["array"] <= own + (5 * tiles if arch.array.dvfs else 0)  # each tile's times are rounded up
    assert computed["vector"] == lanes
    assert computed.get("dram", 0) == moved


@law(runs_of_stages(), quick=25, full=1000)
def test_cycles_are_no_less_than_compute_and_bandwidth_allow(case):
    arch, stages = case
    cycles = run(arch, stages).cycles
    macs = sum(s.plan.kernel.macs for s in stages if isinstance(s.plan.kernel, Contraction))
    assert cycles * arch.array.pes * arch.mac_rate >= macs * arch.array.pace(arch.clock)
    if isinstance(arch.memory, Simple):
        pairs = [(step, times) for stage in stages for step, times in steps(stage.plan.body)]
        moved = sum(step.bytes * times for step, times in pairs if isinstance(step, Load | Store))
        assert cycles * arch.memory.bandwidth >= moved * arch.clock


@law(runs_of_stages(bounded=True), quick=60, full=3000)
def test_buffers_are_never_overfull(case):
    arch, stages = case
    peaks = run(arch, stages).peaks
    assert set(peaks) == set(arch.buffers)
    assert all(0 <= peak <= arch.buffers[name].tile_capacity for name, peak in peaks.items())


def unlimited(case):
    """Return the chip with ports without limits, and the stages."""
    arch, stages = case
    wide = {name: buffer.model_copy(update={"bandwidth": None}) for name, buffer in arch.buffers.items()}
    return arch.model_copy(update={"buffers": wide}), stages


def test_an_output_is_stored_when_the_sums_of_all_arrays_are_added():
    """Of k = 3 in tiles of 2 on two arrays the last tile is of one array alone, and done before the link is."""
    arch = chip(count=2).model_copy(update={"link": Link(bandwidth="1 B/cycle", latency=0)})
    kernel = Contraction("c", 1, 3, 64, 1)
    mapping = Mapping(64, 1, 2, 1, ("m", "n", "k"), (("weight", 0), ("input", 0), ("output", 0)), split="k")
    timeline = Engine(arch, record=True).run([Stage(plan_contraction(Tiling(kernel, mapping), arch, "array"), 0)])
    added = max(end for _, end, _, cause in timeline.ledgers["link"].slices if cause == "compute")
    worked = max(end for _, end, _, cause in timeline.ledgers["array"].slices if cause == "compute")
    stored = max(start for start, _, _, cause in timeline.ledgers["dram"].slices if cause == "compute")
    assert worked < added <= stored


@law(runs_of_stages(bounded=True), quick=50, full=2000)
def test_without_prefetch_stages_take_what_each_takes_alone(case):
    """Those with operands on chip may begin while one that they do not depend on is under way; where ports have limits
    they may hold it up."""
    overlap = any(read.on_chip for stage in case[1] for read in stage.reads)
    arch, stages = unlimited(case) if overlap else case
    arch = arch.model_copy(update={"prefetch": False})
    cycles, alone = run(arch, stages).cycles, sum(run(arch, [replace(s, layer=0)]).cycles for s in stages)
    assert cycles <= alone if overlap else cycles == alone


@law(runs_of_stages(bounded=True), st.integers(2, 7), quick=25, full=1000)
def test_more_bandwidth_never_costs_cycles(case, factor):
    """A theorem where no port has a limit; the anomaly where lanes and transfers share one is in test_ports."""
    arch, stages = unlimited(case)
    memory = arch.memory.model_copy(update={"bandwidth": arch.memory.bandwidth * factor // 2})
    assert run(arch.model_copy(update={"memory": memory}), stages).cycles <= run(arch, stages).cycles


@law(runs_of_stages(bounded=True), st.integers(0, 3), quick=25, full=1000)
def test_less_latency_never_costs_cycles(case, quarters):
    """As above."""
    arch, stages = unlimited(case)
    memory = arch.memory.model_copy(update={"latency": arch.memory.latency * quarters / 4})
    assert run(arch.model_copy(update={"memory": memory}), stages).cycles <= run(arch, stages).cycles


@law(runs_of_stages(bounded=True), st.integers(1, 64), st.data(), quick=25, full=1000)
def test_a_larger_buffer_never_costs_cycles(case, more, data):
    arch, stages = case
    name = data.draw(st.sampled_from(sorted(arch.buffers)))
    buffer = arch.buffers[name]
    grown = buffer.model_copy(update={"capacity": buffer.capacity * (32 + more) // 32 + more})
    larger = arch.model_copy(update={"buffers": {**arch.buffers, name: grown}})
    assert run(larger, stages).cycles <= run(arch, stages).cycles


@law(runs_of_stages(bounded=True), st.data(), quick=25, full=1000)
def test_a_port_without_a_limit_never_costs_cycles(case, data):
    arch, stages = case
    name = data.draw(st.sampled_from(sorted(arch.buffers)))
    wider = arch.buffers[name].model_copy(update={"bandwidth": None})
    assert run(arch.model_copy(update={"buffers": {**arch.buffers, name: wider}}), stages).cycles <= (
        run(arch, stages).cycles
    )


@law(st.data(), quick=100, full=2000)
def test_one_tile_with_ideal_memory_takes_the_closed_form_of_its_folds(data):
    arch = data.draw(arches(bounded=False, knobs=True, count=1))
    kernel = Contraction("c", *(data.draw(st.integers(1, 20)) for _ in range(3)))
    plan = plan_contraction(Tiling(kernel, Mapping(kernel.m, kernel.n, kernel.k)), arch, "array")
    (work,) = (step.work for step, _ in steps(plan.body) if isinstance(step, Compute))
    assert run(arch, alone(plan)).cycles == tile_timing(arch.array, work).total(work.folds)


@law(st.data(), quick=60, full=1000)
def test_tiles_of_any_size_with_ideal_memory_take_the_cycles_of_the_registers(data):
    """The engine's tiles follow each other as the folds of the register-level reference do, for every knob and rate."""
    arch = data.draw(arches(bounded=False, knobs=True, count=1))
    array = arch.array.model_copy(update={"convention": "rtl"})
    arch = arch.model_copy(update={"units": {**arch.units, "array": array}})
    kernel = Contraction("c", *(data.draw(st.integers(1, 9)) for _ in range(3)))
    tile = Mapping(*(data.draw(st.integers(1, size)) for size in (kernel.m, kernel.n, kernel.k)))
    plan = plan_contraction(Tiling(kernel, tile), arch, "array")
    folds = [
        register_fold(arch, np.ones((block.m.size, block.k.size)), np.ones((block.k.size, block.n.size)))
        for block in blocks_of(plan, arch)
    ]
    assert run(arch, alone(plan)).cycles == simulate(array, folds, rate=arch.mac_rate).cycles


def starved(arch, bandwidth="100 MB/s"):
    return Arch.model_validate({
        "name": "starved", "clock": "1 GHz", "units": {"array": {"kind": "systolic", "dataflow": arch}},
        "buffers": {"sram": {"capacity": "64 KiB", "holds": ["weight", "input", "output"]}},
        "memory": {"kind": "simple", "bandwidth": bandwidth, "latency": "100 ns", "burst": "64 B"},
    })  # fmt: skip


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("order", ORDERS)
def test_with_a_starved_channel_cycles_are_the_channels_time(flow, order):
    """Within 2 %: what is left is the first load's latency and the last tile's compute."""
    arch = starved(flow)
    hold = tuple((operand, max(order.index(d) for d in dims) + 1) for operand, dims in RELEVANT.items())
    tiling = Tiling(Contraction("fc", 256, 512, 256), Mapping(64, 64, 64, order=order, hold=hold))
    check(tiling, arch)
    plan = plan_contraction(tiling, arch, "array")
    rate = channel(arch)
    moved = [rate.cycles(s.bytes) * n for s, n in steps(plan.body) if isinstance(s, Load | Store)]
    cycles = run(arch, alone(plan)).cycles
    assert sum(moved) <= cycles <= 1.02 * sum(moved)


def test_an_endless_wait_is_told_by_who_waits_on_what():
    arch = starved("ws")
    plan = plan_contraction(Tiling(Contraction("fc", 8, 8, 8), Mapping(8, 8, 8)), arch, "array")
    engine = Engine(arch)
    engine.front.tensors["never"] = [Signal()]
    with pytest.raises(DeadlockError) as error:
        engine.run([Stage(plan, 0, (Read("input", "never"),))])
    assert str(error.value) == (
        "deadlock: no unit can go on\n  array: Compute wait_input\n  dram: Load wait_dependency"
    )


def test_the_rest_of_a_place_is_free_no_sooner_than_the_place():
    buffers = Buffers(chip("100 B"))
    whole, _ = buffers.take("weight", 100, 0, 2)
    buffers.free("weight", 0, Signal(), 0)
    _, small = buffers.take("output", 10, 1, 2)
    _, rest = buffers.take("input", 90, 1, 2)
    assert small == rest == [whole]


def test_a_tile_waits_for_the_one_that_many_slots_before_it_however_large_the_buffer():
    buffers = Buffers(chip("1 GiB"))
    first, none = buffers.take("input", 10, 0, 2)
    buffers.free("input", 0, Signal(), 0)
    _, nor = buffers.take("input", 10, 0, 2)
    _, waited = buffers.take("input", 10, 0, 2)
    assert (none, nor, waited) == ([], [], [first])


def test_a_tile_beside_which_there_is_no_room_says_so():
    buffers = Buffers(chip("100 B"))
    buffers.take("weight", 60, 0, 2)
    with pytest.raises(CapacityError) as error:
        buffers.take("input", 50, 0, 2)
    assert str(error.value) == (
        "a tile of input does not fit in buffer 'sram': needs 110 bytes, 100 are available; use a smaller tile"
    )
