"""What `import sim` offers: few names, sorted, loaded when they are used."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import sim

INIT = Path(sim.__file__)


def test_all_is_short_sorted_and_complete() -> None:
    constants = [name for name in sim.__all__ if name.isupper()]
    classes = [name for name in sim.__all__ if name[0].isupper() and not name.isupper()]
    rest = [name for name in sim.__all__ if not name[0].isupper()]
    assert sim.__all__ == [*sorted(constants), *sorted(classes), *sorted(rest)]
    assert len(sim.__all__) <= 25
    assert dir(sim) == sorted(sim.__all__)


@pytest.mark.parametrize("name", sim.__all__)
def test_every_name_is_there_and_no_submodule_hides_it(name: str) -> None:
    assert getattr(sim, name) is not None
    assert not (INIT.parent / name).exists()
    assert not (INIT.parent / f"{name}.py").exists()


def test_types_name_the_same_homes_as_the_loader() -> None:
    """The imports for type checkers and the table for the loader say the same."""
    block = next(node for node in ast.parse(INIT.read_text()).body if isinstance(node, ast.If))
    typed = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == sim._HOMES
    assert set(sim.__all__) == {*typed, "__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'sim' has no attribute 'rnu'$"):
        _ = sim.rnu


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport json, sys\nsys.stdout.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


HEAVY = {"numpy", "matplotlib", "pydantic", "yaml", "simpy", "rich"}


@pytest.mark.parametrize("code", ["import sim", "import sim.cli; sim.cli._overview(sim.cli.command_names())"])
def test_importing_the_package_or_asking_for_help_loads_nothing_heavy(code: str) -> None:
    assert not loaded_by(code) & HEAVY


def test_a_run_loads_neither_pictures_nor_the_progress_bar() -> None:
    code = "import sim, sim.commands.run; sim.run('array', 'gemm:4x4x4')"
    assert not loaded_by(code) & {"matplotlib", "rich"}


def test_the_facade_does_what_its_docstring_shows() -> None:
    result = sim.run("array", "gemm:8x8x8", {"array.rows": 4})
    assert result.macs == 512
    assert sim.summarize(result).startswith("gemm:8x8x8 on array\n")
    assert "rows               4" in sim.show("array", {"array.rows": 4})
    assert sim.catalogue("dataflows")["ws"] == "weight stationary"
