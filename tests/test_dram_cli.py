"""`tiletick dram` as a user sees it: results, files, and one clear message for every mistake."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sim import cli, library
from sim.dram import load
from sim.dram.schema import OVERRIDE
from sim.dram.serve import run
from tests.dram_cases import CASES

Capture = pytest.CaptureFixture[str]

KEYS = {
    "cycles", "reads", "writes", "activates", "precharges", "refreshes", "row_hits", "row_misses", "row_conflicts",
    "bandwidth_utilization", "bandwidth_gbps", "limiter", "energy_pj",
}  # fmt: skip


def says(capsys: Capture, *words: str) -> str:
    status = cli.main(["dram", *words])
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    return printed.out


def refuses(capsys: Capture, *words: str) -> str:
    status = cli.main(["dram", *words])
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    return printed.err


def result(capsys: Capture, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(says(capsys, *words, "--json", "-"))
    return found


def test_a_reference_stream_from_the_command_line(capsys: Capture) -> None:
    row = CASES["r2-12"]
    words = ["ddr4_2400r", "--pattern", "seqR", "--requests", "20000", "--stride", "64"]
    words += ["--capacity", row["capacity_B"]]
    found = result(capsys, *words, "--set", f"mapping=[{row['mapping_msb_to_lsb']}]", "--set", "refresh=off")
    assert found.keys() >= KEYS
    assert found["cycles"] == int(row["cycles_to_last_data"])
    assert found["bandwidth_utilization"] == pytest.approx(float(row["bus_util"]), abs=1e-5)
    assert found["bandwidth_gbps"] == pytest.approx(float(row["bw_GBps"]), abs=1e-4)
    assert sum(found["limiter"].values()) == pytest.approx(1)
    assert found["energy_pj"]["total"] > 0
    assert found["provenance"]["overrides"]["refresh"] == "off"


@pytest.mark.parametrize("name", library.names("dram"))
@pytest.mark.parametrize("pattern", ["copy", "rndMix3"])
def test_shares_of_the_limiter_add_up(name: str, pattern: str) -> None:
    found = run(name, pattern=pattern, requests=500)
    assert sum(found.limiter.values()) == pytest.approx(1)
    assert found.limiter["data"] == pytest.approx(found.bandwidth_utilization)
    assert all(share > 0 for share in found.limiter.values())


@pytest.mark.parametrize(("mapping", "pattern", "stride", "cause"), [
    ("Row,Bank,BankGroup,Rank,Column", "seqR", 64, "tCCD_L"), ("Row,Bank,BankGroup,Rank,Column", "strR", 131072, "tRC"),
    ("Row,Bank,BankGroup,Rank,Column", "strR", 8192, "tFAW"),
])  # fmt: skip
def test_the_limiter_names_what_holds_back(mapping: str, pattern: str, stride: int, cause: str) -> None:
    overrides = {"mapping": mapping, "refresh": "off"}
    found = run("ddr4_2400r", pattern=pattern, requests=3000, stride=stride, overrides=overrides)
    waits = {name: share for name, share in found.limiter.items() if name != "data"}
    assert max(waits, key=lambda name: waits[name]) == cause
    assert waits[cause] > 0.95 * (1 - found.bandwidth_utilization) - 0.01


def test_opening_the_first_row_is_told_as_such() -> None:
    """One read of DDR4-2400R: 16 clocks of tRCD, 4 of data, 16 of CL and the clock of the activation as latency."""
    found = run("ddr4_2400r", pattern="seqR", requests=1).limiter
    assert found == pytest.approx({"tRCD": 16 / 37, "data": 4 / 37, "latency": 17 / 37})


def test_a_trace_file_is_served_in_order(tmp_path: Path, capsys: Capture) -> None:
    trace, commands = tmp_path / "t.csv", tmp_path / "c.csv"
    trace.write_text("address,write\n0,0\n0x20000,0\n64,1\n")
    found = result(capsys, "ddr4_2400r", str(trace), "--set", "refresh=off", "--commands", str(commands))
    assert (found["reads"], found["writes"], found["requests"]) == (2, 1, 3)
    lines = list(csv.reader(commands.read_text().splitlines()))
    assert lines[0] == ["clock", "command", "rank", "bankgroup", "bank", "row", "column"]
    assert [line[1] for line in lines[1:]][:2] == ["ACT", "RD"]
    assert lines[1] == ["1", "ACT", "0", "0", "0", "0", "0"]


def test_a_trace_needs_no_header(tmp_path: Path) -> None:
    for text in ("address,write\n64,0\n\n128,1\n", "64,0\n128,1"):
        (tmp_path / "t.csv").write_text(text)
        found = run("ddr4_2400r", tmp_path / "t.csv")
        assert (found.reads, found.writes) == (1, 1)


@pytest.mark.parametrize("name", library.names("dram"))
def test_the_columns_of_a_command_trace_are_the_same_for_all_devices(name: str, tmp_path: Path) -> None:
    run(name, pattern="seqR", requests=3, commands=tmp_path / "c.csv")
    head = (tmp_path / "c.csv").read_text().splitlines()[0]
    assert head == "clock,command,rank,bankgroup,bank,row,column"


def test_the_command_trace_counts_banks_through_the_stacks(tmp_path: Path) -> None:
    path, device = tmp_path / "c.csv", load("hbm3_6400")
    stride = device.capacity // device.counts["Row"] // device.counts["Sid"]  # mapped below the row is the stack
    run("hbm3_6400", pattern="strR", stride=stride, requests=device.counts["Sid"], commands=path)
    rows = [row for row in csv.DictReader(path.read_text().splitlines()) if row["command"] == "ACT"]
    assert {int(row["bank"]) for row in rows} == {sid * device.counts["Bank"] for sid in range(device.counts["Sid"])}


def test_the_command_trace_of_several_channels_says_which(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    run("hbm3_6400", pattern="seqR", requests=9000, overrides={"channels": 2}, commands=path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert {row["channel"] for row in rows} == {"0", "1"}
    assert {row["rank"] for row in rows} == {"0", "1"}
    assert [int(row["clock"]) for row in rows] == sorted(int(row["clock"]) for row in rows)


def test_a_new_speed_bin_is_one_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "fast.yaml").write_text(
        "extends: ddr4_3200aa\nname: ddr4_3200w\ndescription: DDR4-3200W\n"
        "timing: {CL: 20, tRCD: 20, tRP: 20, tRC: 72}\n"
    )
    found = result(capsys, str(tmp_path / "fast.yaml"), "--pattern", "seqR", "--requests", "1")
    assert found["cycles"] == 1 + 20 + 20 + 4
    assert found["device"] == "ddr4_3200w"
    assert found["validated"] == "not validated itself; it extends ddr4_3200aa"


def test_the_summary_is_told_without_json(capsys: Capture) -> None:
    out = says(capsys, "lpddr4_3200", "--pattern", "triad", "--requests", "300")
    assert out.startswith("lpddr4_3200: LPDDR4-3200, one 16-bit channel of 8 Gb, one rank\n")
    assert "not validated against another simulator" in out


FILE = "arch_configs/dram/ddr4_2400r.yaml"


@pytest.mark.parametrize(("words", "message"), [
    (["ddr4_2400r", "t.csv", "--requests", "9", "--stride", "64"],
     "--requests, --stride: belongs to --pattern; a trace file says it all"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "timing.tRDC=20"],
     "--set timing.tRDC: unknown timing parameter 'tRDC'; did you mean 'tRC'? choose from: BL, CL, CWL, tCCD_L, "
     "tCCD_S, tCS, tFAW, tRAS, tRC, tRCD, tREFI, tRFC, tRP, tRRD_L, tRRD_S, tRTP, tWR, tWTR_L, tWTR_S"),
    (["ddr4_2400r", "--pattern", "seqR", "--commands", "-"],
     "--commands: needs a file; standard output is for the result"),
    (["ddr4_2400r", "--pattern", "seqR", "--requests", "20000000000"],
     "--requests: expected at most 100000000, not 20000000000"),
    (["ddr4_2400r", "--pattern", "seqR", "--stride", "99999999999999999999"],
     "--stride: expected at most 68719476736, not 99999999999999999999"),
    (["ddr4_2400"], "unknown DRAM device 'ddr4_2400'; did you mean 'ddr4_2400r'? choose from: "
     "ddr4_2400r, ddr4_3200aa, ddr5_4800bn, gddr6_14000, hbm2_2000, hbm3_6400, lpddr4_3200, lpddr5_6400"
     " (or give the path of a file)"),
    (["ddr4_2400r"], "needs either a trace file or --pattern, one of them"),
    (["ddr4_2400r", "--pattern", "seq"], "--pattern: unknown pattern 'seq'; did you mean 'seqW'? choose from: "
     "copy, copyblk, rndMix3, rndR, seqR, seqW, strR, triad"),
    (["ddr4_2400r", "--pattern", "seqR", "--requests", "0"], "--requests: expected a number above zero, not 0"),
    (["ddr4_2400r", "--pattern", "seqR", "--per-clock", "0"], "--per-clock: expected a number above zero, not 0"),
    (["ddr4_2400r", "--pattern", "seqR", "--capacity", "17179869184"],
     "--capacity: 17179869184 bytes are more than the 8589934592 of ddr4_2400r; leave it out, or add channels"),
    (["ddr4_2400r", "--pattern", "copy", "--stride", "1000000"],
     "--pattern: request 8591 at address 8589967296 lies beyond the device's 8589934592 bytes; "
     "use fewer requests or a smaller stride"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "mapping=[Row,Bank,BankGroup,Column]"],
     "--set mapping: misses Rank; it needs each of Rank, BankGroup, Bank, Row, Column once"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "mapping=Row,Bank,BankGroup,Rank,Column,Row"],
     "--set mapping: repeats Row; it needs each of Rank, BankGroup, Bank, Row, Column once"),
    (["gddr6_14000", "--pattern", "seqR", "--set", "mapping=Row,Bank,BankGroup,Rank,Column"],
     "--set mapping: has no use for Rank; it needs each of BankGroup, Bank, Row, Column once"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "mapping=[Row,Bank,BankGrp,Rank,Column]"],
     "--set mapping: mapping[2]: unknown value 'BankGrp'; did you mean 'BankGroup'? choose from: "
     "Bank, BankGroup, Channel, Column, PseudoChannel, Rank, Row, Sid"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "tRC=54"],
     "--set timing.tRC: timing contradicts itself: tRC = 54 < tRAS + tRP = 55 clocks"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "tRAS=40"],
     "--set timing.tRAS: timing.tRC: timing contradicts itself: tRC = 55 < tRAS + tRP = 56 clocks"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "write_high=0.1"],
     "--set write_high: write_low: 0.2 must not be above write_high (0.1)"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "tRC=1.5"],
     "--set timing.tRC: expected a whole number of clocks, not '1.5'"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "mapping=3"],
     "--set mapping: expected fields, the most significant first, as in Row,Bank,Column; not 3"),
    (["ddr4_2400r", "--pattern", "seqR", "--stride", "-64"], "--stride: expected a number above zero, not -64"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "tRFD=54"],
     "--set tRFD: no key 'tRFD' in DRAM device 'ddr4_2400r'; did you mean 'tRFC'?"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "refresh=per_bank"],
     "--set refresh: DDR4 has no refresh by bank here; choose from: all_bank, off"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "refresh=some"],
     "--set refresh: unknown value 'some'; choose from: all_bank, off, per_bank"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "channels=3"],
     "--set channels: must be a power of two, not 3"),
    (["ddr4_2400r", "--pattern", "seqR", "--set", "write_low=0.9"],
     "--set write_low: 0.9 must not be above write_high (0.8)"),
    (["ddr5_4800bn", "--pattern", "seqR", "--set", "energy=currents"],
     "--set energy: energy by currents needs the key currents; there is: events"),
])  # fmt: skip
def test_mistakes_are_told(words: list[str], message: str, capsys: Capture) -> None:
    assert refuses(capsys, *words) == message + "\n"


@pytest.mark.parametrize(("text", "message"), [
    ("address,write\n-64,0\n", "t.csv:2: address -64 lies below zero"),
    ("addr,write\n64,0\n", "t.csv:1: the header must be address,write, not 'addr,write'"),
    ("address,write\n64,0\nx,1\n", "t.csv:3: 'x' is no address; write it as 4096 or 0x1000"),
    ("address,write\n64,0,1\n", "t.csv:2: expected address,write, not '64,0,1'"),
    ("address,write\n64,R\n", "t.csv:2: write must be 0 or 1, not 'R'"),
    ("address,write\n8589934592,0\n", "t.csv:2: address 8589934592 lies beyond the 8589934592 bytes of ddr4_2400r"),
    ("address,write\n", "t.csv: holds no requests"),
    ("address,write\nx,1\n64,2\n", "t.csv:2: 'x' is no address; write it as 4096 or 0x1000\n"
     "t.csv:3: write must be 0 or 1, not '2'"),
])  # fmt: skip
def test_bad_traces_are_told_by_line(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(text)
    assert refuses(capsys, "ddr4_2400r", "t.csv") == message + "\n"


@pytest.mark.parametrize(("change", "message"), [
    ("timing: {tRAS: 90}", "timing contradicts itself: tRC = 55 < tRAS + tRP = 106 clocks"),
    ("timing: {tXYZ: -1}", "-1 is out of range: greater than or equal to 0"),
    ("constraints: {read_read: {latency: tCCD_X}}", "unknown name 'tCCD_X'"),
    ("constraints: {read_read: {following: [RDX]}}", "constraints.read_read.following: unknown command 'RDX'"),
    ("constraints: {read_read: {level: Sid}}", "constraints.read_read.level: unknown level 'Sid'"),
    ("organization: {Row: 1000}", "organization.Row: must be a power of two, not 1000"),
    ("timing: {tRCD: {cycles: 17, source: nowhere}}", "timing.tRCD: unknown source 'nowhere'"),
    ("extends: nothing", "unknown DRAM device 'nothing'"),
])  # fmt: skip
def test_bad_devices_are_told(change: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "bad.yaml"
    base = "" if change.startswith("extends") else "extends: ddr4_2400r\n"
    path.write_text(f"{base}name: bad\ndescription: bad\n{change}\n")
    told = refuses(capsys, str(path), "--pattern", "seqR")
    assert message in told
    assert told.startswith((str(path), f"{FILE}:"))  # the key that contradicts may stand in the base


@pytest.mark.parametrize("name", library.names("dram"))
def test_every_parameter_of_a_bundled_device_has_its_source(name: str) -> None:
    assert [key for key, each in load(name).spec.timing.items() if each.source == OVERRIDE] == []


def test_show_tells_every_timing_gap_and_source(capsys: Capture) -> None:
    assert cli.main(["show", "lpddr5_6400"]) == 0
    out = capsys.readouterr().out
    spec = load("lpddr5_6400").spec
    assert all(f"  {key} " in out for key in spec.timing)
    assert all(gap.latency in out for gap in spec.constraints.values())
    assert all(f"  {key} " in out for key in spec.sources)


def test_a_number_that_is_none_is_refused_in_one_line(capsys: Capture) -> None:
    words = ["ddr4_2400r", "--pattern", "seqR"]
    assert refuses(capsys, *words, "--per-clock", "0.5") == "--per-clock: expected a whole number, not '0.5'\n"
    assert refuses(capsys, *words, "--requests", "ten") == "--requests: expected a whole number, not 'ten'\n"
    assert refuses(capsys, *words, "--requests") == "--requests: expected one argument\n"
