"""Laws of buffer ports: never more than their bandwidth, shares in their order, nothing where none is narrow."""

from __future__ import annotations

from fractions import Fraction
from unittest.mock import patch

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from sim.arch import Arch
from sim.engine import Engine
from sim.frontend import Read, Stage
from sim.hardware.folds import load_cycles, load_pieces
from sim.hardware.ports import ARRAY, CHANNEL, LANES, Flow, Port, Ports
from sim.kernel import Axis, Contraction, VectorWork
from sim.mapping import Mapping, Tiling
from sim.plan import Process, moves_of, steps
from sim.planner import Surroundings, plan_contraction, plan_vector
from tests.laws import law, runs_of_stages


def with_ports(arch, **values):
    """Return the chip with every buffer's ports changed."""
    buffers = {name: buffer.model_copy(update=values) for name, buffer in arch.buffers.items()}
    return arch.model_copy(update={"buffers": buffers})


@st.composite
def narrow_runs(draw):
    """Runs on a chip whose buffers all have narrow ports."""
    arch, stages = draw(runs_of_stages(bounded=True))
    bandwidth, ports = draw(st.sampled_from((1, 2, 5, 16))), draw(st.integers(1, 2))
    return with_ports(arch, bandwidth=bandwidth, ports=ports), stages


def watched(arch, stages):
    """Return the timeline, the ports with all shares ever held, and all jobs that went through them."""
    flows = []
    begin = Ports.begin

    def noted(self, *args):
        flows.append(begin(self, *args))
        return flows[-1]

    nothing = patch.multiple(Ports, watch=lambda *_: None, begin=noted)
    with nothing, patch.object(Port, "forget", lambda *_: None):
        engine = Engine(arch, fast_forward=False)
        return engine.run(stages), list(dict.fromkeys(engine.ports.by_operand.values())), flows


def shares(port, flows):
    """Return every share of a port: (start, end, rate)."""
    held = [hold[:3] for hold in port.holds[ARRAY] if hold[1] > hold[0]]
    for flow in flows:
        at = flow.start
        for until, speed in flow.speeds:
            held += [(at, until, speed * Fraction(size, flow.own)) for p, size in flow.demands if p is port]
            at = until
    return held


@law(narrow_runs(), quick=25, full=600)
def test_no_port_passes_more_than_its_bandwidth_at_any_moment(case):
    _, ports, flows = watched(*case)
    for port in ports:
        changes = {}
        for start, end, rate in shares(port, flows):
            changes[start] = changes.get(start, 0) + rate
            changes[end] = changes.get(end, 0) - rate
        now = Fraction(0)
        for at in sorted(changes):
            now += changes[at]
            assert 0 <= now <= port.bandwidth, at


@law(narrow_runs(), quick=25, full=600)
def test_all_bytes_of_the_plans_pass_the_ports_within_the_run(case):
    arch, stages = case
    timeline, ports, flows = watched(arch, stages)
    passed = {
        port: sum((end - start) * rate for start, end, rate in shares(port, flows) if start < timeline.cycles)
        for port in ports
    }
    engine = Engine(arch)
    wanted = dict.fromkeys(ports, 0)
    for stage in stages:
        for step, times in steps(stage.plan.body):
            for operand, way, size in moves_of(step):
                key = next(i for i, p in enumerate(unique(engine)) if p is engine.ports.by_operand[operand, way])
                wanted[ports[key]] += size * times
    for port in ports:
        assert wanted[port] <= passed[port] <= port.bandwidth * timeline.cycles


def unique(engine):
    return list(dict.fromkeys(engine.ports.by_operand.values()))


@law(narrow_runs(), quick=15, full=600)
def test_shares_of_ports_that_nobody_else_uses_are_no_matter(case):
    timeline, _, _ = watched(*case)
    assert timeline == Engine(*case[:1]).run(case[1])


@law(runs_of_stages(bounded=True), quick=25, full=600)
def test_ports_that_are_wide_enough_change_nothing(case):
    arch, stages = case
    wide, none = with_ports(arch, bandwidth=10**9), with_ports(arch, bandwidth=None)
    assert Engine(wide).run(stages) == Engine(none).run(stages)


@law(narrow_runs(), quick=25, full=600)
def test_a_run_never_takes_fewer_cycles_with_ports_than_without(case):
    arch, stages = case
    assert Engine(arch).run(stages).cycles >= Engine(with_ports(arch, bandwidth=None)).run(stages).cycles


def lanes_work(stages):
    return any(isinstance(step, Process) for stage in stages for step, _ in steps(stage.plan.body))


@law(narrow_runs(), quick=25, full=1500)
def test_more_bandwidth_of_memory_costs_no_cycles_where_lanes_are_idle(case):
    """False where lanes and transfers share a port, and for less latency: see the anomalies below."""
    arch, stages = case
    assume(not lanes_work(stages))
    faster = arch.memory.model_copy(update={"bandwidth": arch.memory.bandwidth * 3 // 2})
    better = arch.model_copy(update={"memory": faster})
    assert Engine(better).run(stages).cycles <= Engine(arch).run(stages).cycles


@law(narrow_runs(), st.integers(1, 20), st.data(), quick=25, full=1500)
def test_a_wider_port_costs_no_cycles_where_lanes_are_idle(case, more, data):
    """As above: lanes that wait behind a transfer may wait longer for one that comes earlier."""
    arch, stages = case
    assume(not lanes_work(stages))
    name = data.draw(st.sampled_from(sorted(arch.buffers)))
    wider = arch.buffers[name].model_copy(update={"bandwidth": arch.buffers[name].bandwidth + more})
    better = arch.model_copy(update={"buffers": {**arch.buffers, name: wider}})
    assert Engine(better).run(stages).cycles <= Engine(arch).run(stages).cycles


def test_a_faster_memory_can_cost_cycles_where_transfers_and_lanes_share_a_port():
    """The anomaly: weights that come faster than they are needed hold up the lanes whose result is waited for.

    Lanes move 8 bytes a cycle of 16 for 100 cycles; 1600 bytes of weights for the next layer are loaded meanwhile.
    At 16 bytes a cycle they take the port for 100 cycles, and the lanes come after them. At 10 they take 160, beside
    which the lanes are done.
    """
    lanes = plan_vector(VectorWork("v", (), 400, (), kept=400), lone(16), "vector", frozenset(("input", "output")))
    product = plan_contraction(
        Tiling(Contraction("c", 40, 40), Mapping(1, 40, 40)), lone(16), "array",
        Surroundings(frozenset(("input", "output"))),
    )  # fmt: skip
    stages = [Stage(lanes, 0, (), "t"), Stage(product, 1, (Read("input", "t", on_chip=True),))]
    slower, faster = (Engine(lone(bandwidth)).run(stages) for bandwidth in (10, 16))
    assert (faster.cycles, slower.cycles) == (1696, 1660)
    assert faster.ledgers["vector"].by_cause()["wait_port"] == 100


def test_a_faster_link_can_cost_cycles_where_array_and_transfers_share_a_port():
    """The same anomaly: weights that are sent to the other arrays sooner let the array take the port sooner.

    Three arrays divide one column of 4 x 3 products; one buffer has a port of a byte a cycle for all of them.
    """
    ends = []
    for link in (4, 8):
        arch = Arch.model_validate({
            "name": "chip", "clock": "1 GHz", "precision": {"weight": "int8", "input": "int4", "output": "int16"},
            "units": {"array": {"kind": "systolic", "rows": 5, "cols": 5, "dataflow": "is", "count": 3}},
            "buffers": {
                "sram": {**SHARED["buffers"]["sram"], "capacity": "1 KiB", "bandwidth": "1 B/cycle", "ports": 1}
            },
            "memory": {"kind": "simple", "bandwidth": "8 GB/s", "latency": "7 ns", "burst": "1 B"},
            "link": {"bandwidth": f"{link} B/cycle", "latency": 0},
        })  # fmt: skip
        tiling = Tiling(Contraction("c", 1, 3, 4), Mapping(4, 1, 3, split="n"))
        plan = plan_contraction(tiling, arch, "array", Surroundings(frozenset(("input",))))
        ends.append(Engine(arch).run([Stage(plan, 0)]).cycles)
    assert ends == [47, 53]


def test_less_latency_can_cost_cycles_where_array_and_transfers_share_a_port():
    """The array begins sooner, and takes the port sooner from the transfers that follow: two of 24,884 cycles."""
    ends = []
    for latency in (40, 20):
        arch = Arch.model_validate({
            "name": "chip", "clock": "1 GHz", "precision": {"weight": "int4", "output": "int4"}, "prefetch": False,
            "units": {"array": {"kind": "systolic", "rows": 1, "cols": 1, "dataflow": "os", "sram_read_latency": 0,
                                "output_register": 0}},
            "buffers": {"b0": {"capacity": "1 GiB", "holds": ["weight", "input", "output"], "bandwidth": "2 B/cycle",
                               "ports": 1}},
            "memory": {"kind": "simple", "bandwidth": "1 GB/s", "latency": f"{latency} ns", "burst": "1 B"},
        })  # fmt: skip
        kernel = Contraction("c", 1, 21, 6, axes=(Axis(9, 9, 1), Axis(10, 9, 2)))
        mapping = Mapping(81, 1, 42, hold=(("weight", 1), ("input", 1), ("output", 1)))
        plan = plan_contraction(Tiling(kernel, mapping), arch, "array")
        ends.append(Engine(arch).run([Stage(plan, 0)]).cycles)
    assert ends == [24882, 24884]


def lone(bandwidth):
    """Return a chip with one buffer with one port of 16 bytes a cycle, and a memory of so many bytes a cycle."""
    sram = {**SHARED["buffers"]["sram"], "bandwidth": "16 B/cycle", "ports": 1}
    memory = {"kind": "simple", "bandwidth": f"{bandwidth} GB/s"}
    return Arch.model_validate(SHARED | {"buffers": {"sram": sram}, "memory": memory})


def crawl(bandwidth, others, own, size, start):
    """Return the end of a job by going through every cycle."""
    at, remaining = start, Fraction(own)
    while remaining > 0:
        left = bandwidth - sum(rate for begin, end, rate, _ in others if begin <= at < end)
        remaining -= min(1, left * Fraction(own, size))
        at += 1
    return at


@law(
    st.integers(4, 9), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20), st.fractions(0, 4)), max_size=4),
    st.integers(1, 12), st.integers(1, 80), st.integers(0, 40), quick=200, full=3000,
)  # fmt: skip
def test_a_job_takes_what_going_through_every_cycle_gives(bandwidth, shifts, own, size, late):
    """Shares are made known one after the other, the last at cycle `late`, while the job is under way or before."""
    port, others, at = Port(bandwidth), [], 0
    for gap, length, rate in shifts:
        others.append((at + gap, at + gap + length, rate, float(rate)))
        at += gap + length
    known = [hold for hold in others if hold[0] < late]
    port.holds[ARRAY].extend(known)
    flow = Flow(CHANNEL, 0, own, ((port, size),))
    if flow.end > late:
        port.holds[ARRAY].extend(hold for hold in others if hold[0] >= late)
        flow.rate(late)
    else:
        others = known
    assert flow.end == crawl(bandwidth, others, own, size, 0)


def test_lanes_get_what_array_and_channel_leave():
    port = Port(16)
    ports = Ports(Arch.model_validate(SHARED))
    ports.hold(0, port, [(0, 100, Fraction(8), 8.0)])
    transfer = ports.begin(CHANNEL, 0, 10, ((port, 60),))
    lanes = ports.begin(LANES, 0, 10, ((port, 40),))
    assert transfer.end == 10
    assert lanes.end == 15  # ten cycles at 2 bytes, then 4 bytes, no faster than alone


def test_a_share_given_later_moves_the_end_back():
    port = Port(16)
    ports = Ports(Arch.model_validate(SHARED))
    lanes = ports.begin(LANES, 0, 10, ((port, 160),))
    assert lanes.end == 10
    ports.hold(4, port, [(4, 20, Fraction(8), 8.0)])
    assert lanes.end == 4 + 12


@pytest.mark.parametrize(
    ("bandwidth", "used", "beside", "cycles"),
    [(8, 0, 0, 4), (8, 0, 100, 4), (8, 4, 100, 4), (8, 6, 100, 8), (8, 6, 3, 6), (8, 8, 3, 7), (2, 0, 0, 8)],
)
def test_a_load_goes_beside_a_stream_at_what_that_leaves(bandwidth, used, beside, cycles):
    """16 bytes of weights that are shifted in within 4 cycles."""
    assert load_cycles(load_pieces(Fraction(16), 4, bandwidth, used, beside)) == cycles


SHARED = {
    "name": "shared", "clock": "1 GHz",
    "units": {
        "array": {"kind": "systolic", "rows": 4, "cols": 4}, "vector": {"kind": "vector", "lanes": 4, "latency": 0},
    },
    "buffers": {"sram": {"capacity": "64 KiB", "holds": ["weight", "input", "output"]}},
    "memory": {"kind": "simple", "bandwidth": "8 GB/s"},
}  # fmt: skip
