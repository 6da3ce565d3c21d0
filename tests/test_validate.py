"""Predictions beside measurements: what matches what, the figures, the gate, and the pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from sim import cli
from sim.errors import ConfigError
from sim.simulate import run
from sim.validate.compare import compare, validate
from sim.validate.matching import match
from sim.validate.measured import Measured, Measurements
from sim.validate.page import scatter
from sim.validate.statistics import statistics
from sim.validate.text import tell
from tests.laws import law

NET = """\
name: net
inputs: {a: [1, 5, 6], b: [1, 9, 4], c: [1, 2, 30]}
layers:
  - {name: fc1, op: linear, features: 7, in: a, bias: false}
  - {name: fc-2, op: linear, features: 12, in: b, bias: false}
  - {name: fc3, op: linear, features: 3, in: c, bias: false}
"""
KNOBS = {"rows": 4, "cols": 4}


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.yaml").write_text(NET)
    return str(tmp_path / "net.yaml")


def measurements(**cycles: float) -> Measurements:
    return Measurements("m.csv", "csv", tuple(Measured(name, cycles=c) for name, c in cycles.items()), "told")


# --- matching


@pytest.mark.parametrize(("names", "rule", "pairs", "how"), [
    (["fc3", "fc1"], "auto", {"fc3": "fc3", "fc1": "fc1"}, "by name"),
    (["FC1", "fc_2", "nobody"], "auto", {"FC1": "fc1", "fc_2": "fc-2"}, "by name"),
    (["x", "y", "z"], "auto", {"x": "fc1", "y": "fc-2", "z": "fc3"}, "by order"),
    (["fc3", "fc1", "z"], "order", {"fc3": "fc1", "fc1": "fc-2", "z": "fc3"}, "by order"),
    (["x", "y", "z", "total"], "order", {"x": "fc1", "y": "fc-2", "z": "fc3"}, "by order"),
])  # fmt: skip
def test_matching(names: list[str], rule: str, pairs: dict[str, str], how: str) -> None:
    found = match(measurements(**dict.fromkeys(names, 1.0)), ["fc1", "fc-2", "fc3"], rule)
    assert {measured.name: layers[0] for measured, layers in found.pairs} == pairs
    assert found.how == how
    assert found.unmatched == [n for n in names if n not in pairs and n != "total"]
    assert found.not_measured == [n for n in ("fc1", "fc-2", "fc3") if n not in pairs.values()]
    assert (found.total is not None) == ("total" in names)


def test_a_single_measurement_that_is_no_layer_is_the_whole_network() -> None:
    found = match(measurements(top=9.0), ["fc1", "fc-2"])
    assert found.total is not None and found.total.cycles == 9 and not found.pairs


def test_equal_names_win_over_alike_ones() -> None:
    found = match(measurements(**{"FC1": 1.0, "fc1": 2.0}), ["fc1", "fc2"], "name")
    assert [(m.cycles, layers) for m, layers in found.pairs] == [(2.0, ("fc1",))]
    assert found.unmatched == ["FC1"]


def test_a_file_maps_measurements_to_one_or_several_layers(tmp_path: Path, net: str) -> None:
    (tmp_path / "map.yaml").write_text("layers: {front: [fc1, fc-2]}\nignore: [dma]\n")
    given_ = measurements(front=100.0, dma=5.0, fc3=40.0)
    result = run("array", net, KNOBS)
    found = compare(result, given_, str(tmp_path / "map.yaml"))
    assert [(row.name, row.layers) for row in found.rows] == [("front", ("fc1", "fc-2")), ("fc3", ("fc3",))]
    first, second, _ = result.layers
    assert found.rows[0].predicted_cycles == second.start + second.cycles - first.start
    assert found.unmatched == () and found.not_measured == ()
    assert "front = fc1 + fc-2" in tell(found, 100)


def test_a_measurement_of_work_that_runs_with_another_layer_is_told(tmp_path: Path) -> None:
    """A board times the activation apart; here it runs on the tiles of the layer before."""
    (tmp_path / "net.yaml").write_text(NET + "  - {name: relu3, op: relu}\n")
    result = run("tiny_4x4", str(tmp_path / "net.yaml"))
    assert result.layers[-1].fused == ("relu3",)
    found = compare(result, measurements(fc3=40.0, relu3=5.0, dma=9.0))
    assert found.unmatched == ("relu3", "dma")
    assert found.notes == ("relu3 runs on the tiles of fc3 here: the cycles predicted for that are of both",)
    assert "relu3 runs on the tiles of fc3" in tell(found, 100)


@pytest.mark.parametrize(("text", "message"), [
    ("layers: {fornt: fc1}", r"map\.yaml:1: layers\.fornt: unknown measurement 'fornt'; did you mean 'front'\?"),
    ("layers: {front: fc9}", r"map\.yaml:1: layers\.front: unknown layer 'fc9'; did you mean"),
    ("layers: {front: fc1, dma: [fc-2, fc1]}", r"layers\.dma: layer 'fc1' is covered twice"),
    ("ignore: [dna]", r"map\.yaml:1: ignore: unknown measurement 'dna'; did you mean 'dma'\?"),
    ("layer: {front: fc1}", r"map\.yaml:1: layer: unknown key 'layer'; did you mean 'layers'\?"),
])  # fmt: skip
def test_wrong_mapping_files_are_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        match(measurements(front=1.0, dma=2.0), ["fc1", "fc-2", "fc3"], str(tmp_path / "map.yaml"))


@pytest.mark.parametrize(("names", "rule", "message"), [
    (["x", "y"], "auto", r"m\.csv: no measurement matches a layer: it has x, y; the network has fc1, fc-2, fc3; use "
                         r"--match order, or --match FILE\.yaml that holds layers"),
    (["x", "y"], "order", r"m\.csv: 2 measurements and 3 layers cannot be matched by order; pick layers with --layers"),
    (["fc1"], "nmae", r"--match: unknown matching 'nmae'; did you mean 'name'\? choose from: auto, name, order"),
])  # fmt: skip
def test_what_cannot_be_matched_is_told(names: list[str], rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        match(measurements(**dict.fromkeys(names, 1.0)), ["fc1", "fc-2", "fc3"], rule)


# --- figures


cycles_ = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=12)


@law(cycles_, quick=25, full=500)
def test_statistics_equal_those_of_scipy_and_of_their_definitions(pairs: list[tuple[int, int]]) -> None:
    predicted, measured = np.array(pairs, float).T
    found = statistics(predicted, measured)
    assert found.mape == pytest.approx(100 * np.mean(abs(predicted / measured - 1)))
    assert found.total_error_pct == pytest.approx(100 * (predicted.sum() / measured.sum() - 1))
    assert abs(found.largest_error_pct or 0) == pytest.approx(100 * max(abs(predicted / measured - 1)))
    spread = np.var(measured)
    if spread:
        assert found.r2 == pytest.approx(1 - np.mean((measured - predicted) ** 2) / spread)
    else:
        assert found.r2 is None
    if spread and np.var(predicted):
        assert found.rank_correlation == pytest.approx(stats.spearmanr(predicted, measured).statistic)
    else:
        assert found.rank_correlation is None


@law(st.lists(st.integers(1, 99), min_size=2, max_size=9, unique=True), quick=10, full=200)
def test_an_exact_prediction_has_no_error_and_perfect_correlation(cycles: list[int]) -> None:
    found = statistics(cycles, cycles)
    assert (found.mape, found.largest_error_pct, found.total_error_pct) == (0, 0, 0)
    assert found.r2 == 1 and found.rank_correlation == pytest.approx(1)


def test_signs_are_those_of_the_prediction(net: str) -> None:
    low, high, _ = (layer.cycles for layer in run("array", net, KNOBS).layers)
    found = validate("array", net, measurements(fc1=low * 2.0, **{"fc-2": high / 2.0}), KNOBS)
    assert [row.error_pct for row in found.rows] == [-50, 100]
    assert found.statistics.mape == 75 and found.statistics.largest_error_pct == 100
    assert found.rows[0].bound in found.rows[0].causes


def test_counts_may_be_differences_of_edges(net: str) -> None:
    cycles = {layer.name: layer.cycles - 1.0 for layer in run("array", net, KNOBS).layers}
    found = validate("array", net, measurements(**cycles), KNOBS, count="difference")
    assert found.statistics.mape == 0
    assert "so one less than inclusive" in " ".join(tell(found, 80).split())
    with pytest.raises(ConfigError, match="--count: unknown way to count 'inclusiv'; did you mean 'inclusive'"):
        validate("array", net, measurements(**cycles), KNOBS, count="inclusiv")


def test_times_use_the_clock_of_the_chip_where_they_name_none(net: str) -> None:
    result = run("array", net, {**KNOBS, "clock": "200 MHz"})
    times = tuple(Measured(layer.name, seconds=layer.cycles / 200e6) for layer in result.layers)
    found = compare(result, Measurements("m.csv", "csv", times, "told"))
    assert found.statistics.mape == pytest.approx(0, abs=1e-9)


def test_layers_measured_alone_are_predicted_alone(net: str) -> None:
    knobs = {**KNOBS, "weight_buffers": 2}
    alone = {name: float(run("array", net, knobs, layers=name).cycles) for name in ("fc1", "fc-2", "fc3")}
    found = validate("array", net, measurements(**alone, total=sum(alone.values())), knobs, alone=True)
    assert found.statistics.mape == 0 and found.total is not None and found.total.error_pct == 0


def test_layers_in_a_row_overlap_and_alone_they_do_not(net: str) -> None:
    """The next layer's weights load behind the one before, which a layer alone has to wait for."""
    row, alone = (validate("tiny_4x4", net, measurements(fc1=1.0, **{"fc-2": 1.0}, total=1.0), alone=flag)
                  for flag in (False, True))  # fmt: skip
    assert row.total is not None and alone.total is not None
    assert row.total.predicted_cycles < alone.total.predicted_cycles
    assert row.rows[0].predicted_cycles == alone.rows[0].predicted_cycles


def test_bytes_are_compared_where_they_were_counted(net: str) -> None:
    result = run("tiny_4x4", net)
    moved = [sum(sum(o.values()) for o in layer.traffic_bytes["dram"].values()) for layer in result.layers]
    rows = tuple(Measured(layer.name, cycles=layer.cycles, bytes=2 * m if i else None)
                 for i, (layer, m) in enumerate(zip(result.layers, moved, strict=True)))  # fmt: skip
    found = compare(result, Measurements("m.csv", "csv", rows, "told"))
    assert [row.bytes_error_pct for row in found.rows] == [None, -50, -50]
    assert [row.predicted_bytes for row in found.rows] == [None, *moved[1:]]


# --- the command


@pytest.fixture
def board(tmp_path: Path, net: str) -> Any:
    """Return a function that writes the predicted cycles, scaled, as a table of measurements."""

    def write(factor: float = 1.0, extra: str = "") -> str:
        rows = [f"{layer.name},{round(layer.cycles * factor)}" for layer in run("array", net, KNOBS).layers]
        (tmp_path / "board.csv").write_text("\n".join(["layer,cycles", *rows]) + "\n" + extra)
        return str(tmp_path / "board.csv")

    return write


SET = ["--set", "rows=4", "--set", "cols=4"]


def test_the_gate_sets_the_exit_status(net: str, board: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "array", net, board(), *SET, "--max-mape", "0"]) == 0
    assert cli.main(["validate", "array", net, board(2.0), *SET, "--max-mape", "51"]) == 0
    capsys.readouterr()
    assert cli.main(["validate", "array", net, board(2.0), *SET, "--max-mape", "49"]) == 1
    assert capsys.readouterr().err == "the MAPE of 50.00% is above --max-mape 49%\n"


def test_the_gate_judges_a_total_where_that_is_all(net: str, tmp_path: Path) -> None:
    (tmp_path / "top.csv").write_text(f"name,cycles\ntop,{run('array', net, KNOBS).cycles * 2}\n")
    words = ["validate", "array", net, str(tmp_path / "top.csv"), *SET, "--max-mape"]
    assert (cli.main([*words, "50"]), cli.main([*words, "49.9"])) == (0, 1)


def test_json_holds_rows_figures_and_what_did_not_match(
    net: str, board: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["validate", "array", net, board(1.0, "ghost,7\n"), *SET, "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "tiletick.validation/1"
    assert (data["mape"], data["matched_layers"], data["unmatched"]) == (0, 3, ["ghost"])
    assert data["count"] == "inclusive" and data["convention"] == "rtl"
    assert [layer["error_pct"] for layer in data["layers"]] == [0, 0, 0]
    assert data["layers"][0]["predicted_cycles"] == data["layers"][0]["measured_cycles"]


def test_the_text_tells_errors_causes_and_the_way_of_counting(
    net: str, board: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["validate", "array", net, board(2.0, "ghost,7\n"), *SET]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "-50.00%" in text and "MAPE 50.00% over 3 layers" in text and "drain" in text
    assert "cycles count from the first accepted input to the last valid output, both at the rising edge, incl" in text
    assert "Measured and in no layer: ghost" in text


def test_the_page_stands_alone(net: str, board: Any, tmp_path: Path) -> None:
    assert cli.main(["validate", "array", net, board(2.0), *SET, "--report", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    assert text.count("<svg") == 2 and "predicted cycles" in text and "MAPE" in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", "").replace("https://matplotlib.org", "")  # fmt: skip


def test_the_page_is_the_same_for_the_same_data(net: str) -> None:
    found = validate("array", net, measurements(fc1=50.0), KNOBS)
    assert scatter(found) == scatter(found)


@pytest.mark.parametrize(("words", "message"), [
    (["--match", "order", "--layers", "fc1"], "3 measurements and 1 layers cannot be matched by order"),
    (["--count", "half"], "--count: unknown way to count 'half'"),
    (["--match", "none.yaml"], "none.yaml: no such file"),
    (["--max-mape", "nan"], "--max-mape: must be 0 or more, not nan"),
    (["--max-mape", "-1"], "--max-mape: must be 0 or more, not -1"),
    (["--held-out", "1.5"], "--held-out: must be from 0 to 0.9, not 1.5"),
    (["--seed", "-1"], "--seed: must be 0 or more, not -1"),
])  # fmt: skip
def test_mistakes_are_told(
    words: list[str], message: str, net: str, board: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["validate", "array", net, board(), *words]) == 2
    assert message in capsys.readouterr().err
