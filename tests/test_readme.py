"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

import sim
from sim import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ tiletick (.+)\n((?s:.*?))```", README)
YAML = re.findall(r"```yaml\n((?s:.*?))```", README)
LINES = re.findall(r"^    tiletick run (.+)$", README, re.MULTILINE)
SCRIPTS = re.findall(r"```python\n((?s:.*?))```", README)


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_examples_print_what_they_show(
    command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(command.split()) == 0
    printed = capsys.readouterr().out
    assert printed == output, f"README.md is behind: paste what COLUMNS=80 tiletick {command} prints"


@pytest.mark.parametrize("command", LINES)
def test_networks_of_other_examples_fit_on_their_chips(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", *command.split()]) == 0, capsys.readouterr().err


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = SCRIPTS
    exec(compile(script, "README.md", "exec"), {})
    assert "gemm:32x16x24 on tiny_4x4" in capsys.readouterr().out


def test_the_chip_the_network_and_the_mapping_run_together(tmp_path: Path) -> None:
    chip, network, mapping = YAML[:3]
    (tmp_path / "mine.yaml").write_text(chip + mapping)
    (tmp_path / "small.yaml").write_text(network)
    result = sim.run(str(tmp_path / "mine.yaml"), str(tmp_path / "small.yaml"))
    assert (result.arch, result.workload, result.macs) == ("mine", "small", 16 * 16 * 27 * 16 + 16 * 10)
    fixed = sim.run(str(tmp_path / "mine.yaml"), "resnet50", layers="layer4.*.conv3")
    assert {layer.mapping["tile"]["k"] for layer in fixed.layers if layer.mapping} == {512}


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    commands = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == commands[1]


def test_every_command_is_in_the_readme() -> None:
    for name in cli.command_names():
        assert f"| `tiletick {name} " in README, name
