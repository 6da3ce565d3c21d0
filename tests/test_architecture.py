"""The rooms of the package: who may import whom, that nobody goes in circles, and that types and lint are clean."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = [
    "errors units formats version extras display collector",
    "textfile yamlfile library sources extends registry lanes",
    "arch dram pim kernel op dataflow graph workload patches blocks expressions wiring inline",
    "ops mapping fits passes plan totals streaming registers",
    "dataflows planner execute reference attention layers",
    "timeline hardware frontend tiers engine programs layout",
    "energy result nest area bounds",
    "mapper accounting notes family fabric pricing stages inmemory",
    "families offload fusing",
    "simulate generation",
    "alone",
    "animation importers plot report rtl validate sweep",
    "cli commands __main__ __init__",
]
"""Layer 0 first. A name is a module of `sim`, or a package with all that is in it."""

LAYER = {name: layer for layer, names in enumerate(LAYERS) for name in names.split()}


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name, `sim.ops` standing for its `__init__`."""
    found = {}
    for path in sorted((ROOT / "sim").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    """Return the first name below `sim`, which the table of layers knows; `__init__` for `sim` itself."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> Iterator[str]:
    """Yield every module of the package that the file imports, at its top or inside, for types only left out."""
    for node in runtime_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "sim")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if (node.module or "").split(".")[0] == "sim":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield inner if inner in MODULES else str(node.module)


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run, those under `if TYPE_CHECKING` left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from runtime_nodes(node)


def test_every_module_has_a_layer() -> None:
    homeless = sorted({room(module) for module in MODULES} - set(LAYER))
    assert not homeless, f"no layer for {homeless}: add each to LAYERS in {Path(__file__).name}, as low as it can be"


def test_a_module_imports_only_from_lower_layers_or_its_own() -> None:
    wrong = [
        f"{module} (layer {LAYER[room(module)]}) imports {target} (layer {LAYER[room(target)]})"
        for module, path in MODULES.items()
        for target in imports(path)
        if LAYER[room(target)] > LAYER[room(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_goes_in_circles() -> None:
    sorter = TopologicalSorter({module: set(imports(path)) - {module} for module, path in MODULES.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_stand_at_the_top() -> None:
    """The command line, the facade and the registry load by name on purpose; statements inside are none of it."""
    inside = [
        f"{module}:{node.lineno}"
        for module, path in MODULES.items()
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and not {alias.name.split(".")[0] for alias in node.names} & {"matplotlib"}
        and not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("matplotlib"))
    ]
    assert len(inside) <= 3, inside


def test_simpy_is_known_to_the_engine_and_the_hardware_alone() -> None:
    """Only the engine and the hardware models know simulated time."""
    allowed = {"engine", "hardware", "programs"}
    users = {module for module, path in MODULES.items() if "import simpy" in path.read_text(encoding="utf-8")}
    assert {room(module) for module in users} <= allowed, sorted(users)


def run(*command: str) -> None:
    """Run a checker of the environment in the checkout; fail with all that it says."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_strict() -> None:
    pytest.importorskip("mypy")
    run("mypy")


def test_lint_is_clean() -> None:
    pytest.importorskip("ruff")
    run("ruff", "check", "sim", "tests")
