"""The circuits multiply, count as predicted at every knob, export Verilog that does the same, and say what is wrong."""

from __future__ import annotations

import csv
import importlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import cli, extras
from sim.arch import Precision, Systolic
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError, TiletickError
from sim.rtl import bench, machine
from sim.rtl.check import check
from sim.rtl.folds import wrap
from sim.rtl.foreign import OLDEST, PROGRAMS, installed, simulator, version
from sim.simulate import run
from tests.laws import law

FIGURES = Path(__file__).parent / "data" / "figures" / "rtl_systolic_gemm.csv"
MODES = [
    {"dataflow": "ws", "weight_buffers": 1},
    {"dataflow": "ws", "weight_buffers": 2, "swap": "wave"},
    {"dataflow": "ws", "weight_buffers": 2, "swap": "global"},
    {"dataflow": "os", "drain": "serial"},
    {"dataflow": "os", "drain": "overlap"},
    {"dataflow": "os", "drain": "stream"},
]
HAS_COCOTB = importlib.util.find_spec("cocotb_tools") is not None
SIMULATORS = [
    pytest.param(name, marks=pytest.mark.skipif(
        shutil.which(program) is None or version(name) < OLDEST[name] or not HAS_COCOTB,
        reason=f"no {program} on the PATH that cocotb can drive, or no cocotb",
    ))
    for name, program in PROGRAMS.items()
]  # fmt: skip


@st.composite
def points(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A product and an array of 2 x 2 to 16 x 16 in one of the modes of the design's table, odd sizes, M = 1."""
    side, odd = st.integers(2, 16), st.integers(1, 40)
    m = draw(st.one_of(st.just(1), odd))
    knobs = {"rows": draw(side), "cols": draw(side), **draw(st.sampled_from(MODES))}
    return f"gemm:{m}x{draw(odd)}x{draw(odd)}", knobs


@law(points(), quick=20, full=200)
def test_registers_equal_what_run_predicts(point: tuple[str, dict[str, Any]]) -> None:
    workload, knobs = point
    found = check("array", workload, knobs)
    assert found.rtl_cycles == found.predicted_cycles == run("array", workload, knobs).cycles
    assert found.mismatches == 0


@st.composite
def knobbed(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A product and a small array with any value of any knob."""
    knobs = {
        "rows": draw(st.integers(1, 5)), "cols": draw(st.integers(1, 5)),
        "dataflow": draw(st.sampled_from(("ws", "is", "os"))), "sram_read_latency": draw(st.integers(0, 3)),
        "output_register": draw(st.integers(0, 3)), "pe_pipeline": draw(st.integers(1, 4)),
        "weight_buffers": draw(st.integers(1, 2)), "swap": draw(st.sampled_from(("wave", "global"))),
        "drain": draw(st.sampled_from(("serial", "overlap", "stream"))),
    }  # fmt: skip
    size = st.integers(1, 13)
    return f"gemm:{draw(size)}x{draw(size)}x{draw(size)}", knobs


@law(knobbed(), quick=25, full=300)
def test_every_knob_means_in_gates_what_the_closed_forms_say(point: tuple[str, dict[str, Any]]) -> None:
    found = check("array", *point)
    assert (found.rtl_cycles, found.mismatches) == (found.predicted_cycles, 0)


@pytest.mark.parametrize("workload", [
    "conv:3,9,7,8,3,2,stride=2,pad=1", "conv:8,6,6,8,3,3,groups=4", "conv:2,5,5,3,3,3,dilation=2,batch=2", "gemv:9x20",
])  # fmt: skip
@pytest.mark.parametrize("groups", ["serial", "auto"])
@pytest.mark.parametrize("dataflow", ["ws", "is", "os"])
def test_layers_are_what_numpy_makes_of_them(workload: str, groups: str, dataflow: str) -> None:
    found = check("array", workload, {"rows": 6, "cols": 5, "dataflow": dataflow, "mapping.groups": groups})
    assert (found.rtl_cycles, found.mismatches) == (found.predicted_cycles, 0)


def test_wave_swap_is_slower_than_global_swap_where_one_row_streams() -> None:
    """Weights may follow only once the far corner has swapped, which takes longer than a drained M = 1."""
    wave, whole = (check("array", "gemm:1x8x8", {"rows": 4, "cols": 4, "weight_buffers": 2, "swap": s})
                   for s in ("wave", "global"))  # fmt: skip
    assert (wave.rtl_cycles, whole.rtl_cycles) == (49, 40)  # rows of rtl_systolic_gemm.csv


def test_edges_are_those_of_independent_verilog() -> None:
    """First and last output edges of the 4 x 4 rows of another engineer's arrays under Icarus Verilog."""
    lines = [line for line in FIGURES.read_text().splitlines() if not line.startswith("#")]
    rows = [row for row in csv.DictReader(lines) if int(row["R"]) <= 8 and int(row["total_cycles"]) < 400]
    modes = {("ws", "0"): 0, ("ws", "1"): 1, ("ws", "2"): 2, ("os", "0"): 3, ("os", "1"): 4}
    assert len(rows) > 25
    for row in rows:
        knobs = {"rows": int(row["R"]), "cols": int(row["C"]), **MODES[modes[row["array"], row["mode"]]]}
        found = check("array", f"gemm:{row['M']}x{row['N']}x{row['K']}", knobs)
        assert found.rtl_cycles == int(row["total_cycles"])


@pytest.mark.parametrize(("weight", "input_", "sums"), [("int4", "int8", "int16"), ("int16", "int4", "int32")])
@pytest.mark.parametrize("dataflow", ["ws", "is", "os"])
def test_operands_may_differ_in_width(weight: str, input_: str, sums: str, dataflow: str) -> None:
    precision = {"precision.weight": weight, "precision.input": input_, "precision.partial_sum": sums}
    assert not check("array", "gemm:7x6x40", {"rows": 4, "cols": 4, "dataflow": dataflow, **precision}).mismatches


def test_sums_wrap_as_their_registers_do() -> None:
    """40 products of -8 and -128 are 40,960, which 16 bits hold as -24,576."""
    array = Systolic(kind="systolic", rows=1, cols=1, dataflow="os")
    circuit = machine.build(array, Precision(weight="int4", partial_sum="int16"))
    full = bench.Fold(None, np.full((40, 1), -128), np.full((40, 1), -8))
    (found,) = bench.outputs(circuit, [full], bench.simulate(circuit, [full]))
    assert found.tolist() == wrap(np.array([[40 * 8 * 128]]), 16).tolist() == [[-24576]]


def test_a_wrong_product_is_seen() -> None:
    def broken(circuit: machine.Machine, folds: list[bench.Fold]) -> bench.Observed:
        seen = bench.simulate(circuit, folds)
        seen.columns[1][2] ^= 1
        return seen

    assert check("array", "gemm:5x4x3", {"rows": 4, "cols": 4}, simulator=broken).mismatches == 1


def test_wrapping_is_that_of_twos_complement() -> None:
    assert wrap(np.array([127, 128, -128, -129, 256]), 8).tolist() == [127, -128, -128, 127, 0]
    assert [bench.signed(word, 4) for word in (0, 7, 8, 15, 16)] == [0, 7, -8, -1, 0]
    assert bench.pack([1, -1, 3], 4) == 0x3F1


def test_a_stuck_circuit_is_told() -> None:
    circuit = machine.build(Systolic(kind="systolic", rows=2, cols=2, dataflow="ws"), Precision())
    one_row_of_two = bench.Fold(np.ones((1, 2), int), np.ones((3, 2), int))
    with pytest.raises(TiletickError, match="the circuit is stuck: no transfer between cycle 0 and 72"):
        bench.simulate(circuit, [one_row_of_two])


@pytest.mark.parametrize(("settings", "message"), [
    (["convention=scalesim"], "convention: 'scalesim' counts by formula and has no circuit; --set convention=rtl"),
    (["precision.input=fp16", "precision.partial_sum=fp32"],
     "precision.input: the circuits compute in integers, not fp16; --set precision.input=int8\n"
     "precision.partial_sum: the circuits compute in integers, not fp32; --set precision.partial_sum=int32"),
    (["count=2", "link={bandwidth: 64 B/cycle}"],
     "units.array.count: register by register there is one array, not 2; --set count=1"),
])  # fmt: skip
def test_arrays_without_a_circuit_are_told(
    settings: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    assert cli.main(["rtl", "array", "gemm:4x4x4", *words]) == 2
    assert capsys.readouterr().err == message + "\n"


def test_every_dataflow_has_a_circuit_or_is_refused_by_name() -> None:
    for name in {DATAFLOWS[name].name for name in DATAFLOWS} - set(machine.CIRCUITS):
        with pytest.raises(ConfigError, match=f"unknown dataflow with a circuit '{name}'"):
            machine.build(Systolic(kind="systolic", dataflow=name), Precision())


def test_long_runs_and_unknown_layers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rtl", "array", "gemm:4x4x4", "--seed", "-1"]) == 2
    assert capsys.readouterr().err == "--seed: must be 0 or more, not -1\n"
    assert cli.main(["rtl", "array", "gemm:300000x1x1"]) == 2
    assert "cycles are predicted, and registers are slow: pick layers with --layers" in capsys.readouterr().err
    assert cli.main(["rtl", "array", "alexnet", "--layers", "conv9"]) == 2
    assert "--layers: unknown layer 'conv9'; did you mean" in capsys.readouterr().err


def test_the_command_tells_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "array.v"
    assert cli.main(["rtl", "array", "gemm:5x6x7", "--set", "rows=4", "--verilog", str(file), "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "tiletick.rtl/1"
    assert data["cycles"] == data["rtl_cycles"] == data["predicted_cycles"] == 2 * (2 * 4 + 16 + 5)
    assert data["product_correct"] is True and data["layers"][0]["folds"] == 2
    assert "module array(clk, rst," in file.read_text()
    assert cli.main(["rtl", "array", "gemm:5x6x7"]) == 0
    assert "53 in registers, 53 predicted: exact" in capsys.readouterr().out


def test_a_missing_package_is_told_with_its_extra() -> None:
    with pytest.raises(TiletickError, match=r"'no_such_package' is not installed; pip install 'tiletick\[rtl\]'"):
        extras.load("no_such_package", "rtl")


def test_a_missing_simulator_or_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"none\.v: no such file"):
        simulator(tmp_path / "none.v", "array")
    (tmp_path / "mine.v").write_text("module array; endmodule\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TiletickError, match="nor verilator is on the PATH; install it"):
        simulator(tmp_path / "mine.v", "array")
    with pytest.raises(TiletickError, match="verilator is not on the PATH"):
        simulator(tmp_path / "mine.v", "array", "verilator")


def program(folder: Path, name: str, said: str) -> None:
    """Put a program into a folder that says its version."""
    (folder / name).write_text(f"#!/bin/sh\necho '{said}'\n")
    (folder / name).chmod(0o755)


def test_a_simulator_that_cocotb_cannot_drive_is_told_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "verilator", "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)")
    with pytest.raises(TiletickError, match=r"too old for cocotb: verilator 5\.006 \(needs 5\.036\); install a newer"):
        installed(None)
    program(tmp_path, "iverilog", "Icarus Verilog version 10.3 (stable) (v10_3)")
    with pytest.raises(TiletickError, match=r"iverilog 10\.3 \(needs 11\.0\), verilator 5\.006 \(needs 5"):
        installed(None)
    program(tmp_path, "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    assert installed(None) == installed("verilator") == "verilator"
    program(tmp_path, "iverilog", "Icarus Verilog version 11.0 (stable) ()")
    assert installed(None) == "icarus"


@pytest.mark.parametrize("simulator_name", SIMULATORS)
@pytest.mark.parametrize("knobs", MODES, ids=lambda knobs: "-".join(map(str, knobs.values())))
def test_exported_verilog_does_the_same_in_a_verilog_simulator(
    knobs: dict[str, Any], simulator_name: str, tmp_path: Path
) -> None:
    file = tmp_path / "array.v"
    words = ["--set", "rows=3", "--set", "cols=4", *(w for k, v in knobs.items() for w in ("--set", f"{k}={v}"))]
    theirs = ["--simulate", str(file), "--simulator", simulator_name, "--json", str(tmp_path / "b")]
    assert cli.main(["rtl", "array", "gemm:4x7x9", *words, "--verilog", str(file), "--json", str(tmp_path / "a")]) == 0
    assert cli.main(["rtl", "array", "gemm:4x7x9", *words, *theirs]) == 0
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


@pytest.mark.parametrize("simulator_name", SIMULATORS)
@pytest.mark.parametrize(("text", "message"), [
    ("module array(input clk, input rst); endmodule", r"has no port stream_valid, stream_last, stream_rows"),
    ("module array(input clk, input rst; endmodule", r"cannot run module 'array'; it says:"),
])  # fmt: skip
def test_verilog_that_is_no_array_is_told(text: str, message: str, simulator_name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.v").write_text(text + "\n")
    theirs = simulator(tmp_path / "mine.v", "array", simulator_name)
    with pytest.raises(TiletickError, match=message):
        check("array", "gemm:2x2x2", {"rows": 2, "cols": 2}, simulator=theirs)


BENCH = """
`timescale 1ns/1ps
module tb;
  reg clk = 0, rst = 1, load_valid = 0, stream_valid = 0, stream_last = 0;
  reg [31:0] load_data = 32'h01020304, stream_rows = 32'h05060708;
  wire load_ready, stream_ready, out_last;
  wire [3:0] out_valid;
  wire [127:0] out_data;
  integer loads = 0, steps = 0, ends = 0;
  array dut(.clk(clk), .rst(rst), .load_data(load_data), .load_valid(load_valid), .stream_last(stream_last),
            .stream_rows(stream_rows), .stream_valid(stream_valid), .load_ready(load_ready), .out_data(out_data),
            .out_last(out_last), .out_valid(out_valid), .stream_ready(stream_ready));
  always #5 clk = ~clk;
  initial begin $dumpfile("wave.vcd"); $dumpvars(0, tb); #22 rst = 0; end
  always @(negedge clk) if (!rst) begin
    load_valid <= loads < 36; stream_valid <= steps < 81; stream_last <= steps % 9 == 8;
  end
  always @(posedge clk) if (!rst) begin
    if (load_valid && load_ready) loads = loads + 1;
    if (stream_valid && stream_ready) steps = steps + 1;
    if (out_last) ends = ends + 1;
    if (ends == 9) #20 $finish;
  end
endmodule
"""
"""A bench of a user's own, without cocotb: nine folds of a 4 x 4 array, nine rows each."""


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_a_waveform_that_icarus_wrote_is_validated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    knobs = ["--set", "rows=4", "--set", "cols=4", "--set", "weight_buffers=2"]
    assert cli.main(["rtl", "array", "gemm:9x10x11", *knobs, "--verilog", "array.v"]) == 0
    (tmp_path / "tb.v").write_text(BENCH)
    subprocess.run(["iverilog", "-g2012", "-o", "tb.vvp", "tb.v", "array.v"], check=True)
    subprocess.run(["vvp", "tb.vvp"], check=True, capture_output=True)
    ports = ["--input", "tb.load_valid,tb.load_ready", "--input", "tb.stream_valid,tb.stream_ready",
             "--output", "tb.out_valid", "--clock-signal", "tb.clk"]  # fmt: skip
    capsys.readouterr()
    words = ["validate", "array", "gemm:9x10x11", "wave.vcd", *knobs, *ports, "--max-mape", "0", "--json", "-"]
    assert cli.main(words) == 0
    (layer,) = json.loads(capsys.readouterr().out)["layers"]
    assert layer["measured_cycles"] == layer["predicted_cycles"] == 117
