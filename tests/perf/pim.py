"""Memory that multiplies: beside other simulators, whole tokens, energy, speed. Fills in pim.md: reports/pim.md.

    python tests/perf/pim.py > reports/pim.md
"""

import csv
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sim import run
from sim.generation import generate
from sim.pim import load
from sim.pim.channel import Channel
from sim.result import Result
from tests.test_pim import COUNTED, PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
GPT = ("gpt2", "gpt2_medium", "gpt2_large", "gpt2_xl", "gpt3_small", "gpt3_medium", "gpt3_large", "gpt3_xl")
WEIGHTS = {"gpt2": 316_062, "gpt2_medium": 792_974, "gpt2_large": 2_113_228, "gpt2_xl": 3_961_100}
VENDOR = (("4096x4096", 13_166, 36_082), ("1024x4096", 13_166, 9_038))
CONTEXT = 1000
GPU = 320e9
"""Bytes a second of an NVIDIA T4's memory (its data sheet), the GPU that the paper of PIM-GPT compares with."""


def table(*columns: str, rows: Iterable[tuple[object, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


@cache
def token(chip: str, model: str, refresh: str = "all_bank") -> Result:
    """Return a token of a model behind CONTEXT others on eight channels."""
    return run(chip, model, {"channels": 8, "phase": "decode", "context": CONTEXT, "refresh": refresh})


def reference() -> Iterator[tuple[object, ...]]:
    """Yield every program and product of aim_simulator: clocks there and here, and the commands that differ."""
    for row in csv.DictReader((ROOT / "tests/data/pim/gddr6_aim.csv").read_text().splitlines()):
        told = re.fullmatch(r"GEMV M=(\d+) N=(\d+) channels=(\d+) order=(\w+)", row["desc"])
        if told:
            outputs, inputs, channels, order = told.groups()
            settings: dict[str, Any] = {"channels": int(channels), "order": order, "refresh": "off"}
            found = run("gddr6_aim", f"gemv:{outputs}x{inputs}", settings)
            cycles, counts = found.cycles, found.dram["banks"]["commands"]
        else:
            channel = Channel(load("gddr6_aim", {"refresh": "off"}))
            cycles, counts = channel.run(PROGRAMS[row["case"]]), channel.counts
        differ = [name for name in COUNTED if counts[name] != int(row[name])]
        yield row["case"], row["desc"], f"{int(row['cycles']):,}", f"{cycles:,}", ", ".join(differ) or "equal"


def weights() -> Iterator[tuple[object, ...]]:
    """Yield the products with weights of a token, as programs started one by one."""
    for model, there in WEIGHTS.items():
        here = token("gddr6_aim", model, "off").pim["programs"]["weights"]
        yield model, f"{there:,}", f"{here:,}", f"{here / there - 1:.2%}"


def vendor() -> Iterator[tuple[object, ...]]:
    """Yield GEMVs on HBM-PIM and streamed to the host, there and here."""
    for shape, banks, streamed in VENDOR:
        found = run("hbm_pim_like", f"gemv:{shape}")
        base = found.pim["baseline"]["cycles"]
        yield (shape, f"{banks:,}", f"{found.cycles:,}", f"{found.cycles / banks - 1:+.1%}", f"{streamed:,}",
               f"{base:,}", f"{base / streamed - 1:+.1%}", f"{found.pim['padded_outputs']:,}")  # fmt: skip


def programs(chip: str) -> Iterator[tuple[object, ...]]:
    """Yield what the banks do in a token, by what their programs are for and what lies between them."""
    for model in GPT:
        found = token(chip, model)
        what, between = found.pim["programs"], found.pim["between"]
        parts = [what[key] for key in ("weights", "attention", "cache", "moves")]
        parts += [between[key] for key in ("waiting", "closing_rows", "refresh")]
        busy = found.pim["companion"] / found.cycles
        yield model, f"{found.cycles:,}", *(f"{part / found.cycles:.1%}" for part in parts), f"{busy:.1%}"


CLOCKS = ("multiply", "row_switch", "mode_switch", "write_buffer", "write_registers", "read_registers", "read", "write",
          "refresh", "end", "wait")  # fmt: skip


def clocks(chip: str) -> Iterator[tuple[object, ...]]:
    """Yield what the clocks of a token go to, command by command."""
    for model in GPT:
        found = token(chip, model)
        spent = found.dram["banks"]["clocks"]
        yield model, *(f"{spent[cause] / found.cycles:.1%}" for cause in CLOCKS)


def tokens(chip: str) -> Iterator[tuple[object, ...]]:
    """Yield latency, energy, row hits and the baseline of a token."""
    for model in GPT:
        found = token(chip, model)
        base = found.pim["baseline"]
        yield (model, f"{found.seconds * 1e3:.3f} ms", f"{found.pim['tokens_per_second']:,.0f}",
               f"{found.energy_pj['total'] / 1e9:.1f} mJ", f"{found.dram['banks']['row_hit_rate']:.1%}",
               f"{base['seconds'] * 1e3:.2f} ms", f"{base['speedup']:.2f}")  # fmt: skip


def energy(chip: str) -> Iterator[tuple[object, ...]]:
    """Yield the energy of a token by component and action."""
    for model in ("gpt2", "gpt2_xl"):
        found = token(chip, model)
        total = found.energy_pj["total"]
        for action, spent in sorted(found.energy_pj["by_action"].items(), key=lambda item: -item[1]):
            if spent > total / 1000:
                yield model, action, f"{spent / 1e9:.3f} mJ", f"{spent / total:.1%}"


def against_a_gpu() -> Iterator[tuple[object, ...]]:
    """Yield what a GPU would take for the same bytes at its peak, and at the published ratios."""
    for model in GPT:
        found = token("pim_gpt", model)
        at_peak = found.pim["baseline"]["bytes"] / GPU
        slow, fast = (at_peak / (found.seconds * ratio) for ratio in (41, 137))
        yield model, f"{at_peak * 1e3:.2f} ms", f"{at_peak / found.seconds:.1f}", f"{fast:.0%} to {slow:.0%}"


def generation() -> Iterator[tuple[object, ...]]:
    """Yield sequences behind a cache that grows."""
    for chip, model in (("gddr6_aim", "gpt2_xl"), ("pim_gpt", "gpt2_xl"), ("pim_gpt", "gpt3_xl")):
        began = time.process_time()
        found = generate(chip, model, 1, 1024, {"channels": 8}, samples=16)
        spent = time.process_time() - began
        yield (chip, model, f"{found.first_step_seconds * 1e3:.3f} ms", f"{found.last_step_seconds * 1e3:.3f} ms",
               f"{found.seconds:.2f} s", f"{found.tokens_per_second:,.0f}", f"{found.energy_pj * 1e-12:.1f} J",
               f"{spent:.1f} s")  # fmt: skip


def speed() -> Iterator[tuple[object, ...]]:
    """Yield CPU seconds of a token of GPT-2 XL: the whole command, and another in the same process."""
    for chip in ("gddr6_aim", "pim_gpt"):
        settings = ["--set", "channels=8", "--set", "phase=decode", "--set", "context=701", "--json", "/dev/null"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "sim", "run", chip, "gpt2_xl", *settings], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        began = time.process_time()
        run(chip, "gpt2_xl", {"channels": 8, "phase": "decode", "context": 702})
        yield chip, f"{whole:.2f} s", f"{time.process_time() - began:.2f} s"


def main() -> None:
    """Print the report."""
    columns = ("model", "a token", "tokens/s", "energy", "row hits", "baseline", "ratio")
    head = ("model", "cycles", "weights", "attention", "cache", "moves", "waiting", "closing rows", "refresh",
            "companion busy")  # fmt: skip
    causes = [cause.replace("_", " ") for cause in CLOCKS]
    both = ("GEMV", "in memory there", "here", "error", "streamed there", "here", "error", "padded outputs")
    text = (Path(__file__).parent / "pim.md").read_text(encoding="utf-8")
    print(text.format(
        python=platform.python_version(), context=f"{CONTEXT:,}", gpu=f"{GPU / 1e9:.0f} GB/s",
        reference=table("case", "what", "aim_simulator", "here", "commands", rows=reference()),
        weights=table("model", "aim_simulator", "here", "error", rows=weights()),
        vendor=table(*both, rows=vendor()),
        aim_programs=table(*head, rows=programs("gddr6_aim")),
        aim_clocks=table("model", *causes, rows=clocks("gddr6_aim")),
        aim_tokens=table(*columns, rows=tokens("gddr6_aim")),
        gpt_programs=table(*head, rows=programs("pim_gpt")),
        gpt_tokens=table(*columns, rows=tokens("pim_gpt")),
        energy=table("model", "action", "a token", "share", rows=energy("pim_gpt")),
        against=table("model", "T4 at its peak", "ratio", "share of its peak at 137 to 41 times", rows=against_a_gpu()),
        generation=table("chip", "model", "first step", "last", "all", "tokens/s", "energy", "CPU time",
                         rows=generation()),
        speed=table("chip", "the command, with starting Python", "another token", rows=speed()),
    ), end="")  # fmt: skip


if __name__ == "__main__":
    main()
