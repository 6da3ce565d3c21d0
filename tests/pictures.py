"""A sample of every picture that `sim.plot` draws, and of a film: `reports/pictures.md` and what it shows."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

import sim
from sim import animation, dram, plot, sweep

DPI, COLOURS = 75, 160
"""Small files: a sample is looked at beside a text."""


@dataclass(frozen=True)
class Sample:
    """A picture: its name, how to make it, and what to see in it."""

    name: str
    code: str
    told: str
    make: Callable[[], Any]


def network() -> Any:
    """Return the run that most samples show."""
    return sim.run("edge_tpu_like", "mobilenet_v2", record=True)


def commands() -> Any:
    """Return the commands of 400 random reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "commands.csv"
        dram.run("ddr4_3200aa", pattern="rndR", requests=400, commands=path)
        return plot.commands(path, 0, 500)


def front() -> Any:
    """Return the front of a small sweep."""
    study = {
        "name": "corner", "arch": "tiny_4x4", "workloads": "gemm:64x32x32", "objectives": ["cycles", "area"],
        "axes": {"array.rows": [2, 4, 8, 16], "array.dataflow": ["ws", "os"], "weights.capacity": ["1 KiB", "4 KiB"]},
        "set": {"array.cols": "= array.rows"},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        return plot.pareto(sweep.run_sweep(study, out=Path(folder) / "corner.sweep", jobs=1))


def samples() -> list[Sample]:
    """Return every sample, in the order of the page."""
    run = network()
    film = animation.animate("tiny_4x4", "gemm:6x8x4", {"weight_buffers": 2})
    rows = animation.animate("array", "conv:2,5,5,2,3,3", {"rows": 3, "cols": 3, "dataflow": "rs"})
    recorded = 'run = sim.run("edge_tpu_like", "mobilenet_v2", record=True)'
    told = {
        "cycles": "Cycles of each layer by cause: dark blue is work, the rest is lost.",
        "efficiency": "The pale bar is what a layer's shape leaves of the PEs, the dark bar what time leaves of that.",
        "waterline": "Utilization over each layer's share of the cycles: where the level of the whole comes from.",
        "roofline": "Layers below the two roofs of the chip; points on the slope wait for memory.",
        "gantt": "Who did what when, by cause.",
        "heatmap": "How much of the time each unit works.",
        "occupancy": "How full each buffer is: lines the most, areas the mean in a window.",
        "power": "Power by component; the line is the average.",
        "energy": "Energy by component.",
        "traffic": "Bytes off chip by layer and operand.",
    }
    found = [
        Sample(name, f"{recorded}; plot.{name}(run)", what, partial(getattr(plot, name), run))
        for name, what in told.items()
    ]
    return [
        *found,
        Sample("array", 'animation.animate("tiny_4x4", "gemm:6x8x4", {"weight_buffers": 2}).plot(13)',
               "A cycle of a weight-stationary array: a wave of one colour is one row of inputs.",
               lambda: film.plot(13)),
        Sample("array_rs", 'animation.animate("array", "conv:2,5,5,2,3,3", {"rows": 3, "cols": 3, "dataflow": "rs"})'
               ".plot(40)", "A cycle of a row-stationary PE set.", lambda: rows.plot(40)),
        Sample("pareto", "plot.pareto(sim.sweep.run_sweep(study))",
               "Designs of a sweep, and those that no other beats.", front),
        Sample("fifos", 'plot.fifos(sim.run("finn_zcu104", "mobilenet_v2"))',
               "What the FIFOs of a pipeline held, and whose producer waited.",
               lambda: plot.fifos(sim.run("finn_zcu104", "mobilenet_v2"))),
        Sample("bandwidth", "plot.bandwidth()", "A stream of reads: stride and address mapping decide the bandwidth.",
               lambda: plot.bandwidth(requests=600)),
        Sample("commands", 'plot.commands("commands.csv", 0, 500)',
               "Random reads, command by command (`tiletick dram ddr4_3200aa --pattern rndR --commands commands.csv`).",
               commands),
        Sample("banks", 'plot.banks("gddr6_aim", "gpt2", {"phase": "decode"})',
               "What lies in the rows of banks that multiply, and how full they are.",
               lambda: plot.banks("gddr6_aim", "gpt2", {"phase": "decode"})),
    ]  # fmt: skip


def draw(folder: Path) -> None:
    """Write `pictures.md` and the pictures beside it into `folder`."""
    (folder / "pictures").mkdir(exist_ok=True)
    lines = ["# Pictures", "", "A sample of each picture; `python -m tests.reports pictures` draws them anew.", ""]
    lines += ["```python", "import sim", "from sim import animation, plot", "```", ""]
    for sample in samples():
        save(sample.make(), folder / "pictures" / f"{sample.name}.png")
        lines += [f"## {sample.name}", "", sample.told, "", f"    {sample.code}", ""]
        lines += [f"![{sample.told}](pictures/{sample.name}.png)", ""]
    film = animation.animate("tiny_4x4", "gemm:4x4x4")
    film.to_gif(folder / "pictures" / "film.gif")
    lines += ["## A film", "", "A weight-stationary array, register by register.", ""]
    lines += ['    animation.animate("tiny_4x4", "gemm:4x4x4").to_gif("film.gif")', ""]
    lines += ["![An array at work](pictures/film.gif)"]
    (folder / "pictures.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG of few colours."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    with Image.open(out) as drawn:
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
