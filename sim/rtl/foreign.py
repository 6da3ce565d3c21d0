"""A user's own Verilog in place of the generated circuit, in Icarus Verilog or Verilator, driven through cocotb.

The module must have the ports of `ports`, and clk and a synchronous rst.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sim import extras
from sim.errors import ConfigError, Problem, TiletickError
from sim.rtl.bench import Fold, Observed, patience, words
from sim.rtl.exchange import ANSWER, BENCH, FOLDER, TASK
from sim.rtl.machine import Machine
from sim.rtl.ports import exits

PROGRAMS = {"icarus": "iverilog", "verilator": "verilator"}
"""Simulators by the name that cocotb has for them, to the program that must be there."""
VERSION = {"icarus": "-V", "verilator": "--version"}
OLDEST = {"icarus": (11, 0), "verilator": (5, 36)}
"""The oldest versions that cocotb 2 can drive (docs.cocotb.org, simulator support)."""
INSTALL = "(Debian: apt install iverilog, macOS: brew install icarus-verilog)"
GENERATED = "leave --simulate out to run the generated circuit"


def simulator(source: Path, top: str, wanted: str | None = None) -> Callable[[Machine, Sequence[Fold]], Observed]:
    """Return what runs folds through the module `top` of the Verilog file `source`.

    TiletickError where neither simulator (or not the one `wanted`) or no cocotb is installed, or where the file
    does not compile or gets stuck.
    """
    if not source.is_file():
        raise ConfigError(Problem("no such file", str(source)))
    name = installed(wanted)
    runner = extras.load("cocotb_tools.runner", "cosim")

    def run(machine: Machine, folds: Sequence[Fold]) -> Observed:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / TASK).write_text(json.dumps(_task(machine, folds)), encoding="utf-8")
            log = Path(folder) / "log.txt"
            engine = runner.get_runner(name)
            try:
                engine.build(sources=[source.resolve()], hdl_toplevel=top, build_dir=folder, log_file=log, always=True)
                engine.test(
                    test_module=BENCH, hdl_toplevel=top, build_dir=folder, test_dir=folder,
                    extra_env={FOLDER: folder}, log_file=log,
                )  # fmt: skip
            except (SystemExit, RuntimeError):  # the runner ends the process where a tool of it fails
                raise TiletickError(_failure(source, top, name, log)) from None
            return _observed(machine, source, Path(folder) / ANSWER)

    return run


def installed(wanted: str | None) -> str:
    """Return the simulator to use; TiletickError with the way out where none is there that cocotb can drive."""
    there = [name for name in ([wanted] if wanted else PROGRAMS) if shutil.which(PROGRAMS[name])]
    if not there:
        which = f"{PROGRAMS[wanted]} is not" if wanted else "neither iverilog (Icarus Verilog) nor verilator is"
        raise TiletickError(f"{which} on the PATH; install it {INSTALL}, or {GENERATED}")
    found = {name: version(name) for name in there}
    for name, number in found.items():
        if number >= OLDEST[name]:
            return name
    told = ", ".join(f"{PROGRAMS[name]} {_dotted(number)} (needs {_dotted(OLDEST[name])})"
                     for name, number in found.items())  # fmt: skip
    raise TiletickError(f"too old for cocotb: {told}; install a newer one or Icarus Verilog {INSTALL}, or {GENERATED}")


def version(name: str) -> tuple[int, int]:
    """Return (major, minor) of an installed simulator; (0, 0) where it does not tell."""
    command = [PROGRAMS[name], VERSION[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _dotted(number: tuple[int, int]) -> str:
    return f"{number[0]}.{number[1]:03}" if number[0] < 10 else f"{number[0]}.{number[1]}"


def _task(machine: Machine, folds: Sequence[Fold]) -> dict[str, object]:
    given = words(machine, folds)
    return {
        "loads": given.loads, "steps": given.steps, "folds": len(folds), "has_loads": machine.loads,
        "patience": patience(machine),
    }  # fmt: skip


def _observed(machine: Machine, source: Path, answer: Path) -> Observed:
    if not answer.exists():
        raise TiletickError(f"{source}: the simulation ended without an answer")
    data = json.loads(answer.read_text(encoding="utf-8"))
    if data["problem"]:
        raise TiletickError(f"{source}: {data['problem']}")
    seen = Observed([[] for _ in range(exits(machine.array))], data["first_accepted"])
    for edge, valid, word, last in data["outputs"]:
        seen.take(edge, valid, word, last, machine.widths.sum)
    return seen


def _failure(source: Path, top: str, name: str, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    wrong = [line for line in lines if "rror" in line] or lines
    said = "\n  ".join(wrong[-5:])
    return f"{source}: {name} cannot run module '{top}'; it says:\n  {said}"

