"""Two results side by side: what changed in which layer, and by which cause."""

from pathlib import Path

import pytest

import sim
from sim import cli
from sim.report.differences import differences, explain

FAST = {"memory.bandwidth": "4 GB/s"}


def test_the_changes_of_all_causes_add_up_to_the_change_of_the_layer() -> None:
    first, other = sim.run("tiny_4x4", "gemm:32x16x24"), sim.run("tiny_4x4", "gemm:32x16x24", FAST)
    (found,) = differences(first, other)
    assert found.cycles == other.layers[0].cycles - first.layers[0].cycles < 0
    assert sum(change for _, change in found.causes) == found.cycles


def test_a_result_does_not_differ_from_itself() -> None:
    result = sim.run("tiny_4x4", "gemm:32x16x24")
    assert explain(("a", result), ("b", result), 80) == "b against a: +0 cycles; 0 layers differ\n"


def test_layers_that_only_one_has_are_named() -> None:
    first, other = sim.run("tiny_4x4", "gemm:8x8x8"), sim.run("tiny_4x4", "conv:2,6,6,4,3,3")
    text = explain(("a", first), ("b", other), 80)
    assert "only in a: gemm\n" in text
    assert "only in b: conv\n" in text


def test_compare_explains_layer_by_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name, settings in (("slow", {}), ("fast", FAST)):
        files.append(str(tmp_path / f"{name}.json"))
        Path(files[-1]).write_text(sim.run("tiny_4x4", "gemm:32x16x24", settings).to_json())
    assert cli.main(["compare", *files]) == 0
    printed = capsys.readouterr().out
    assert f"{files[1]} against {files[0]}: -" in printed
    assert "1 layer differs" in printed
    assert "gemm: " in printed
    assert "waiting for inputs from memory" in printed


def test_chips_of_different_clocks_are_compared_in_seconds() -> None:
    first, other = sim.run("tiny_4x4", "gemm:32x16x24"), sim.run("tiny_4x4", "gemm:32x16x24", {"clock": "500 MHz"})
    (found,) = differences(first, other)
    assert found.cycles / other.clock_hz == pytest.approx(other.seconds - first.seconds)
    assert sum(change for _, change in found.causes) == pytest.approx(found.cycles)
    text = explain(("a", first), ("b", other), 200)
    assert text.startswith("b against a: -7.128 us (")
    assert "(clocks of 500 MHz against 100 MHz: times are compared, not cycles); 1 layer differs\n" in text
