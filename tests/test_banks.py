"""Laws of banks: how bytes of one cycle crowd into few of them, and what that costs."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import assume
from hypothesis import strategies as st

import sim
from sim import arch as arch_module
from sim.engine import Engine
from sim.errors import ConfigError
from sim.planner.banks import fullest
from tests.laws import law, runs_of_stages

WIDTHS, STRIDES, BITS = st.integers(1, 64), st.integers(1, 100), st.sampled_from((64, 128, 136, 256, 512))
BANKS, INTERLEAVE = st.sampled_from((1, 2, 3, 4, 8, 16)), st.sampled_from((1, 2, 4, 8, 16, 64))


@law(WIDTHS, STRIDES, BITS, BANKS, INTERLEAVE, quick=100, full=3000)
def test_the_fullest_bank_sets_the_pace(width, stride, bits, banks, interleave):
    """The oracle walks the elements one by one, in sixteenths of a bit."""
    held = Counter(index * stride * bits // (16 * 8) // interleave % banks for index in range(width))
    factor = fullest(width, stride, bits, banks, interleave)
    assert factor == Fraction(max(held.values()) * banks, width)
    assert 1 <= factor <= banks


@law(WIDTHS, BANKS, INTERLEAVE, quick=40, full=500)
def test_whole_rounds_over_all_banks_do_not_crowd_and_strides_of_a_round_do(width, banks, interleave):
    assert fullest(banks * interleave * width, 1, 128, banks, interleave) == 1
    assert fullest(width, banks * interleave, 128, banks, interleave) == banks


def banked(arch, **keys):
    return arch.model_copy(update={"buffers": {n: b.model_copy(update=keys) for n, b in arch.buffers.items()}})


@law(runs_of_stages(bounded=True), quick=15, full=300)
def test_banks_over_which_accesses_are_spread_change_nothing(case):
    arch, stages = case
    assert Engine(banked(arch, banks=8)).run(stages) == Engine(arch).run(stages)


@law(st.sampled_from(("ws", "os", "is")), st.sampled_from((1, 2, 4, 8)), st.sampled_from((1, 4, 16)), quick=12, full=36)
def test_crowded_banks_only_add_waiting_for_ports(flow, banks, interleave):
    assume(banks > 1)
    base = {"array.dataflow": flow, "inputs.bandwidth": "4 B/cycle", "inputs.banks": banks}
    even = sim.run("tiny_4x4", "gemm:24x20x36", {**base, "mapping.tile": {"m": 8, "n": 8, "k": 12}})
    crowd = sim.run(
        "tiny_4x4",
        "gemm:24x20x36",
        {**base, "inputs.interleave": f"{interleave} B", "mapping.tile": {"m": 8, "n": 8, "k": 12}},
    )
    assert crowd.units["array"]["cycles"]["wait_port"] >= even.units["array"]["cycles"]["wait_port"]
    assert crowd.traffic_bytes["dram"] == even.traffic_bytes["dram"]
    assert sum(crowd.units["array"]["cycles"].values()) == crowd.cycles


def test_a_stride_of_a_whole_round_makes_the_stream_wait_for_one_bank():
    """Output stationary reads rows of inputs k elements apart: 4 rows of 16 in banks of 4 B lie in one of 4 banks."""
    fixed = {"array.dataflow": "os", "inputs.bandwidth": "4 B/cycle", "inputs.banks": 4}
    tile = {"mapping.tile": {"m": 4, "n": 4, "k": 16}, "mapping.order": ["m", "n", "k"]}
    even = sim.run("tiny_4x4", "gemm:4x4x16", fixed | tile)
    crowd = sim.run("tiny_4x4", "gemm:4x4x16", fixed | tile | {"inputs.interleave": "4 B"})
    waits = [result.units["array"]["cycles"]["wait_port"] for result in (even, crowd)]
    assert waits[1] - waits[0] == 3 * 16  # 16 steps of 4 bytes, each 4 cycles through one bank instead of 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"inputs.interleave": "4 B", "inputs.bandwidth": "4 B/cycle"}, r"goes over several banks, and there is one"),
        ({"inputs.interleave": "4 B", "inputs.banks": 4, "inputs.bandwidth": None}, r"banks collide for a bandwidth"),
        ({"inputs.banks": 0}, r"--set buffers.inputs.banks: 0 is out of range: greater than 0"),
    ],
)
def test_banks_that_cannot_be_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        arch_module.load("tiny_4x4", keys)
