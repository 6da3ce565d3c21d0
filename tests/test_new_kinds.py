"""A kind of unit or memory is one file in its folder: no other file names it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

UNIT = '''
from typing import Literal
from pydantic import Field
from sim.arch.unit import UNITS, Unit

@UNITS.register("crossbar")
class Crossbar(Unit):
    """An analogue crossbar."""
    kind: Literal["crossbar"] = Field(description="an analogue crossbar")
    levels: int = Field(16, gt=0, description="values of a cell")
'''
MEMORY = '''
from typing import Literal
from pydantic import Field
from sim.arch.memories.simple import Simple
from sim.arch.memory import MEMORIES

@MEMORIES.register("flash")
class Flash(Simple):
    """Memory that keeps its data."""
    kind: Literal["flash"] = Field(description="keeps its data")
    page: int = Field(gt=0, description="bytes of a page")
'''
USE = '''
import json
from sim import arch
from sim.errors import ConfigError
from sim.report.schema import schema
from sim.yamlfile import parse

TEXT = """
name: chip
clock: 1 GHz
units: {x: {kind: crossbar, levels: 4}}
buffers: {all: {capacity: 1 KiB, holds: [input, output]}}
memory: {kind: flash, bandwidth: 1 GB/s, page: 4096}
"""

def told(text):
    try:
        arch.build(parse(text, "chip.yaml"))
    except ConfigError as error:
        return str(error)

chip = arch.build(parse(TEXT, "chip.yaml"))
print(json.dumps({
    "levels": chip.units["x"].levels, "page": chip.memory.page, "burst": chip.memory.channel(chip.clock).burst,
    "defs": sorted(json.loads(schema("arch"))["$defs"]),
    "wrong": [told(TEXT.replace("levels: 4", "levels: 0")), told(TEXT.replace("crossbar", "crosbar")),
              told(TEXT.replace("kind: flash", "kind: flush"))],
}))
'''


def test_a_file_in_the_folder_is_a_kind_with_schema_and_errors(tmp_path: Path) -> None:
    for folder in ("sim", "arch_configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "sim/arch/units/crossbar.py").write_text(UNIT)
    (tmp_path / "sim/arch/memories/flash.py").write_text(MEMORY)
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["levels"], found["page"], found["burst"]) == (4, 4096, 64)
    assert {"Crossbar", "Flash", "Systolic", "Simple"} <= set(found["defs"])
    assert found["wrong"][0] == "chip.yaml:4: units.x.levels: 0 is out of range: greater than 0"
    assert found["wrong"][1].startswith("chip.yaml:4: units.x.kind: unknown kind 'crosbar'; did you mean 'crossbar'?")
    assert found["wrong"][2].startswith("chip.yaml:6: memory.kind: unknown kind 'flush'; did you mean 'flash'?")
