"""Fits find what was hidden, say how sure they are, and say what cannot be told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import cli
from sim.errors import CapacityError, ConfigError
from sim.validate.fit import fit
from sim.validate.parameters import Parameter, parameters

SIZES = [(3, 20, 20), (20, 6, 9), (12, 33, 8), (1, 20, 3), (12, 7, 13), (5, 3, 30)]
BOARDS = [
    {"weight_buffers": 2, "swap": "wave", "sram_read_latency": 3},
    {"weight_buffers": 2, "swap": "global", "sram_read_latency": 0},
    {"weight_buffers": 1, "swap": "wave", "sram_read_latency": 2},
]


@pytest.fixture
def net(tmp_path: Path) -> str:
    inputs = "".join(f"  x{i}: [1, {m}, {k}]\n" for i, (m, _, k) in enumerate(SIZES))
    layers = "".join(f"  - {{name: l{i}, op: linear, features: {n}, in: x{i}, bias: false}}\n"
                     for i, (_, n, _) in enumerate(SIZES))  # fmt: skip
    (tmp_path / "net.yaml").write_text(f"name: net\ninputs:\n{inputs}layers:\n{layers}")
    return str(tmp_path / "net.yaml")


def settings(knobs: dict[str, Any]) -> list[str]:
    return [word for key, value in knobs.items() for word in ("--set", f"{key}={value}")]


@pytest.mark.parametrize("hidden", [BOARDS[0], *(pytest.param(board, marks=pytest.mark.slow) for board in BOARDS[1:])])
def test_knobs_of_a_made_up_board_are_found(hidden: dict[str, Any], net: str, tmp_path: Path) -> None:
    """Registers make the cycles, the closed forms fit them: neither knows of the other."""
    board, out, size = str(tmp_path / "board.json"), tmp_path / "fit.json", {"rows": 5, "cols": 4}
    assert cli.main(["rtl", "array", net, *settings(size | hidden), "--json", board]) == 0
    keys = ["--fit", "weight_buffers", "swap", "sram_read_latency=0..3"]
    words = ["validate", "array", net, board, *settings(size), *keys, "--json", str(out), "--max-mape", "0"]
    assert cli.main(words) == 0
    found = json.loads(out.read_text())["fit"]
    values = {one["key"].rpartition(".")[2]: one["value"] for one in found["parameters"]}
    loose = {one["key"].rpartition(".")[2] for one in found["parameters"] if not one["sure"]}
    assert {key: value for key, value in values.items() if key not in loose} == {
        key: value for key, value in hidden.items() if key not in loose
    }
    assert loose == ({"swap"} if hidden["weight_buffers"] == 1 else set())  # one register a PE never swaps
    assert bool(found["warnings"]) == bool(loose)
    assert found["held_out_mape"][1] == 0 and len(found["held_out_layers"]) == 2
    assert found["held_out_mape"][0] > 0


def test_registers_whose_sum_alone_counts_are_told_to_be_so(net: str, tmp_path: Path, capsys: Any) -> None:
    """With one weight register a PE, read latency and output registers add up: any split fits."""
    board, size = str(tmp_path / "board.json"), {"rows": 4, "cols": 4}
    assert cli.main(["rtl", "array", net, *settings({**size, "sram_read_latency": 2}), "--json", board]) == 0
    capsys.readouterr()
    keys = ["--fit", "sram_read_latency=0..2", "output_register=0..2"]
    assert cli.main(["validate", "array", net, board, *settings(size), *keys]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "the measurements do not tell units.array.sram_read_latency and units.array.output_register for sure" in text
    assert "MAPE of 4 fitted layers" in text and "0.00% after; of 2 held out" in text


# --- the method, on models with known answers

RATE = Parameter("rate", 3.0, (), "bandwidth", 1.0, 1000.0)
DELAY = Parameter("delay", 1e-7, (), "time", 0.0, 1e-6)
WORK = np.array([100.0, 900.0, 3000.0, 12000.0, 50000.0, 700.0, 8000.0])
NAMES = [f"l{i}" for i in range(len(WORK))]


def bandwidth(settings_: Any) -> float:
    return float(settings_["rate"].split()[0])


def model(settings_: Any) -> Any:
    return WORK / bandwidth(settings_) * 1000 + float(settings_["delay"].split()[0]) * 1e9


def test_quantities_are_found_within_their_intervals() -> None:
    truth = {"rate": "42 B/s", "delay": "2e-07 s"}
    noise = 1 + 0.01 * np.random.default_rng(1).standard_normal(len(WORK))
    found = fit([RATE, DELAY], NAMES, model(truth) * noise, model, model({"rate": "3 B/s", "delay": "1e-7 s"}), 0.0)
    rate, delay = found.parameters
    assert rate.low <= 42 <= rate.high and rate.high / rate.low < 1.2
    assert delay.low <= 2e-7 <= delay.high and delay.sure and rate.sure
    assert not found.warnings and found.held_out_mape is None
    assert found.fitted_mape[1] < 1.5 < found.fitted_mape[0]


def jagged(settings_: Any) -> Any:
    """Return cycles that jump where a mapping would change: every other layer by up to 40 %, three times an octave."""
    jumps = np.floor(3 * np.log2(bandwidth(settings_))) % 3
    return model(settings_) * (1 + 0.2 * jumps * (np.arange(len(WORK)) % 2))


@pytest.mark.parametrize("truth", [
    {"rate": "42 B/s", "delay": "2e-07 s"}, {"rate": "7 B/s", "delay": "6e-07 s"},
    {"rate": "150 B/s", "delay": "5e-07 s"}, {"rate": "300 B/s", "delay": "1e-07 s"},
])  # fmt: skip
def test_the_best_of_many_valleys_is_found(truth: dict[str, str]) -> None:
    """The truth lies within the intervals; descents from the coarse scan alone may end in a wrong valley."""
    measured = jagged(truth) * (1 + 0.005 * np.random.default_rng(1).standard_normal(len(WORK)))
    start = jagged({"rate": "3 B/s", "delay": "1e-7 s"})
    found = fit([RATE, DELAY], NAMES, measured, jagged, start, 0.0)
    assert found.fitted_mape[1] < 0.6
    for one, value in zip(found.parameters, (float(text.split()[0]) for text in truth.values()), strict=True):
        assert one.low <= value <= one.high


def test_more_noise_gives_wider_intervals() -> None:
    widths = []
    for sigma in (0.005, 0.05):
        noise = 1 + sigma * np.random.default_rng(2).standard_normal(len(WORK))
        cycles = model({"rate": "42 B/s", "delay": "2e-07 s"}) * noise
        rate = fit([RATE, DELAY], NAMES, cycles, model, cycles, 0.0).parameters[0]
        widths.append(rate.high / rate.low)
    assert widths[0] < widths[1]


def test_quantities_that_only_act_together_are_told() -> None:
    rate, twin = (Parameter(key, 3e7, (), "bandwidth", 1e6, 1e9) for key in ("rate", "twin"))

    def both(s: Any) -> Any:
        return WORK * 1e18 / (bandwidth(s) * float(s["twin"].split()[0]))

    cycles = both({"rate": "40000000 B/s", "twin": "50000000 B/s"})
    found = fit([rate, twin], NAMES, cycles, both, cycles, 0.0)
    assert found.fitted_mape[1] < 2
    assert found.warnings == ("rate and twin cannot be told apart: changing them together changes no layer much",)
    for one in found.parameters:
        assert (one.low, one.high, one.sure) == (pytest.approx(1e6), pytest.approx(1e9), False)


def test_a_quantity_without_effect_is_told() -> None:
    cycles = WORK * 10
    found = fit([RATE], NAMES, cycles, lambda s: cycles, cycles, 0.0)
    assert found.warnings == ("no fitted layer depends on rate near this value",)
    assert not found.parameters[0].sure


def test_many_combinations_are_searched_by_evolution() -> None:
    many = [Parameter(f"k{i}", 0, tuple(range(12))) for i in range(4)]  # 20,736 combinations
    weights = np.random.default_rng(3).integers(1, 60, (len(WORK), 4))

    def linear(s: Any) -> Any:
        return 50 + weights @ np.array([s[f"k{i}"] for i in range(4)])

    found = fit(many, NAMES, linear({"k0": 7, "k1": 2, "k2": 11, "k3": 5}), linear, WORK, 0.0)
    assert [one.value for one in found.parameters] == [7, 2, 11, 5]
    assert found.runs <= 3000


def test_values_that_no_chip_can_run_are_passed_over() -> None:
    size = Parameter("size", 1, (1, 2, 4))

    def run(s: Any) -> Any:
        if s["size"] < 4:
            raise CapacityError("it", "sram", 2, 1, "grow")
        return WORK * 2

    assert fit([size], NAMES, WORK, run, WORK).parameters[0].value == 4
    with pytest.raises(ConfigError, match="--fit: no values in these ranges give a chip that can run the network"):
        fit([Parameter("size", 1, (1, 2))], NAMES, WORK, run, WORK)


def test_few_layers_hold_none_out_and_are_told() -> None:
    found = fit([RATE, DELAY], NAMES[:2], WORK[:2], lambda s: model(s)[:2], WORK[:2])
    assert found.held_out_layers == () and found.held_out_mape is None
    assert "2 layers are too few to tell 2 parameters apart" in found.warnings


# --- what may be fitted


@pytest.mark.parametrize(("text", "values"), [
    ("swap", ("wave", "global")), ("weight_buffers", (1, 2)), ("sram_read_latency", tuple(range(9))),
    ("rows", tuple(range(1, 33))), ("sram_read_latency=2..4", (2, 3, 4)), ("cols=4,8,16", (4, 8, 16)),
    ("drain=overlap", ("overlap",)), ("prefetch", (False, True)),
])  # fmt: skip
def test_values_of_keys(text: str, values: tuple[Any, ...]) -> None:
    (found,) = parameters([text], "array", {})
    assert sorted(found.values, key=str) == sorted(values, key=str)
    assert found.key.endswith(text.partition("=")[0])


def test_quantities_span_a_range_around_their_value() -> None:
    rate, delay, size = parameters(
        ["memory.bandwidth", "memory.latency=0 ns..200 ns", "weights.capacity"], "tiny_4x4", {}
    )
    assert (rate.low, rate.high) == (rate.start / 16, rate.start * 16)
    assert (delay.low, delay.high) == (0, pytest.approx(2e-7)) and not delay.logarithmic
    assert size.values[4] == size.start and len(size.values) == 9
    assert rate.written(1e9) == "1000000000 B/s" and size.shown(4096) == "4 KiB" and delay.shown(0) == "0 s"
    assert [rate.place(rate.at(x)) for x in (0, 0.3, 1)] == pytest.approx([0, 0.3, 1])


@pytest.mark.parametrize(("texts", "message"), [
    (["bandwith"], "--set bandwith: no key 'bandwith' in arch 'tiny_4x4'; did you mean 'bandwidth'?"),
    (["bandwidth"], "'bandwidth' could be buffers.inputs.bandwidth or"),
    (["buffers"], "--fit buffers: is no single value of the chip, so it cannot be fitted"),
    (["name"], "--fit units.array.name|--fit name: needs the values to try: KEY=A,B,C"),
    (["memory.latency=5..2"], "--fit memory.latency: time 5 needs a unit, as in '100 ns'"),
    (["memory.latency=5 ns..2 ns"], "'5 ns..2 ns' is no range; write LOW..HIGH, as in 1..8 or 1 GB/s..40 GB/s"),
    (["rows=a..b"], "'a..b' is no range"),
    (["rows", "units.array.rows"], "--fit: units.array.rows is given twice"),
])  # fmt: skip
def test_keys_that_cannot_be_fitted_are_told(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as told:
        parameters(texts, "tiny_4x4", {})
    assert any(part in str(told.value) for part in message.split("|"))
