"""Laws of DRAM in a run: every burst is one of a tensor's, time is the controllers', extrapolation keeps its word."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from hypothesis import strategies as st

import sim
from sim import arch as arch_module
from sim.arch import Dram
from sim.cli import main
from sim.dram.controller import Controller
from sim.engine import Engine
from sim.errors import ConfigError
from sim.frontend import Stage
from sim.kernel import Contraction
from sim.layout import Geometry, Placement
from sim.mapper import Trials
from sim.plan import Load, Plan, Store
from sim.simulate import open_both, simulate
from tests.laws import law, runs_of_stages, walk

DEVICES = ("ddr4_2400r", "ddr5_4800bn", "gddr6_14000", "hbm2_2000")


def with_dram(arch, device="ddr4_2400r", **keys):
    """Return the chip with DRAM instead of its memory."""
    return arch.model_copy(update={"memory": Dram(kind="dram", device=device, **keys)})


@st.composite
def dram_runs(draw):
    """A bounded chip, now with DRAM of some device, policy and layout, and stages that it can run."""
    arch, stages = draw(runs_of_stages(bounded=True))
    layout = {"weight": draw(LAYOUTS), "activation": draw(LAYOUTS)}
    refresh = draw(st.sampled_from(("all_bank", "off")))
    return with_dram(arch, draw(st.sampled_from(DEVICES)), layout=layout, refresh=refresh), stages


LAYOUTS = st.sampled_from(("row_major", "channel_last", "tiled"))


def live(arch):
    return arch.model_copy(update={"memory": arch.memory.model_copy(update={"extrapolate": False})})


def placed(arch, stages):
    device, layout = arch.memory.open(), arch.memory.layout
    layouts = {"weight": layout.weight, "input": layout.activation, "output": layout.activation}
    return Placement(Geometry(device.burst, device.capacity, layouts, {}, arch), stages)


def bursts_of(arch, stages):
    """Return how many bursts all transfers of the stages read and write, walked one by one."""
    placement, moved = placed(arch, stages), {Load: 0, Store: 0}
    for index, stage in enumerate(stages):
        for step, at in walk(stage.plan.body):
            if isinstance(step, Load | Store):
                moved[type(step)] += placement.stream(index, stage, step, at).size
    return moved[Load], moved[Store]


@law(dram_runs(), quick=15, full=400)
def test_burst_by_burst_every_burst_of_every_transfer_is_moved_once(case):
    arch, stages = case
    arch = live(arch)
    found = Engine(arch).run(stages).dram.get("dram", {})
    reads, writes = bursts_of(arch, stages)
    # A burst that waits to be written answers reads of it, and takes up a second write, without the banks.
    assert found["reads"] + found["forwarded"] == reads
    assert found["writes"] + found["merged"] == writes
    assert found["row_hits"] + found["row_misses"] + found["row_conflicts"] == found["reads"] + found["writes"]


@law(dram_runs(), quick=15, full=400)
def test_burst_by_burst_skipping_loops_changes_nothing(case):
    arch, stages = case
    assert Engine(live(arch)).run(stages) == Engine(live(arch), fast_forward=False).run(stages)


@law(dram_runs(), st.sampled_from((1, 64, 512, 4096)), st.sampled_from((2, 8, 16)), quick=6, full=1000)
def test_the_bound_on_the_error_of_extrapolation_holds(case, few, stretch):
    """Even where a run of hundreds of bursts is treated as one of millions is, in shorter stretches too.

    Ports without limits: where they are shared, a cycle more or less can change who comes first for long.
    """
    arch, stages = case
    free = {name: buffer.model_copy(update={"bandwidth": None}) for name, buffer in arch.buffers.items()}
    arch = arch.model_copy(update={"buffers": free})
    with patch("sim.hardware.dram.FEW", few), patch("sim.hardware.dram.STRETCH", stretch):
        quick, exact = Engine(arch).run(stages), Engine(live(arch)).run(stages)
    bound = quick.dram["dram"].get("extrapolation_error_bound", 0.0)
    assert abs(quick.cycles - exact.cycles) <= bound * quick.cycles + 1


@pytest.mark.parametrize("workload", ["gemm:121x250x137", "gemm:64x497x137"])
def test_transfers_behind_a_store_do_not_stand_for_those_that_are_not(workload):
    """Writes come up among the loads behind them: these take long, and where they stood for all, runs were 9 % off."""
    layout = {"weight": "row_major", "activation": "tiled"}
    memory = {"kind": "dram", "device": "lpddr4_3200", "channels": 2, "refresh": "off", "layout": layout}
    free = {f"buffers.{name}.bandwidth": None for name in arch_module.load("gemmini_16x16").buffers}
    sizes = {key.replace("bandwidth", "capacity"): "64 KiB" for key in free}
    keys = {"clock": "200 MHz", "memory": memory, **free, **sizes}
    with patch("sim.hardware.dram.FEW", 512), patch("sim.hardware.dram.STRETCH", 8):
        quick, exact = (sim.run("gemmini_16x16", workload, keys | switch) for switch in ({}, OFF))
    assert 0 < abs(quick.cycles / exact.cycles - 1) < 0.01
    for count in ("reads", "writes"):
        assert quick.dram["dram"][count] == pytest.approx(exact.dram["dram"][count], abs=2)


@law(dram_runs(), quick=15, full=400)
def test_with_dram_every_cycle_has_one_cause_and_the_peak_is_never_exceeded(case):
    arch, stages = case
    run = Engine(live(arch)).run(stages)
    for ledger in run.ledgers.values():
        assert sum(ledger.by_cause().values()) == run.cycles
    device, did = arch.memory.open(), run.dram["dram"]
    moved = (did["reads"] + did["writes"]) * device.burst
    assert moved <= device.peak_bandwidth * (run.cycles + 1) / arch.clock


def alone(device, **keys):
    """Return a chip whose only limit is its DRAM, and a stage that loads 64 x 600 weights."""
    base = arch_module.load("tiny_4x4", {"clock": "1 GHz", "buffers.weights.capacity": "1 MiB"})
    free = {name: buffer.model_copy(update={"bandwidth": None}) for name, buffer in base.buffers.items()}
    arch = with_dram(base.model_copy(update={"buffers": free}), device, **keys)
    load = Load("weight", 64 * 600, (1, 1, 64, 600))
    return arch, Stage(Plan("fc", Contraction("fc", filters=64, channels=600), "array", (load,), (("weight", 1),)), 0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("extrapolate", [True, False])
def test_a_transfer_alone_takes_what_the_controllers_take(device, extrapolate):
    arch, stage = alone(device, refresh="off", extrapolate=extrapolate)
    stream = placed(arch, [stage]).stream(0, stage, stage.plan.body[0], dict.fromkeys("gmnk", 0))
    opened = arch.memory.open()
    controller = Controller(opened, per_clock=-(-opened.buses // opened.timing("BL")))
    clocks = controller.finish(controller.submit(stream, False))
    with patch("sim.hardware.dram.FEW", 1):
        found = Engine(arch).run([stage])
    assert found.cycles == -(-clocks * 10**9 // opened.clock_hertz)


@pytest.mark.parametrize("device", DEVICES)
def test_two_channels_take_half_and_the_latency(device):
    cases = (alone(device, refresh="off"), alone(device, refresh="off", channels=2))
    one, two = (Engine(arch).run([stage]).cycles for arch, stage in cases)
    assert 1.7 < one / two <= 2.05


def cycles(**keys):
    overrides = {"memory": {"kind": "dram", "device": "ddr4_3200aa", **keys}, "clock": "2 GHz"}
    return sim.run("edge_tpu_like", "gemv:2048x2048", overrides).cycles


def test_the_mapping_of_addresses_decides_what_a_stream_takes():
    """Bank groups in the lowest bits let bursts follow each other after tCCD_S instead of tCCD_L."""
    slow = cycles(mapping=["Row", "Bank", "BankGroup", "Rank", "Column"])
    fast = cycles(mapping=["Row", "Rank", "Bank", "Column", "BankGroup"])
    assert slow > 1.3 * fast


def test_a_layout_that_scatters_a_tile_moves_more_bursts():
    mapping = {"tile": {"m": 64, "n": 64, "k": 16}, "order": ["m", "n", "k"]}
    found = {}
    for layout in ("tiled", "row_major"):
        memory = {"kind": "dram", "device": "ddr4_2400r", "layout": {"weight": layout}}
        run = sim.run("edge_tpu_like", "gemm:64x64x1024", {"memory": memory, "mapping": mapping})
        found[layout] = run.dram["dram"]["reads"]
    assert found == {"tiled": 1024 + 4096, "row_major": 4096 + 4096}  # inputs are in pieces of 16 B in both


def test_a_run_of_few_bursts_is_not_extrapolated():
    keys = {"memory": {"kind": "dram", "device": "hbm2_2000"}}
    runs = [sim.run("gemmini_16x16", "conv:16,56,56,16,1,1", keys | switch) for switch in ({}, OFF)]
    assert runs[0].cycles == runs[1].cycles and runs[0].dram == runs[1].dram


OFF = {"memory.extrapolate": "off"}


def test_settings_of_a_whole_and_of_its_parts_go_together_in_any_order():
    whole = {"memory": "ddr4_2400r"}
    first, second = (arch_module.load("tiny_4x4", keys) for keys in ({**whole, **OFF}, {**OFF, **whole}))
    assert first.memory == second.memory and not first.memory.extrapolate


def test_one_key_by_two_names_is_refused():
    with pytest.raises(ConfigError, match=r"--set array.rows: sets units.array.rows, which '--set rows' sets too"):
        arch_module.load("array", {"rows": 2, "array.rows": 4})


def test_the_result_tells_what_the_dram_did(capsys):
    memory = "memory={kind: dram, device: ddr4_2400r}"
    assert main(["run", "edge_tpu_like", "gemm:256x256x256", "--set", memory, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["dram"]["dram"]
    contract = {"row_hits", "row_misses", "row_conflicts", "activates", "refreshes", "bandwidth_utilization"}
    assert contract <= set(found)
    assert 0 < found["bandwidth_utilization"] <= 1


def test_a_device_by_its_name_is_a_memory():
    short = sim.run("edge_tpu_like", "gemm:64x64x64", {"memory": "ddr4_2400r"})
    assert (
        short.dram
        == sim.run("edge_tpu_like", "gemm:64x64x64", {"memory": {"kind": "dram", "device": "ddr4_2400r"}}).dram
    )


@pytest.mark.parametrize("edited", ["own", "parent"])
def test_a_device_that_is_edited_is_read_anew(edited, tmp_path):
    """All that follows from it too: the rates that mappers rank on, and whole runs that a sweep remembers."""
    (tmp_path / "parent.yaml").write_text("extends: lpddr4_3200\nname: parent\n")
    (tmp_path / "own.yaml").write_text("extends: ./parent.yaml\nname: own\n")
    (tmp_path / "fresh.yaml").write_text("extends: lpddr4_3200\nname: fresh\ntiming: {CL: 60, tCCD: 16}\n")

    def cycles(name):
        device = {"memory.device": f"{tmp_path}/{name}.yaml"}
        chip, graph, digests = open_both("edge_tpu_like", "gemm:256x256x256", device)
        return simulate(chip, graph, digests, trials=trials).cycles

    trials = Trials()
    before = cycles("own")
    changed = tmp_path / f"{edited}.yaml"
    changed.write_text(changed.read_text() + "timing: {CL: 60, tCCD: 16}\n")
    assert before < cycles("own") == cycles("fresh")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("memory.device", "ddr4_2400", r"^--set memory.device: unknown DRAM device 'ddr4_2400'; did you"),
        ("memory.mapping", ["Row", "Bank", "Column"], r"^--set memory.mapping: misses Rank, BankGroup; it needs"),
        ("memory.timing", {"tRC": 20}, r"^--set memory.timing: memory.timing.tRC: .* tRC = 20 < tRAS"),
        ("memory.layout.weight", "tile", r"--set memory.layout.weight: unknown value 'tile'; did you mean 'tiled'"),
        ("memory.extrapolate", "no", r"--set memory.extrapolate: .*"),
        ("memory.channels", 3, r"--set memory.channels: must be a power of two, not 3"),
        ("memory.tRCD", 20, r"^--set memory.tRCD: 'tRCD' is a timing parameter: set memory.timing.tRCD, in clocks"),
        ("memory.timing.tRAS", 300, r"^--set memory.timing.tRAS: timing contradicts itself: tRC = 55 < tRAS"),
        ("memory.write_high", 0.1, r"^--set memory.write_high: 0.2 must not be above write_high \(0.1\)"),
        ("memory.timing", {"tRDC": 20}, r"^--set memory.timing: memory.timing.tRDC: unknown timing parameter"),
    ],
)
def test_mistakes_in_memory_are_told_with_the_way_out(key, value, message):
    with pytest.raises(ConfigError, match=message):
        arch_module.load("edge_tpu_like", {"memory": {"kind": "dram", "device": "ddr4_2400r"}, key: value})
