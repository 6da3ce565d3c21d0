"""`tiletick pim`, and `run` on a PIM device, as a user sees them: results, and one clear message for every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim import cli, library
from sim.dram.schema import OVERRIDE
from sim.pim import load, run
from sim.report.catalogue import catalogue

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def says(capsys: Capture, *words: str) -> str:
    status = cli.main(list(words))
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    return printed.out


def refuses(capsys: Capture, *words: str) -> str:
    status = cli.main(list(words))
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    return printed.err


def pim(capsys: Capture, text: str, *words: str) -> dict[str, Any]:
    Path("p.csv").write_text(text)
    found: dict[str, Any] = json.loads(says(capsys, "pim", "gddr6_aim", "p.csv", *words, "--json", "-"))
    return found


def test_a_program_tells_cycles_commands_and_where_time_goes(capsys: Capture) -> None:
    found = pim(capsys, "op,size,row\nWR_GB,64,\nWR_BIAS,,\nMAC_ABK,64,0\nRD_MAC,,\n", "--set", "refresh=off")
    assert found["commands"] == {
        "ACT16": 1, "PREA": 0, "MAC16": 64, "WRGB": 64, "WRMAC16": 1, "RDMAC16": 1, "TMOD": 3, "REFab": 0
    }  # fmt: skip
    assert (found["cycles"], found["notes"]) == (286 + 128, [])
    assert sum(found["clocks"].values()) == found["cycles"]
    assert found["seconds"] == pytest.approx(found["cycles"] / 2e9)


def test_header_and_size_may_be_left_out_and_json_goes_to_a_file(capsys: Capture) -> None:
    bare = pim(capsys, "MAC_ABK,,5\n\n")
    assert bare["commands"]["MAC16"] == 1
    out = says(capsys, "pim", "gddr6_aim", "p.csv", "--set", "channels=4", "--json", "r.json")
    assert json.loads(Path("r.json").read_text())["commands"]["MAC16"] == 4
    assert "operations  1 on each of 4 channels" in out


def test_multiplying_by_what_was_not_written_is_told_and_strict_refuses(capsys: Capture) -> None:
    note = "p.csv:2: multiplies by more of the global buffer than was written"
    assert pim(capsys, "WR_GB,3,\nMAC_ABK,4,0\n")["notes"] == [note]
    assert refuses(capsys, "pim", "gddr6_aim", "p.csv", "--strict") == (
        f"{note}; put a WR_GB of that size before it\n"
    )  # fmt: skip


@pytest.mark.parametrize(("text", "message"), [
    ("MAC_AB,1,0\n", "p.csv:1: unknown operation 'MAC_AB'; did you mean 'MAC_ABK'? choose from: "
     "MAC_ABK, MAC_SBK, RD_MAC, RD_SBK, WR_BIAS, WR_GB, WR_SBK"),
    ("MAC_ABK,1,16384\n", "p.csv:1: row 16384 is out of range: a bank has 16384 rows, 0 to 16383"),
    ("MAC_ABK,1\n", "p.csv:1: MAC_ABK needs a row from 0 to 16383, not ''"),
    ("op,size,row\nMAC_ABK,1,-1\n", "p.csv:2: MAC_ABK needs a row from 0 to 16383, not '-1'"),
    ("RD_MAC,,3\n", "p.csv:1: RD_MAC goes to no row; leave '3' out"),
    ("WR_GB,0,\n", "p.csv:1: size must be a whole number above zero, not '0'"),
    ("WR_GB,x,\n", "p.csv:1: size must be a whole number above zero, not 'x'"),
    ("MAC_ABK,65,0\n", "p.csv:1: MAC_ABK of size 65 is more than the 64 bursts of a row (2048 bytes, 32 a burst); "
     "split it"),
    ("WR_GB,65,\n", "p.csv:1: WR_GB of size 65 is more than the 64 bursts of a buffer (2048 bytes, 32 a burst); "
     "split it"),
    ("WR_GB,1,,,,\n", "p.csv:1: expected op,size,row,bank,channel, not 'WR_GB,1,,,,'"),
    ("WR_SBK,1,0\n", "p.csv:1: WR_SBK needs a bank from 0 to 15, not ''"),
    ("RD_SBK,1,0,16\n", "p.csv:1: bank 16 is out of range: a channel has 16 banks, 0 to 15"),
    ("MAC_ABK,1,0,1\n", "p.csv:1: MAC_ABK goes to no bank; leave '1' out"),
    ("MAC_ABK,1,0,,1\n", "p.csv:1: channel 1 is out of range: gddr6_aim has 1 channels, 0 to 0"),
    ("op,size,row\n", "p.csv: holds no operations"),
    ("WR,1,\nRD_MAC,,3\n", "p.csv:1: unknown operation 'WR'; did you mean 'WR_GB'? choose from: "
     "MAC_ABK, MAC_SBK, RD_MAC, RD_SBK, WR_BIAS, WR_GB, WR_SBK\np.csv:2: RD_MAC goes to no row; leave '3' out"),
])  # fmt: skip
def test_bad_programs_are_told_by_line(text: str, message: str, capsys: Capture) -> None:
    Path("p.csv").write_text(text)
    assert refuses(capsys, "pim", "gddr6_aim", "p.csv") == message + "\n"


def test_many_bad_lines_are_cut_short(capsys: Capture) -> None:
    Path("p.csv").write_text("WR_GB,0,\n" * 30)
    told = refuses(capsys, "pim", "gddr6_aim", "p.csv").splitlines()
    assert (len(told), told[-1]) == (21, "p.csv: and 10 more bad lines")


@pytest.mark.parametrize(("words", "message"), [
    (["gemv:16x16", "--set", "order=k"], "--set units.banks.order: unknown value 'k'; choose from: kouter, oouter"),
    (["gemv:16x16", "--set", "chanels=8"],
     "--set chanels: unknown key 'chanels'; did you mean 'channels'? choose from: layers.NAME.KEY, "
     "or a key of the chip"),
    (["gemv:16x16", "--set", "number_format=int8"],
     "--set units.banks.number_format: the banks cannot multiply int8; choose from: bf16"),
    (["gemv:16x16", "--set", "refresh=some"],
     "--set units.banks.refresh: unknown value 'some'; choose from: all_bank, off"),
    (["gemv:16x16", "--set", "tREFI=200"],
     "--set units.banks.timing.tREFI: timing contradicts itself: tREFI = 200 <= tRFC = 210 clocks"),
    (["gemv:16x16", "--set", "precision.weight=int8"],
     "--set precision.weight: the banks of gddr6_aim multiply bf16, not int8; they can multiply: bf16"),
    (["gemv:16x16", "--set", "device=gddr6"], "--set units.banks.device: unknown PIM device 'gddr6'; did you mean "
     "'gddr6_aim'? choose from: gddr6_aim, hbm_pim_like, pim_gpt (or give the path of a file)"),
    (["gemv:16x16", "--set", "clock=1 GHz"],
     "--set clock: 1000000000 Hz is not the clock of the banks, 2000000000 Hz; times count in theirs"),
    (["gemv:16x16", "--set", "memory=lpddr4_3200"],
     "--set memory: the banks of a PIM device are the memory; write memory: banks"),
    (["gpt2_xl", "--set", "phase=decode"],
     "'gpt2_xl' with its weights and cache does not fit in the banks of gddr6_aim (1 channels): needs "
     "4187422720 bytes, 536870912 are available; 111406 rows of every bank too many; --set "
     "channels=8 would do"),
    (["gemv:1000000x1024"], "matrix of 'gemv' does not fit in the banks of gddr6_aim (1 channels): needs 2048000000 "
     "bytes, 536870912 are available; 46116 rows of every bank too many; --set channels=4 would do"),
    (["gemv:16x16", "--layers", "fc"], "--layers: unknown layer 'fc'; choose from: gemv"),
])  # fmt: skip
def test_mistakes_of_runs_are_told(words: list[str], message: str, capsys: Capture) -> None:
    assert refuses(capsys, "run", "gddr6_aim", *words) == message + "\n"


@pytest.mark.parametrize(("change", "message"), [
    ("buffer: 4 KiB", "4096 bytes are no whole bursts of 32, or more than a row of 2048"),
    ("timing: {tRP: {cycles: 3, source: nowhere}}", "timing.tRP: unknown source 'nowhere'"),
    ("operations: {WR_GB: {command: WRG}}", "operations.WR_GB.command: unknown command 'WRG'"),
    ("operations: {WR_GB: {command: PREA}}", "PREA is issued by the controller, not by programs"),
    ("commands: {MAC16: {does: refresh}}", "needs one command that does multiply, not 0"),
    ("commands: {MAC16: {latency: tXY}}", "unknown name 'tXY'"),
    ("commands: {MAC16: {scope: Bank}}", "must be Channel: multiply goes to all banks of a channel"),
    ("commands: {ACT: {does: multiply_one}}", "needs one command that does activate_one"),
    ("commands: {TMOD: {mode: bank}}", "is what every command needs but the switch, which has none"),
    ("banks_per_unit: 3", "3 banks a unit do not divide the 16 banks of a channel"),
    ("energy: {mac: {source: nowhere}}", "energy.mac.source: unknown source 'nowhere'"),
    ("constraints: {switch: {window: 2}}", "must be 1: commands to all banks have no window"),
    ("formats: [bf15]", "unknown number format 'bf15'"),
    ("organization: {Rank: 2}", "must give exactly BankGroup, Bank, Row, Column; channels have their own key"),
])  # fmt: skip
def test_bad_devices_are_told(change: str, message: str, capsys: Capture) -> None:
    Path("bad.yaml").write_text(f"extends: gddr6_aim\nname: bad\n{change}\n")
    Path("p.csv").write_text("MAC_ABK,1,0\n")
    assert message in refuses(capsys, "pim", "./bad.yaml", "p.csv")
    told = refuses(capsys, "run", "gddr6_aim", "gemv:16x16", "--set", "device=./bad.yaml")
    assert told.startswith("--set units.banks.device: ")
    assert message in told


def test_a_misspelt_device_is_guessed(capsys: Capture) -> None:
    told = "unknown arch 'gddr6_ai'; did you mean 'gddr6_aim'? choose from: "
    assert refuses(capsys, "run", "gddr6_ai", "gemv:16x16").startswith(told)


def test_a_device_of_ones_own_is_one_file(capsys: Capture) -> None:
    Path("fast.yaml").write_text("extends: gddr6_aim\nname: fast\ntiming: {tRCDRDMAC: 40}\n")
    Path("p.csv").write_text("MAC_ABK,64,0\n")
    assert run("./fast.yaml", "p.csv").cycles == 185 - 16
    assert run("./fast.yaml", "p.csv").validated == "not validated itself"
    out = says(capsys, "run", "gddr6_aim", "gemv:16x16", "--set", "device=./fast.yaml", "--json", "-")
    assert json.loads(out)["cycles"] == json.loads(says(
        capsys, "run", "gddr6_aim", "gemv:16x16", "--set", "tRCDRDMAC=40", "--json", "-"
    ))["cycles"]  # fmt: skip


def test_a_device_that_is_edited_is_read_anew(capsys: Capture) -> None:
    cycles = []
    Path("own.yaml").write_text("extends: ./parent.yaml\nname: own\n")
    for clocks in (56, 40):
        Path("parent.yaml").write_text(f"extends: gddr6_aim\nname: parent\ntiming: {{tRCDRDMAC: {clocks}}}\n")
        out = says(capsys, "run", "gddr6_aim", "gemv:16x16", "--set", "device=./own.yaml", "--json", "-")
        cycles.append(json.loads(out)["cycles"])
    assert cycles[0] > cycles[1]


@pytest.mark.parametrize("name", library.names("pim"))
def test_every_parameter_has_its_source_and_is_shown(name: str, capsys: Capture) -> None:
    spec = load(name).spec
    assert [key for key, each in spec.timing.items() if each.source == OVERRIDE] == []
    out = says(capsys, "show", name)
    assert all(f"  {key} " in out for key in (*spec.timing, *spec.operations, *spec.sources))
    assert catalogue("devices")[name] == spec.description


def test_one_bank_and_one_channel_at_a_time(capsys: Capture) -> None:
    """Channels apart: what takes longest is the end, commands are those of all; two banks are two activations."""
    text = "op,size,row,bank,channel\nWR_SBK,4,7,3,\nWR_SBK,4,7,5,1\nMAC_SBK,8,9,0,1\n"
    found = pim(capsys, text, "--set", "channels=3", "--set", "refresh=off")
    # in channel 1: ACT 1, WR 29 to 35, ACT 36, WR 64 to 70, ACT 71 (of a bank that is closed), MAC 127 to 141
    assert found["cycles"] == 141 + 2
    assert found["commands"]["ACT"] == 3 + 1 + 1
    assert (found["commands"]["WR"], found["commands"]["MAC"], found["commands"]["PREA"]) == (3 * 4 + 4, 8, 0)
    assert found["commands"]["ACT16"] == 0
    assert sum(found["clocks"].values()) == found["cycles"]
    alone = pim(capsys, "op,size,row,bank,channel\nWR_SBK,4,7,3,0\n", "--set", "channels=3")
    assert alone["commands"]["WR"] == 4


def test_show_tells_where_a_network_lies(capsys: Capture) -> None:
    out = says(capsys, "show", "gddr6_aim", "gpt2_xl", "--set", "channels=8", "--set", "phase=decode")
    assert "layer.*.attn.scores          48  kv             76    16   78.1%  3.125 MiB" in out
    assert "16,311 of 16,384 of every unit" in out.replace("\n", " ")
    padded = says(capsys, "show", "hbm_pim_like", "gemv:1024x4096")
    assert "gemv       1  weight          0    64   25.0%  8 MiB" in padded
    small = says(capsys, "show", "gddr6_aim", "gpt2_xl", "--set", "phase=decode")
    assert "--set channels=8 would do" in small
    assert refuses(capsys, "show", "tpu_v1", "gpt2") == (
        "'tpu_v1' has no banks that multiply, in which a network would have its place; show a chip or a network alone, "
        "or a chip such as gddr6_aim\n"
    )  # fmt: skip


def test_a_page_shows_a_run_in_the_banks(capsys: Capture) -> None:
    says(capsys, "run", "gddr6_aim", "gemv:64x3000", "--report", "r.html")
    page = Path("r.html").read_text(encoding="utf-8")
    assert "The chip: gddr6_aim" in page
    assert "companion" in page


def test_a_sequence_is_generated_behind_a_cache_that_grows(capsys: Capture) -> None:
    words = ["--set", "depth=2", "--set", "hidden=128", "--set", "heads=2", "--set", "vocab=99"]
    out = says(capsys, "generate", "gddr6_aim", "gpt2", "--prompt", "9", "--tokens", "40", *words, "--json", "-")
    found = json.loads(out)
    assert found["kv_bytes_per_token"] == 2 * 2 * 128 * 2
    assert found["last_step_seconds"] > found["first_step_seconds"] > 0
    assert found["ttft_seconds"] > found["first_step_seconds"]


def test_a_program_tells_the_energy_of_its_commands(capsys: Capture) -> None:
    """A row of 16 banks, 64 bursts of each multiplied, 64 + 2 bursts over the pins; by the figures of the file."""
    found = pim(capsys, "op,size,row\nWR_GB,64,\nWR_BIAS,,\nMAC_ABK,64,0\nRD_MAC,,\n", "--set", "refresh=off")
    bits = 64 * 16 * 256
    assert found["energy_pj"]["by_action"] == pytest.approx({
        "banks.activate": 16 * 1818, "banks.array": bits * 1.51, "banks.mac": 64 * 16 * 16 * 1.5, "banks.refresh": 0,
        "global_buffer.read": 64 * 256 * 1.17, "io.path": 66 * 256 * 1.17, "io.pins": 66 * 256 * 3.69,
    })  # fmt: skip
    assert found["energy_pj"]["total"] == pytest.approx(sum(found["energy_pj"]["by_component"].values()))
    text = says(capsys, "pim", "gddr6_aim", "p.csv")
    assert "energy      550.8 nJ: banks.array 71.9%" in text
    assert "mac       1.5 pJ for a product and its addition (horowitz" in says(capsys, "show", "gddr6_aim")


def test_the_banks_of_a_run_spend_what_its_commands_do(capsys: Capture) -> None:
    pim(capsys, "WR_GB,64,\nWR_BIAS,,\nMAC_ABK,64,0\nRD_MAC,,\n", "--set", "refresh=off")
    alone = json.loads(says(capsys, "pim", "gddr6_aim", "p.csv", "--set", "refresh=off", "--json", "-"))["energy_pj"]
    out = says(capsys, "run", "gddr6_aim", "gemv:16x1024", "--set", "refresh=off", "--json", "-")
    whole = json.loads(out)["energy_pj"]["by_action"]
    assert {name: whole[name] for name in alone["by_action"]} == pytest.approx(alone["by_action"])
