"""The figures of speed: this simulator alone, and beside SCALE-Sim on AlexNet's five convolutions.

    python tests/perf/speed.py [--no-peer]

The peer (scalesim 3.0.0) needs numpy < 2.4 and so an environment of its own: TILETICK_SCALESIM_PYTHON names
its interpreter. README.md beside this file says how to make one.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from child import cost, middle

from sim import arch, workload
from sim.kernel import Contraction

HERE = Path(__file__).resolve().parent
CHIP, NETWORK, LAYERS = "scalesim_32x32", "alexnet", "conv*"
LIMIT = 25 * 60
CONFIG = """[general]
run_name = speed
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: {ifmap}
FilterSramSzkB: {filter}
OfmapSramSzkB: {ofmap}
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: {words}
Dataflow: ws
ReadRequestBuffer: 64
WriteRequestBuffer: 64
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: {words}
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: {words}
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
[run_presets]
InterfaceBandwidth: {mode}
UseRamulatorTrace: False
"""


def configuration(mode: str) -> str:
    """Return the chip of the preset as a configuration of the peer's; `mode` is USER or CALC."""
    chip = arch.load(CHIP)
    assert chip.array is not None
    sizes = {name: chip.buffers[name].capacity // 1024 for name in ("ifmap", "filter", "ofmap")}
    return CONFIG.format(rows=chip.array.rows, cols=chip.array.cols, words=10, mode=mode, **sizes)


def topology(name: str, kernel: Contraction) -> str:
    """Return a convolution as a topology of the peer's.

    It knows no padding and rounds output sizes up: the input is given with its padding, cut to what the
    last window reaches, which makes the output size the same by either rounding.
    """
    sizes = [(axis.out - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1 for axis in kernel.axes]
    row = (name, *sizes, *(axis.kernel for axis in kernel.axes), kernel.channels, kernel.filters, kernel.axes[0].stride)
    head = "Layer, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
    return f"{head}\n{', '.join(map(str, row))},\n"


def interpreter() -> str | None:
    """Return the Python that has the peer; None where there is none."""
    named = os.environ.get("TILETICK_SCALESIM_PYTHON")
    return named or (sys.executable if importlib.util.find_spec("scalesim") else None)


def peer(python: str, mode: str) -> list[dict[str, Any]]:
    """Return the figures of the peer: its import, then each layer; fewer where the time limit cut it short."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "chip.cfg").write_text(configuration(mode))
        (folder / "layout.csv").write_text("Layer,\nall,\n")
        names = []
        for node in workload.load(NETWORK).nodes:
            if node.name.startswith("conv") and isinstance(kernel := node.kernels[0], Contraction):
                names.append(f"{node.name}.csv")
                (folder / names[-1]).write_text(topology(node.name, kernel))
        command = [python, str(HERE / "peer.py"), ".", "chip.cfg", "layout.csv", *names]
        with open(folder / "figures", "w+") as out:
            try:
                subprocess.run(command, cwd=folder, stdout=out, timeout=LIMIT, check=True)
            except subprocess.TimeoutExpired:
                print(f"the peer was stopped after {LIMIT} s; its figures are those of the layers it had done")
            out.seek(0)
            return [json.loads(line) for line in out]


def inside(*words: str) -> dict[str, Any]:
    """Return the figures of a fresh process that runs `sim.run` a few times."""
    return dict(json.loads(cost([sys.executable, str(HERE / "inside.py"), *words]).output))


def alone() -> None:
    """Print what this simulator takes, beside what it should."""
    cost([sys.executable, "-m", "sim", "list"])  # compiles what was not compiled yet
    print("what | CPU s | aim")
    for chip in ("edge_tpu_like_simple", "edge_tpu_like"):
        figures = inside(chip, "resnet50")
        figures["both"] = figures["import_s"] + figures["first_s"]
        for name, key in (("import and first call", "both"), ("first call", "first_s"), ("later call", "again_s")):
            print(f"ResNet-50 on {chip} in process, {name} | {figures[key]:.2f} | 1")
        print(f"its peak memory in MB | {figures['peak_mb']:.0f} | 300")
    with TemporaryDirectory() as place:
        command = ["run", "edge_tpu_like", "resnet50", "--json", str(Path(place) / "result.json")]
        for words, aim in ((command, 2), (["--help"], 0.3)):
            print(f"tiletick {' '.join(words[:3])} | {middle([sys.executable, '-m', 'sim', *words]).cpu_s:.2f} | {aim}")


def beside(python: str, mode: str) -> None:
    """Print the five convolutions on both simulators, and how many times less ours takes."""
    before, (start, *layers), after = inside(CHIP, NETWORK, LAYERS), peer(python, mode), inside(CHIP, NETWORK, LAYERS)
    print(f"\npeer with InterfaceBandwidth {mode}\nlayer | peer CPU s | peer MB | peer cycles | stalls | our cycles")
    for layer in layers:
        row = (layer["total"], layer["stall"], before["layers"][layer["what"]])
        print(f"{layer['what']} | {layer['cpu_s']:.1f} | {layer['peak_mb']:.0f} | " + " | ".join(map(str, row)))
    total = sum(layer["cpu_s"] for layer in layers)
    imported, first, again = ((before[key] + after[key]) / 2 for key in ("import_s", "first_s", "again_s"))
    print(f"peer: import {start['cpu_s']:.2f} s, run {total:.1f} s")
    print(f"ours: import {imported:.3f} s, first call {first:.3f} s, later call {again:.3f} s")
    print(f"times less, in process, later call: {total / again:.0f}   (aim: 1000)")
    print(f"times less, in process, first call: {total / first:.0f}")
    print(f"times less, import and first call: {(total + start['cpu_s']) / (imported + first):.0f}")


def main() -> None:
    """Print all figures."""
    alone()
    if "--no-peer" in sys.argv:
        return
    python = interpreter()
    if python is None:
        sys.exit("no scalesim: see tests/perf/README.md, and set TILETICK_SCALESIM_PYTHON")
    for mode in ("USER", "CALC"):
        beside(python, mode)


if __name__ == "__main__":
    main()
