"""The wheel: it holds `sim` and nothing else, brings the bundled files along, and runs in a clean environment."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from sim import library

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build backend at hand, or else with one that is fetched."""
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    isolation = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    command = [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("tiletick-*.whl")
    return found


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scripts of an environment that holds the wheel, and the dependencies of this one by a .pth file."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python")]
    install = [*pip, "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = home.rglob("site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def run(*command: str | Path, cwd: Path) -> str:
    """Return what the command prints."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_no_top_level_package_but_sim(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert sorted(top for top in tops if not top.endswith(".dist-info")) == ["sim"]
    assert len(tops) == 2


def test_the_wheel_brings_every_bundled_file(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("arch_configs", "workloads"):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert f"sim/library_files/{path.relative_to(ROOT).as_posix()}" in packed


def test_the_installed_command_finds_the_library_and_runs(clean: Path, tmp_path: Path) -> None:
    where = Path(run(clean / "python", "-c", "import sys, sim; sys.stdout.write(sim.__file__)", cwd=tmp_path))
    assert clean.parent.resolve() in where.resolve().parents
    listed = run(clean / "tiletick", "list", "archs", cwd=tmp_path)
    names = [line.split()[0] for line in listed.splitlines() if not line.startswith(" ")]
    assert names == library.names("arch")
    assert "cycles" in run(clean / "tiletick", "run", "array", "gemm:4x4x4", cwd=tmp_path)
