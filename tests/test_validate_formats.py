"""Every format of measurements: a real-shaped sample is read right, a broken one is a clear error, never a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim.errors import ConfigError
from sim.validate.measured import FORMATS, Choices, Measured, read

DATA = Path(__file__).parent / "data" / "measured"
PORTS = Choices(inputs=(("in_valid", "in_ready"),), outputs=(("out_valid", "", "out_last"),))
UNCUT = Choices(inputs=(("in_valid", "in_ready"),), outputs=(("out_valid",),))


@pytest.fixture
def given(tmp_path: Path) -> Any:
    """Return a function that writes a text to a file and reads it as measurements."""

    def measure(text: str, choices: Choices | None = None, name: str = "m.csv", wanted: str | None = None) -> Any:
        (tmp_path / name).write_bytes(text.encode())
        return read(tmp_path / name, choices or Choices(), wanted)

    return measure


def sample(name: str) -> str:
    return (DATA / name).read_text()


@pytest.mark.parametrize(("file", "wanted"), [
    ("csynth.xml", "csynth"), ("network_cosim.rpt", "cosim"), ("xrt_summary.csv", "xrt"), ("ila.csv", "ila"),
    ("wave.vcd", "vcd"),
])  # fmt: skip
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_formats_are_known_by_their_looks(file: str, wanted: str, ends: str, given: Any) -> None:
    """Whatever their line ends, and with a byte order mark."""
    text = sample(file).replace("\n", ends)
    found = given("\N{BYTE ORDER MARK}" + text, PORTS, file)
    assert found.format == wanted
    assert found.rows == read(DATA / file, PORTS).rows


@pytest.mark.parametrize("name", list(FORMATS))
def test_empty_files_are_told(name: str, given: Any) -> None:
    for text in ("", " \r\n\n"):
        with pytest.raises(ConfigError, match=r"m\.csv: is empty"):
            given(text, PORTS, wanted=name)


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("file", ["csynth.xml", "network_cosim.rpt", "xrt_summary.csv", "ila.csv", "wave.vcd"])
def test_the_wrong_format_is_an_error_and_no_number(name: str, file: str, given: Any) -> None:
    if FORMATS[name].recognizes(sample(file)):
        return
    with pytest.raises(ConfigError):
        given(sample(file), PORTS, wanted=name)


# --- CSV tables


@pytest.mark.parametrize(("text", "rows"), [
    ("layer,cycles\na,10\nb,20\n", [("a", 10, None), ("b", 20, None)]),
    ("# board 3\nName ; Cycles ; Bytes\r\n a ; 10 ; 64\r\n\r\n# end\r\n", [("a", 10, 64)]),
    ("layer\tcycles\tbytes\na\t10\t\n", [("a", 10, None)]),
    ('layer,cycles,note\n"conv1, left",10,"x, y"\n', [("conv1, left", 10, None)]),
    ("layer,cycles,\na,10,\n", [("a", 10, None)]),
    ("layer,measured_cycles\na,10.0\n", [("a", 10, None)]), ("layer,time_cycles\na,10\n", [("a", 10, None)]),
])  # fmt: skip
def test_tables_of_cycles(text: str, rows: list[Any], given: Any) -> None:
    assert [(row.name, row.cycles, row.bytes) for row in given(text).rows] == rows


@pytest.mark.parametrize(("text", "cycles"), [
    ("layer,time_us\na,2\n", 200), ("layer,ms\na,0.002\n", 200), ("layer,latency (ns)\na,2e3\n", 200),
    ("layer,time\na,2 us\n", 200), ("layer,seconds\na,2e-6\n", 200),
    ("layer,time_us,frequency_mhz\na,2,250\n", 500), ("layer,time_us,clock\na,2,250 MHz\n", 500),
    ("layer,time_us,frequency_mhz\na,2,\n", 200),
])  # fmt: skip
def test_times_become_cycles_of_their_clock_or_the_chips(text: str, cycles: float, given: Any) -> None:
    (row,) = given(text).rows
    assert row.in_cycles(100e6) == pytest.approx(cycles, rel=1e-12)


def test_columns_that_are_not_compared_are_named(given: Any) -> None:
    assert given("layer,board,cycles,watts\na,zcu102,5,2\n").notes == ("columns that are not compared: board, watts",)


@pytest.mark.parametrize(("text", "message"), [
    ("layer,cycels\na,1\n", r"m\.csv:1: the header has no column 'cycles'; did you mean 'cycles' by 'cycels'\? "
                            r"\(columns: layer, cycels; a header is e\.g\. layer,cycles or layer,time_ms\)"),
    ("cycles\n1\n", r"m\.csv:1: the header has no column 'layer'"),
    ("a,10\nb,20\n", r"m\.csv:1: the header has no column 'layer' and no column 'cycles'"),
    ("layer,cycles\n", r"m\.csv: has a header and no rows"),
    ("# nothing\n", r"m\.csv: holds nothing but comments"),
    ("layer,cycles\na,ten\n", r"m\.csv:2: cycles 'ten' is not a whole number in plain digits, as in 12345"),
    ("layer,cycles\na,1.5\n", r"m\.csv:2: cycles '1\.5' is not a whole number"),
    ("layer,cycles\na,0x10\n", r"m\.csv:2: cycles '0x10' is not a whole number"),
    ('layer,cycles\na,"1,234"\n', r"m\.csv:2: cycles '1,234' is not a whole number"),
    ("layer,cycles\na,1,234\n", r"m\.csv:2: has 3 cells where the header has 2"),
    ("layer,cycles\na,-5\n", r"m\.csv:2: cycles '-5' is not a whole number"),
    ("layer,cycles\na,0\n", r"m\.csv:2: cycles '0' must be greater than zero"),
    ("layer,cycles\na,\n", r"m\.csv:2: layer 'a' has neither cycles nor a time"),
    ("layer,cycles\n,5\n", r"m\.csv:2: has no name in column 'layer'"),
    ("layer,cycles\na,5\nb,x\nc\n", r"m\.csv:3: cycles 'x'[^\n]*\n.*m\.csv:4: has 1 cells where the header has 2"),
    ("layer,cycles\na,5\na,6\n", r"m\.csv: layer 'a' stands in it more than once"),
    ("layer,cycles,clock_cycles\na,5,6\n", r"m\.csv:1: has more than one column of cycles"),
    ("layer,time_ms\na,nan\n", r"m\.csv:2: time_ms 'nan' is not a number"),
    ("layer,time\na,5\n", r"m\.csv:2: time: time 5 needs a unit, as in '100 ns', or say it in "
                            r"the header: time_cycles or time_ms"),
])  # fmt: skip
def test_broken_tables_are_told(text: str, message: str, given: Any) -> None:
    with pytest.raises(ConfigError, match=message):
        given(text)


# --- Vitis HLS


@pytest.mark.parametrize(("statistic", "cycles"), [
    ("min", [("network", 251), ("fc1", 121)]), ("avg", [("network", 255), ("fc1", 123)]),
    ("max", [("network", 260), ("fc1", 125)]),
])  # fmt: skip
def test_synthesis_estimates(statistic: Any, cycles: list[Any]) -> None:
    found = read(DATA / "csynth.xml", Choices(statistic))
    assert [(row.name, row.cycles) for row in found.rows] == cycles
    assert found.notes == ("latency undef, left out: fc2",)


@pytest.mark.parametrize(("old", "new", "message"), [
    (">255<", ">undef<", None),
    (">255<", ">12.5<", "Average-caseLatency of 'network' is '12.5', which is no number of cycles"),
    (">255<", ">0xff<", "Average-caseLatency of 'network' is '0xff'"),
    ("<Average-caseLatency>255</Average-caseLatency>", "", "Average-caseLatency of 'network' is missing"),
    ("SummaryOfOverallLatency>", "Other>", "has no PerformanceEstimates/SummaryOfOverallLatency; was synthesis"),
    ("TopModelName", "Top", "is no csynth.xml: it has no UserAssignments/TopModelName"),
    ("</profile>", "", "is not whole XML: no element found"),
])  # fmt: skip
def test_broken_synthesis_reports_are_told(old: str, new: str, message: str | None, given: Any) -> None:
    text = sample("csynth.xml").replace(old, new)
    if message is None:
        assert [row.name for row in given(text).rows] == ["fc1"]  # what is defined is still there
        return
    with pytest.raises(ConfigError, match=f"m.csv: {message}"):
        given(text)


def test_a_synthesis_report_without_any_latency_says_the_way_out(given: Any) -> None:
    text = sample("csynth.xml").replace(">255<", ">undef<").replace(">123<", ">undef<")
    with pytest.raises(ConfigError, match=r"'network' is undef: a loop bound is variable; give it with #pragma"):
        given(text)


@pytest.mark.parametrize(("statistic", "cycles"), [("min", 250), ("avg", 255), ("max", 260)])
def test_cosimulation(statistic: Any, cycles: int) -> None:
    found = read(DATA / "network_cosim.rpt", Choices(statistic))
    assert found.rows == (Measured("network", cycles=cycles),)


def test_cosimulation_without_total_time_and_with_a_title(given: Any) -> None:
    lines = [line[:-24] if line[:1] in "+|" else line for line in sample("network_cosim.rpt").splitlines()]
    found = given("\n".join(["Cosimulation Report for 'top'", *lines]))
    assert found.rows == (Measured("top", cycles=255),)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("      Pass|", "      Fail|", "co-simulation of Verilog did not pass: Fail"),
    ("      Pass|", "        NA|", "no language was simulated: every status is NA"),
    ("            255|", "             NA|", "the avg latency of Verilog is 'NA', no number of cycles"),
    ("            255|", "          undef|", "the avg latency of Verilog is 'undef'"),
    ("            255|", "              0|", "the avg latency of Verilog is '0'"),
    ("            250|            255|            260|", "            255|",
     "the row of Verilog has 7 cells, not 8 or 9"),
    ("Verilog|", "SystemC|", "no language was simulated"),
    ("VHDL|", "SysC|", None),
])  # fmt: skip
def test_broken_cosimulation_reports_are_told(old: str, new: str, message: str | None, given: Any) -> None:
    text = sample("network_cosim.rpt").replace(old, new)
    if message is None:
        assert given(text).rows[0].cycles == 255
    else:
        with pytest.raises(ConfigError, match=message):
            given(text)


def test_languages_that_differ_are_told(given: Any) -> None:
    row = next(line for line in sample("network_cosim.rpt").splitlines() if "Verilog" in line)
    other = row.replace("Verilog", "   VHDL").replace("255", "256")
    with pytest.raises(ConfigError, match="Verilog and VHDL differ: 255 and 256 cycles"):
        given(sample("network_cosim.rpt").replace(row, f"{row}\n{other}"))


# --- XRT


def test_profile_summaries_know_their_clock() -> None:
    found = read(DATA / "xrt_summary.csv")
    assert [row.name for row in found.rows] == ["fc1", "fc2"]
    assert [row.in_cycles(1.0) for row in found.rows] == pytest.approx([123, 72], rel=1e-9)
    assert not found.notes


def test_kernel_tables_take_the_clock_of_the_chip(given: Any) -> None:
    text, _, _ = sample("xrt_summary.csv").partition("Compute Unit Utilization")
    found = given(text, Choices("max"))
    assert [row.in_cycles(200e6) for row in found.rows] == pytest.approx([84, 48], rel=1e-9)
    assert found.notes == ("'Kernel Execution' names no clock: times are turned into cycles of the chip's",)


@pytest.mark.parametrize(("old", "new", "message"), [
    (",0.00041,0.00042,300,", ",,0.00042,300,", r"m\.csv:19: Average Time \(ms\) '' is not a number"),
    (",0.00041,0.00042,300,", ",0,0.00042,300,", r"m\.csv:19: Average Time \(ms\) '0' must be greater than zero"),
    (",0.00041,0.00042,300,", ",nan,0.00042,300,", r"Average Time \(ms\) 'nan' must be greater than zero"),
    (",0.00041,0.00042,300,", ",", r"m\.csv:19: the row has 12 cells, the header 15"),
    ("Average Time (ms),Maximum Time (ms),Clock", "Clock", r"m\.csv:18: the table has no column 'Average Time \(ms\)'"),
    ("0.00042,300,", "0.00042,fast,", r"Clock Frequency \(MHz\) 'fast' is not a number"),
])  # fmt: skip
def test_broken_profile_summaries_are_told(old: str, new: str, message: str, given: Any) -> None:
    text = sample("xrt_summary.csv")
    assert old in text
    with pytest.raises(ConfigError, match=message):
        given(text.replace(old, new))


def test_profile_summaries_without_runs_are_told(given: Any) -> None:
    with pytest.raises(ConfigError, match="has no rows under 'Compute Unit Utilization' or 'Kernel Execution'; was a"):
        given("Profile Summary\n\nKernel Execution\nKernel,Number Of Enqueues,Average Time (ms),\n\n")


# --- traces


@pytest.mark.parametrize("file", ["ila.csv", "wave.vcd"])
def test_layers_run_from_the_first_accepted_input_to_the_last_output(file: str) -> None:
    """Inputs are accepted at edges 2, 4 (3 waits), and 9; outputs leave at 6, 7 and 12."""
    found = read(DATA / file, PORTS)
    assert [(row.name, row.cycles) for row in found.rows] == [("segment 1", 6), ("segment 2", 4)]
    assert found.notes == ("15 edges; inputs wait for ready at 1, the array for inputs at 10",)
    (whole,) = read(DATA / file, UNCUT).rows
    assert (whole.name, whole.cycles) == ("trace", 11)


@pytest.mark.parametrize("file", ["ila.csv", "wave.vcd"])
def test_last_marks_of_inputs_tell_layers_that_overlap_apart(file: str) -> None:
    """With every accepted input the last of its layer: inputs at 2, 4, 9, 10 begin layers, outputs end two of them."""
    overlapped = Choices(inputs=(("in_valid", "in_ready", "in_valid"),), outputs=(("out_valid", "", "out_last"),))
    found = read(DATA / file, overlapped)
    assert [row.cycles for row in found.rows] == [7 - 2 + 1, 12 - 4 + 1]
    assert found.notes[-1] == "a layer that begins at edge 9 does not end in the trace; left out"


@pytest.mark.parametrize("file", ["ila.csv", "wave.vcd"])
@pytest.mark.parametrize(("choices", "message"), [
    (Choices(), r"a trace needs the names of its signals: --input VALID,READY --output VALID\[,READY\[,LAST\]\]"),
    (Choices(inputs=(("in_vlaid",),), outputs=(("out_valid",),)), "unknown .* 'in_vlaid'; did you mean 'in_valid'"
                                                                  "|unknown probe 'in_vlaid'"),
    (Choices(inputs=(("in_valid",),), outputs=(("out_last", "in_valid"),)), "no input is accepted that an output"),
])  # fmt: skip
def test_traces_without_their_signals_are_told(file: str, choices: Choices, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(DATA / file, choices)


def test_radixes_rule_how_probes_are_read(given: Any) -> None:
    """Vivado writes the radix of each column; without that line all are hexadecimal. X is no valid bit."""
    text = sample("ila.csv")
    assert [row.cycles for row in given(text.replace("BINARY", "UNSIGNED"), PORTS).rows] == [6, 4]
    no_radix = "\n".join(line for line in text.splitlines() if not line.startswith("Radix"))
    with pytest.raises(ConfigError, match=r"unknown radix 'TERNARY'; did you mean 'BINARY'\? choose from: BINARY, HEX"):
        given(text.replace("BINARY", "TERNARY"), PORTS)
    assert [row.cycles for row in given(no_radix, PORTS).rows] == [6, 4]
    assert [row.cycles for row in given(text.replace(",11,0\n", ",1X,0\n"), PORTS).rows] == [6, 4]
    with pytest.raises(ConfigError, match=r"core/out_valid\[1:0\]: '02' is no number of base 2; is its radix right"):
        given(text.replace(",11,0\n", ",02,0\n"), PORTS)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("Sample in Window", "Window", "the header begins with Sample in Buffer, Window, TRIGGER, not Sample in Buffer"),
    ("5,5,0,", "5,6,0,", "sample 5: '6' is not the next sample in its window"),
    ("5,5,0,0,1,-35,00,0", "5,5,0,0", "sample 5 has 4 cells, the header 8"),
    ("UNSIGNED,HEX,HEX,SIGNED,BINARY,HEX", "UNSIGNED", "the radix line has 3 cells, the header 8"),
])  # fmt: skip
def test_broken_captures_are_told(old: str, new: str, message: str, given: Any) -> None:
    assert old in sample("ila.csv")
    with pytest.raises(ConfigError, match=message):
        given(sample("ila.csv").replace(old, new), PORTS)


def test_captures_with_missing_clocks_are_refused(given: Any) -> None:
    lines = sample("ila.csv").splitlines()
    table = [line.split(",") for line in lines]
    table[0].insert(3, "GAP")
    table[1].insert(3, "UNSIGNED")
    for index, row in enumerate(table[2:]):
        row.insert(3, str(int(index == 8)))
    with pytest.raises(ConfigError, match="sample 8 is a gap: clocks are missing, so cycles cannot be counted"):
        given("\n".join(",".join(row) for row in table), PORTS)


def test_windows_of_a_capture_are_traces_of_their_own(given: Any) -> None:
    head, radix, *body = sample("ila.csv").splitlines()
    again = [line.replace(line.split(",")[0], str(int(line.split(",")[0]) + 15), 1) for line in body]
    found = given("\n".join([head, radix, *body, *again]), UNCUT)
    assert [(row.name, row.cycles) for row in found.rows] == [("segment 1", 11), ("segment 2", 11)]


@pytest.mark.parametrize(("old", "new", "message"), [
    ("$enddefinitions $end", "", "is not a whole VCD|ends before"),
    (" clk ", " tick ", "no signal is called like a clock; name it with --clock-signal"),
    ("$var wire 16 & in_data [15:0]", "$var wire 1 & clk", "more than one signal may be the clock; name it with"),
    ("1\"\n", "7\"\n", "is not a whole VCD"),
])  # fmt: skip
def test_broken_waveforms_are_told(old: str, new: str, message: str, given: Any) -> None:
    assert old in sample("wave.vcd")
    with pytest.raises(ConfigError, match=message):
        given(sample("wave.vcd").replace(old, new), PORTS)


def test_signals_of_a_waveform_may_be_named_in_full(given: Any) -> None:
    twin = sample("wave.vcd").replace(
        "$scope module core", "$scope module other $end\n$var wire 1 + in_valid $end\n$upscope $end\n$scope module core"
    )
    with pytest.raises(ConfigError, match=r"could be tb\.core\.in_valid or tb\.other\.in_valid; write it out"):
        given(twin, PORTS)
    full = Choices(inputs=(("core.in_valid", "in_ready"),), outputs=PORTS.outputs, clock_signal="tb.clk")
    assert [row.cycles for row in given(twin, full).rows] == [6, 4]


def test_outputs_of_rtl_are_read_back(given: Any) -> None:
    text = '{"schema": "tiletick.rtl/1", "layers": [{"name": "gemm", "rtl_cycles": 7}]}'
    found = given(text)
    assert found.rows == (Measured("gemm", cycles=7.0),) and found.alone
    for broken, message in (('{"layers": [{}]}', "is no output of tiletick rtl --json"), ("{", "is not JSON"),
                            ('{"layers": []}', "has no layers")):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            given(broken)
