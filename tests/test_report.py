"""The report of a run: every figure of a result made by hand, where a reader can check it."""

from dataclasses import replace

import pytest

from sim.report.losses import peak_macs, worst
from sim.report.summary import CONVENTIONS, OFF_CHIP, summarize
from sim.report.table import Column, pairs, shorten, table
from sim.result import Layer, Result
from sim.simulate import run

DRAM = {"dram": {"read": {"weight": 65536, "input": 4096}, "write": {"output": 4096}}}

CONV = Layer(
    name="conv1", op="conv2d", unit="array", start=0, cycles=1000, macs=16000, utilization=0.16,
    mapping_efficiency=0.5, compute_cycles=400, bound="wait_weight",
    causes={"compute": 400, "fill": 100, "wait_weight": 500}, traffic_bytes=DRAM, energy_pj=2e6, fused=("relu1",),
)  # fmt: skip
POOL = Layer(
    name="pool1", op="maxpool", unit="vector", start=1000, cycles=600, macs=0, utilization=0.0,
    mapping_efficiency=0.0, compute_cycles=500, bound="compute", causes={"compute": 500}, traffic_bytes={},
    energy_pj=0.0,
)  # fmt: skip
RESULT = Result(
    arch="chip", workload="net", clock_hz=10**9, cycles=1600, seconds=1.6e-6, macs=16000, utilization=0.1,
    mapping_efficiency=0.5, units={}, traffic_bytes=DRAM,
    energy_pj={"total": 2e6, "by_component": {"array": 0.5e6, "dram": 1.5e6}, "by_action": {}},
    buffers={"weights": {"capacity_bytes": 65536, "peak_bytes": 32768}},
    dram={"dram": {"bandwidth_utilization": 0.25}}, layers=(CONV, POOL),
    not_modelled=({"what": "sparsity", "where": ["conv1"]},), provenance={},
    compulsory_bytes={"weight": 32768, "input": 2048, "output": 2048},
)  # fmt: skip

REPORT = """\
net on chip

layer  op         cycles  share   util  mapped  off-chip  energy  bound
conv1  conv2d +1   1,000  62.5%  16.0%   50.0%    72 KiB    2 uJ  wait weight
pool1  maxpool       600  37.5%      -       -         -     0 J  compute
+n: layers that run on this one's tiles before they leave the chip

cycles          1,600 = 1.6 us at 1 GHz, to the end of the last step
convention      rtl: counts an array's work from its first accepted input to its last valid output,
                both counted, as in RTL simulation
MACs            16,000
throughput      20 GOPS of 200 GOPS at peak, two operations a MAC
utilization     10.0% of the PEs' cycles do a useful MAC
mapping         50.0% of the PEs of all folds have work
traffic         72 KiB off chip, 2.00 x compulsory (36 KiB: each operand of a MAC once); 25% of the
                bandwidth
weights buffer  32 KiB of 64 KiB at its fullest
energy          2 uJ: dram 1.5 uJ (75%), array 500 nJ (25%)

Cycles lost against MACs / peak, the worst layers:
  1. conv1 loses 840 of 1,000 cycles: 60% waiting for weights from memory, 29% on PEs that the
     mapping leaves empty, 12% filling the array
  2. pool1 loses 600 of 600 cycles: 83% in lane operations of the vector unit, 17% before and after
     the unit's own work, loading and storing

Not modelled, so free in these figures:
  - sparsity: conv1
"""


def test_the_whole_report() -> None:
    """Peak 100 MACs a cycle: conv1 needs 160 cycles, so 840 are lost, 500 + 240 + 100 of them by cause."""
    assert summarize(RESULT, 100) == REPORT


def test_lost_cycles_are_those_beyond_the_compute_bound() -> None:
    assert peak_macs(RESULT) == 100
    conv, pool = worst(RESULT)
    assert (conv.cycles, pool.cycles) == (840, 600)
    assert dict(conv.shares) == pytest.approx({"wait_weight": 500 / 840, "compute": 240 / 840, "fill": 100 / 840,
                                               "outside": 0.0})  # fmt: skip


def test_shares_of_a_loss_add_up_to_one() -> None:
    for loss in worst(run("tiny_4x4", "gemm:64x64x64"), 99):
        assert sum(share for _, share in loss.shares) == pytest.approx(1.0)


def test_peak_is_that_of_the_chip() -> None:
    assert peak_macs(run("array", "gemm:37x41x43", {"rows": 8, "cols": 4})) == 32


def test_the_convention_is_named() -> None:
    for convention, words in CONVENTIONS.items():
        text = summarize(replace(RESULT, convention=convention), 400)
        assert f"{convention}: counts {words}\n" in text


def test_traffic_below_compulsory_says_why() -> None:
    text = summarize(replace(RESULT, compulsory_bytes={"input": 147456}), 400)
    assert "0.50 x compulsory (144 KiB: each operand of a MAC once; less, as tensors stay on chip)" in text


def test_off_chip_traffic_is_found_under_its_name() -> None:
    assert OFF_CHIP in run("tiny_4x4", "gemm:8x8x8").traffic_bytes


def test_a_result_without_work_has_a_report() -> None:
    empty = replace(RESULT, layers=(), macs=0, cycles=0, seconds=0.0, utilization=0.0)
    assert "cycles          0 = " in summarize(empty, 100)


def test_a_table_drops_spare_columns_before_it_shortens_names() -> None:
    columns = (Column("name", right=False), Column("a"), Column("spare", spare=1))
    rows = [("block1.0.conv1", "123", "abcde")]
    assert table(columns, rows, 40) == "name              a  spare\nblock1.0.conv1  123  abcde\n"
    assert table(columns, rows, 20) == "name              a\nblock1.0.conv1  123\n"
    assert table(columns, rows, 18) == "name             a\nblo...0.conv1  123\n"


def test_names_are_shortened_in_their_middle() -> None:
    assert shorten("layer4.2.conv1", 14) == "layer4.2.conv1"
    assert shorten("layer4.2.conv1", 10) == "la...conv1"


def test_pairs_wrap_below_their_text() -> None:
    assert pairs([("a", "one two three four five six"), ("bcd", "x")], 30) == (
        "a    one two three four five\n     six\nbcd  x\n"
    )
