"""The command line: exit statuses, what goes where, and every message in full."""

import csv
import io
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

import sim
from sim import cli
from sim.commands import _options, _progress
from sim.commands import run as run_command
from sim.errors import ConfigError
from sim.report.tree import tree

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def says(capsys: Capture, *words: str) -> str:
    """Return what a command prints that succeeds without a word on standard error."""
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refuses(capsys: Capture, *words: str) -> str:
    """Return the message of a command that fails by the user's mistake and prints nothing else."""
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


def process(*words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sim", *words], capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


# --- help and usage


def test_help_lists_every_command_by_the_first_line_of_its_file(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for name in cli.command_names():
        assert f"\n  {name} " in out
    assert "List the chips, networks, operators" in out


@pytest.mark.parametrize("name", cli.command_names())
def test_every_command_has_help(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: tiletick {name}" in capsys.readouterr().out


def test_no_command_shows_the_overview_on_standard_error(capsys: Capture) -> None:
    assert refuses(capsys).startswith("usage: tiletick COMMAND ...")


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tiletick {sim.__version__}\n"


def test_an_unknown_command_is_told_with_the_nearest(capsys: Capture) -> None:
    choices = ", ".join(sorted(cli.command_names()))
    assert refuses(capsys, "rnu") == f"unknown command 'rnu'; did you mean 'run'? choose from: {choices}\n"


def test_a_missing_argument_is_a_usage_error(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "array"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith(
        "tiletick run: error: the following arguments are required: WORKLOAD\n"
    )


@pytest.mark.parametrize("option", ["--jso", "--josn=-"])
def test_an_option_is_written_out_and_told_with_the_nearest(capsys: Capture, option: str) -> None:
    told = refuses(capsys, "run", "array", "gemm:4x4x4", option)
    assert told.startswith(f"unknown option '{option.partition('=')[0]}'; did you mean '--json'? choose from: --csv, ")


def test_help_costs_less_than_three_tenths_of_a_cpu_second() -> None:
    before = os.times()
    assert process("--help").returncode == 0
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent <= 0.3


# --- exit statuses of the process


def test_a_mistake_exits_2_with_one_message_and_no_traceback() -> None:
    done = process("run", "edge_tpu_lik", "resnet50")
    assert (done.returncode, done.stdout) == (2, "")
    names = ", ".join(sim.catalogue("archs"))
    assert done.stderr == (
        "unknown arch 'edge_tpu_lik'; did you mean 'edge_tpu_like'? choose from: "
        f"{names} (or give the path of a file)\n"
    )


def test_an_interrupt_exits_130_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupted(options: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "execute", interrupted)
    assert cli.main(["run", "array", "gemm:4x4x4"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes that break are of POSIX")
def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sim", "show", "resnet50"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_without_utf8_gets_the_text_all_the_same() -> None:
    done = process("list", "ops", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "relu " in done.stdout


# --- run


def test_json_to_standard_output_is_the_result_and_nothing_else(capsys: Capture) -> None:
    data = json.loads(says(capsys, "run", "array", "gemm:64x32x16", "--json", "-"))
    assert data["schema"] == "tiletick.result/1"
    assert data["macs"] == 64 * 32 * 16
    assert data == json.loads(json.dumps(sim.run("array", "gemm:64x32x16").to_dict()))


def test_csv_to_standard_output_has_a_row_a_layer(capsys: Capture) -> None:
    rows = list(csv.DictReader(io.StringIO(says(capsys, "run", "array", "gemm:8x8x8", "--csv", "-"))))
    assert [(row["name"], row["macs"]) for row in rows] == [("gemm", "512")]


def test_json_and_csv_files_are_written_beside_the_table(tmp_path: Path, capsys: Capture) -> None:
    one, two = tmp_path / "r.json", tmp_path / "r.csv"
    out = says(capsys, "run", "array", "gemm:8x8x8", "--json", str(one), "--csv", str(two))
    assert out.startswith("gemm:8x8x8 on array\n")
    assert sim.load_result(one) == sim.run("array", "gemm:8x8x8")
    assert two.read_text().startswith("name,op,unit,start,cycles,macs")


def test_json_and_csv_cannot_share_a_target(capsys: Capture) -> None:
    words = ("run", "array", "gemm:8x8x8", "--json", "-", "--csv", "-")
    assert refuses(capsys, *words) == "--json and --csv cannot both go to '-'\n"


def test_a_target_in_no_folder_is_a_mistake(capsys: Capture) -> None:
    target = "/nowhere/r.json"
    message = f"{target}: cannot be written: No such file or directory\n"
    assert refuses(capsys, "run", "array", "gemm:8x8x8", "--json", target) == message


def test_set_reaches_the_chip_and_is_read_as_in_a_file(capsys: Capture) -> None:
    words = ("run", "array", "gemm:8x8x8", "--set", "array.rows=4", "--set", "dataflow=os", "--json", "-")
    data = json.loads(says(capsys, *words))
    assert data["provenance"]["overrides"] == {"array.rows": 4, "dataflow": "os"}


def test_set_without_a_value_and_twice_are_told_together(capsys: Capture) -> None:
    words = ("run", "array", "gemm:8x8x8", "--set", "rows", "--set", "cols=4", "--set", "cols=5", "--set", "=3")
    assert refuses(capsys, *words) == (
        "--set rows: expected KEY=VALUE, as in --set array.rows=32\n"
        "--set cols: is set twice\n"
        "--set =3: expected KEY=VALUE, as in --set array.rows=32\n"
    )


def test_set_on_an_unknown_key_is_a_mistake(capsys: Capture) -> None:
    message = refuses(capsys, "run", "array", "gemm:8x8x8", "--set", "array.rosw=4")
    assert message.startswith("--set array.rosw: ")


def test_layers_and_fast_forward_and_strict_are_passed_on(capsys: Capture) -> None:
    words = ("run", "array", "gemm:64x64x64", "--layers", "g*", "--no-fast-forward", "--json", "-")
    assert json.loads(says(capsys, *words))["cycles"] == sim.run("array", "gemm:64x64x64").cycles
    unknown = refuses(capsys, "run", "array", "gemm:8x8x8", "--layers", "conv*")
    assert unknown.startswith("--layers: unknown layer 'conv*'")
    assert refuses(capsys, "run", "array", "resnet18", "--strict").startswith("not modelled: ")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_report_fits_the_width_without_colour(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = says(capsys, "run", "array", "mobilenet_v2").splitlines()
    assert max(map(len, lines)) <= width
    assert not any("\x1b" in line or "│" in line or "|" in line for line in lines)


# --- list, show, energy


@pytest.mark.parametrize("kind", ["archs", "workloads", "ops", "dataflows", "attention", "energy", "devices", "graphs"])
def test_list_names_everything_with_a_description(kind: str, capsys: Capture) -> None:
    entries = sim.catalogue(kind)
    assert entries
    assert all(entries.values()), [name for name, text in entries.items() if not text]
    listed = [line.split()[0] for line in says(capsys, "list", kind).splitlines() if not line.startswith(" ")]
    assert listed == list(entries)


def test_list_of_everything_has_all_kinds(capsys: Capture) -> None:
    out = says(capsys, "list")
    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == [
        "archs", "workloads", "ops", "dataflows", "attention", "energy", "devices", "graphs"
    ]  # fmt: skip


def test_list_of_an_unknown_kind_names_the_kinds(capsys: Capture) -> None:
    kinds = "archs, attention, dataflows, devices, energy, graphs, ops, workloads"
    assert refuses(capsys, "list", "arch") == f"unknown list 'arch'; did you mean 'archs'? choose from: {kinds}\n"


def test_show_spells_out_defaults_units_and_what_follows(capsys: Capture) -> None:
    out = says(capsys, "show", "tiny_4x4", "--set", "inputs.capacity=64 KiB")
    for line in ("clock                  100 MHz", "    capacity           64 KiB", "  latency              100 ns",
                 "  peak         16 MACs/cycle = 3.2 GOPS, two operations a MAC",
                 "  off chip     4 B/cycle in bursts of 16 B, 10 cycles of latency",
                 "  ridge point  4 MACs a byte; a layer with fewer waits for memory"):  # fmt: skip
        assert f"{line}" in out
    assert "    output_register    1           default; registers behind the last PE of a column\n" in out
    assert "how two weight registers exchange roles; one of wave, global" in " ".join(out.split())


def keys(data: dict[str, object]) -> list[str]:
    """Return the keys of `data` and of all mappings in it."""
    return [key for name, value in data.items() for key in [name, *(keys(value) if isinstance(value, dict) else [])]]


@pytest.mark.parametrize("name", sim.catalogue("archs"))
def test_show_tells_every_key_of_every_chip(name: str) -> None:
    chip = sim.load_arch(name)
    shown = {line.split()[0] for line in tree(chip, 120).splitlines()}
    assert set(keys(chip.model_dump())) <= shown
    assert sim.show(name).startswith(f"{name}: ")


def test_show_of_a_network_puts_totals_beside_the_published(capsys: Capture) -> None:
    out = says(capsys, "show", "resnet50")
    assert "MACs        4,089,184,256 (published: 4,089,184,256)" in out
    assert "parameters  25,557,032 (published: 25,557,032)" in out
    assert "conv1            conv2d" in out


def test_show_takes_overrides_of_a_network_and_inline_forms(capsys: Capture) -> None:
    assert "image 2x3x224x224" in says(capsys, "show", "resnet18", "--set", "batch=2")
    assert "MACs        60" in says(capsys, "show", "gemm:3x4x5")


def test_show_by_path_tells_chips_from_networks(tmp_path: Path, capsys: Capture) -> None:
    chip = tmp_path / "mine.yaml"
    chip.write_text("extends: tiny_4x4\nname: mine\n")
    assert says(capsys, "show", str(chip)).startswith("mine: ")
    net = tmp_path / "net.yaml"
    net.write_text("name: net\ninputs: {x: [1, 4]}\nlayers:\n  - {name: fc, op: linear, features: 2}\n")
    assert "MACs        8" in says(capsys, "show", str(net))


def test_show_of_an_unknown_name_looks_among_chips_and_networks(capsys: Capture) -> None:
    message = refuses(capsys, "show", "resnet5O")
    names = ", ".join(sorted([*sim.catalogue("archs"), *sim.catalogue("workloads")]))
    assert message == (
        f"unknown chip or network 'resnet5O'; did you mean 'resnet50'? choose from: {names} (or give a path)\n"
    )


def test_show_of_nothing_says_what_it_needs(capsys: Capture) -> None:
    assert refuses(capsys, "show") == "show needs the name of a chip or a network (or --schema)\n"


@pytest.mark.parametrize(("words", "title"), [((), "Arch"), (("array",), "Arch"), (("vgg16",), "Workload")])
def test_show_schema_is_the_json_schema_of_the_file(words: tuple[str, ...], title: str, capsys: Capture) -> None:
    data = json.loads(says(capsys, "show", *words, "--schema"))
    assert data["title"] == title
    assert data["additionalProperties"] is False


def test_energy_compares_the_tables(capsys: Capture) -> None:
    out = says(capsys, "energy")
    assert [line.split()[0] for line in out.splitlines()[1:] if line][: len(sim.catalogue("energy"))] == list(
        sim.catalogue("energy")
    )


def test_energy_of_a_table_and_its_sources(capsys: Capture) -> None:
    assert "mac int8 into int32             0.3" in says(capsys, "energy", "45nm")
    assert "0.03 pJ (int8, 45 nm, 0.9 V) Horowitz" in says(capsys, "energy", "45nm", "--sources")
    assert "7nm: " in says(capsys, "energy", "--sources")


def test_energy_of_an_unknown_table_names_the_tables(capsys: Capture) -> None:
    names = ", ".join(sim.catalogue("energy"))
    message = f"unknown energy table '44nm'; did you mean '45nm'? choose from: {names} (or give the path of a file)\n"
    assert refuses(capsys, "energy", "44nm") == message


# --- import, compare


def test_import_writes_a_workload_that_runs(tmp_path: Path, capsys: Capture) -> None:
    sheet, out = tmp_path / "net.csv", tmp_path / "net.yaml"
    sheet.write_text(
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
        "Conv1, 8, 8, 3, 3, 4, 8, 1,\n"
    )
    said = says(capsys, "import", "scalesim", str(sheet), "-o", str(out))
    assert said.startswith(f"{out}: workload with 1 layers")
    assert json.loads(says(capsys, "run", "array", str(out), "--json", "-"))["macs"] == 6 * 6 * 9 * 4 * 8


def test_import_of_another_format_is_told_in_one_line(capsys: Capture) -> None:
    told = "FORMAT: invalid choice: 'caffe' (choose from 'hf', 'onnx', 'scalesim')\n"
    assert refuses(capsys, "import", "caffe", "net.prototxt", "-o", "net.yaml") == told


def test_compare_gives_ratios_to_the_first(tmp_path: Path, capsys: Capture) -> None:
    for rows in (16, 8):
        says(capsys, "run", "array", "gemm:64x64x64", "--set", f"rows={rows}", "--json", str(tmp_path / f"{rows}.json"))
    files = [str(tmp_path / "16.json"), str(tmp_path / "8.json")]
    first, second = (sim.load_result(file) for file in files)
    lines = says(capsys, "compare", *files).splitlines()
    assert f"{first.cycles:,}" in lines[1]
    assert f"{second.cycles:,}  x{second.cycles / first.cycles:.3g}" in lines[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("{", "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "is no tiletick result (schema None, not 'tiletick.result/1')"),
        ('{"schema": "other"}', "is no tiletick result (schema 'other', not 'tiletick.result/1')"),
    ],
)
def test_compare_says_what_is_wrong_with_a_file(
    text: str | None, message: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "r.json"
    if text is not None:
        file.write_text(text)
    assert refuses(capsys, "compare", str(file)) == f"{file}: {message}\n"


# --- progress


class Terminal(io.StringIO):
    """Standard error as a terminal would be."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (60.0, False)])
def test_the_bar_appears_only_after_its_patience(patience: float, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "PATIENCE", patience)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with _progress.Bar() as bar:
        bar.advance(0, 2, "conv1")
        bar.advance(1, 2, "conv2")
    assert ("conv2" in terminal.getvalue()) is shown


def test_the_bar_never_appears_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    with _progress.Bar() as bar:
        bar.advance(0, 2, "conv1")
    assert pipe.getvalue() == ""


def test_overrides_read_numbers_words_and_lists() -> None:
    assert _options.overrides(["a=16", "b.c=ws", "d=[1, 2]", "e=64 KiB", "f="]) == {
        "a": 16, "b.c": "ws", "d": [1, 2], "e": "64 KiB", "f": None
    }  # fmt: skip
    with pytest.raises(ConfigError):
        _options.overrides(["a"])
