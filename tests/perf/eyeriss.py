"""Eyeriss: predicted and measured, layer by layer. Writes reports/eyeriss.md and the picture beside it.

    python tests/perf/eyeriss.py

The measurements are those of tests/data/eyeriss/jssc17.csv. Needs matplotlib.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure

from sim.plot._style import HATCHES, PALETTE, area
from sim.result import Layer
from sim.simulate import run

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "tests" / "data" / "eyeriss" / "jssc17.csv"
REPORT, PICTURE = ROOT / "reports" / "eyeriss.md", ROOT / "reports" / "eyeriss.png"
OWN = ("fill", "compute", "drain", "wait_port")
"""Causes of the array itself and of its port: what the paper calls processing. The others wait for DRAM."""
LOOKS = (("pes", "PEs", PALETTE[0], HATCHES[0]), ("port", "port of the global buffer", PALETTE[1], HATCHES[1]))
MIB = 2**20


@dataclass(frozen=True)
class Row:
    """A layer: what the chip did, and what is predicted for it with the chip's mapping and with our own."""

    published: dict[str, str]
    predicted: Layer
    free: Layer
    clock: int

    @property
    def name(self) -> str:
        return self.predicted.name

    def measured(self, key: str) -> float:
        """Return a figure of the table."""
        return float(self.published[key])

    @property
    def processing(self) -> float:
        """Milliseconds of processing."""
        return processing(self.predicted) / self.clock * 1e3

    @property
    def error(self) -> float:
        """Signed error of the processing latency, in percent."""
        return 100 * (self.processing / self.measured("processing_latency_ms") - 1)

    @property
    def pes(self) -> int:
        """PEs that the sets of a whole pass cover."""
        passes = (self.predicted.mapping or {})["passes"]
        return int(passes["rows"] * passes["e"] * passes["r"] * passes["t"])

    @property
    def off_chip(self) -> float:
        """MiB to and from DRAM."""
        return moved(self.predicted, "dram")

    @property
    def buffer(self) -> float:
        """MiB between the global buffer and the PEs."""
        return moved(self.predicted, "glb") - self.off_chip

    @property
    def buffer_error(self) -> float:
        """Signed error of the traffic of the global buffer, in percent."""
        return 100 * (self.buffer / self.measured("glb_MB") - 1)

    @property
    def total_error(self) -> float:
        """Signed error of the total latency, in percent."""
        return 100 * (self.predicted.cycles / self.clock * 1e3 / self.measured("total_latency_ms") - 1)

    @property
    def power(self) -> float:
        """Milliwatts on chip while it processes: without DRAM, clock tree and leakage."""
        off_chip = self.off_chip * MIB * 8 * DRAM_PJ
        return (self.predicted.energy_pj - off_chip) * 1e-6 / self.processing

    @property
    def bound(self) -> str:
        """What a pass takes longest for: the products of the PEs, or the port of the global buffer."""
        return "port" if self.predicted.causes.get("wait_port", 0) else "PEs"


DRAM_PJ = 13.375
"""Picojoules a bit, arch_configs/energy/65nm_eyeriss.yaml."""


def processing(layer: Layer) -> int:
    """Return the cycles in which the array works or waits for its port."""
    return sum(layer.causes.get(cause, 0) for cause in OWN)


def moved(layer: Layer, memory: str) -> float:
    """Return the MiB that a layer reads and writes in a memory."""
    return sum(sum(operands.values()) for operands in layer.traffic_bytes[memory].values()) / MIB


def rows() -> list[Row]:
    """Return all layers, simulated with the chip's mappings and with those of the mapper."""
    with MEASURED.open(encoding="utf-8") as file:
        published = list(csv.DictReader(line for line in file if not line.startswith("#")))
    chip, free = (run(arch, "eyeriss_layers") for arch in ("eyeriss_jssc17", "eyeriss"))
    return [Row(*found, chip.clock_hz) for found in zip(published, chip.layers, free.layers, strict=True)]


def errors(found: list[Row]) -> tuple[float, float]:
    """Return the mean and the largest absolute error of the processing latency, in percent."""
    return mean(abs(row.error) for row in found), max(abs(row.error) for row in found)


def table(found: list[Row]) -> str:
    """Return the table of all layers."""
    head = ("layer", "processing ms", "predicted", "error", "PEs", "predicted", "buffer MiB", "predicted", "error",
            "DRAM MiB", "predicted", "longest", "total ms", "predicted", "own mapping ms")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row in found:
        cells = (
            row.name, f"{row.measured('processing_latency_ms'):.1f}", f"{row.processing:.1f}", f"{row.error:+.1f} %",
            row.published["active_PEs"], str(row.pes), row.published["glb_MB"], f"{row.buffer:.1f}",
            f"{row.buffer_error:+.1f} %", row.published["dram_MB"], f"{row.off_chip:.1f}", row.bound,
            row.published["total_latency_ms"], f"{row.predicted.cycles / row.clock * 1e3:.1f}",
            f"{processing(row.free) / row.clock * 1e3:.1f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def powers(found: list[Row]) -> str:
    """Return the table of powers."""
    lines = ["| layer | measured mW | predicted, on chip | error |", "|---|---:|---:|---:|"]
    for row in found:
        watts = row.measured("power_mW")
        lines.append(f"| {row.name} | {watts:.0f} | {row.power:.0f} | {100 * (row.power / watts - 1):+.0f} % |")
    return "\n".join(lines)


def picture(found: list[Row]) -> Figure:
    """Return measured beside predicted cycles a multiply-accumulate and PE, and the signed errors below."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    places = range(len(found))
    ideal = [row.predicted.macs / 168 / row.clock * 1e3 for row in found]
    measured = [row.measured("processing_latency_ms") / best for row, best in zip(found, ideal, strict=True)]
    predicted = [row.processing / best for row, best in zip(found, ideal, strict=True)]
    above.bar([p - 0.2 for p in places], measured, 0.4, color="#999999", label="measured on the chip")
    for bound, words, colour, hatch in LOOKS:
        mine = [place for place, row in enumerate(found) if (row.bound == "port") == (bound == "port")]
        look = area(colour, hatch)
        heights, label = [predicted[p] for p in mine], f"predicted, longest: {words}"
        above.bar([p + 0.2 for p in mine], heights, 0.4, label=label, **look)
        below.bar(mine, [found[p].error for p in mine], 0.6, **look)
    above.set_ylabel("processing time / least time\nof 168 PEs")
    above.legend(frameon=False, loc="upper right")
    below.axhline(0, color="black", linewidth=0.8)
    below.set_ylabel("error, %")
    below.set_xticks(list(places), [row.name for row in found], rotation=45, ha="right")
    for axis in (above, below):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


TEXT = """# Eyeriss: predicted and measured

Eighteen layers that Chen et al. measured on the chip (Eyeriss, JSSC 52(1), 2017: AlexNet with batch 4, VGG-16 with
batch 3), simulated by `tiletick run eyeriss_jssc17 eyeriss_layers`. Written by `python tests/perf/eyeriss.py`.

**Processing latency: {mean:.1f} % mean absolute error over {count} layers, {most:.1f} % at most; AlexNet
{alexnet:.1f} %, VGG-16 {vgg:.1f} %.** One set of parameters for all layers, all of them the chip's as published; none
was fitted.

![Measured and predicted processing time by layer, and the errors](eyeriss.png)

{table}

`processing` is what the array and the port of the global buffer take; waiting for DRAM is apart, as in the paper.
`PEs` are active ones: of a whole pass. `buffer` is what moves between global buffer and PEs; MiB are 2^20 bytes.
`longest` is what a pass takes longest for: layers with `port` are bound by the 16 bytes a cycle of the global buffer.
`DRAM` and `total` are not the chip's: it compresses what goes to DRAM by run lengths, which depends on the data and is
not modelled. `own mapping` is what this simulator's mapper reaches on the same chip (arch `eyeriss`).

## Where the cycles come from

No constant here was chosen by looking at a latency. Each rule is in the register-level grid
(`sim/reference/row_stationary.py`), which really multiplies; the closed forms (`sim/dataflows/row_stationary.py`)
equal it to the cycle.

- A window of one row takes p·q·S multiply-accumulates in a PE, and p more cycles in which its one adder takes the sum
  from below. *Architecture of the PE: a multiplexer in front of the adder, product or incoming sum (JSSC 2017).*
- Weights and the first window are loaded into the PEs before a pass, 4 weights and 1 input a cycle; nothing hides that.
  *Widths of the buses (JSSC 2017); the scratchpads hold the weights of one pass.*
- Inputs of later windows run ahead. *FIFOs at the PEs (JSSC 2017).*
- 4 sums in and 4 sums out a cycle. *Widths of the buses (JSSC 2017).*
- The port of the global buffer passes 16 bytes a cycle: weights and inputs once a pass, all sums read and written in
  every pass. *64 bits of sums read and 64 written a cycle (JSSC 2017).*
- Sums start from the buffer, in the first pass too. *The published buffer traffic of VGG CONV1-1, three passes deep,
  has six transfers of each sum.*
- m, n, e, p, q, r, t of AlexNet: *table of mapping parameters (JSSC 2017), recalled rather than re-read, as all figures
  here.* Of VGG-16: see below.

## What should be known about these figures

- **The mapping of VGG-16 is not published.** The one in `eyeriss_jssc17` was deduced from two published columns: of the
  mappings that fit the PEs and the buffer it has the published active PEs and the published traffic of the global
  buffer, both for all 13 layers. So for VGG-16 these two columns are no predictions; the latencies are: they had no
  part in the choice. It says that CONV1 and CONV2 sum up one channel a pass (q = r = 1), so that each product of a
  window costs the port a round trip of its sum. The mapper's own mappings of the same chip are up to {gain:.1f} times
  faster there.
- **AlexNet CONV3:** the recalled mapping (q 4, r 1, t 4) predicts {conv3:+.0f} % buffer traffic; with that of CONV4
  (q 3, r 2, t 2) traffic would be {other:+.1f} % and latency {other_latency:+.1f} %. One of the two columns has a slip.
- **AlexNet CONV4 and CONV5** have one mapping; the chip took 1.60 times as long for the first with 1.50 times the
  work. No model without a term of its own for each can be right on both. CONV5 took 4 % more than its
  multiply-accumulates alone, which leaves no room for the weights to be loaded, let alone the sums to be added.
- **Where the paper is silent, the structure is ours**: FIFOs of sums hold one window, those of inputs as much as comes,
  the port is a throughput over a pass. These were settled with the measurements in view. Other readings, worked out by
  hand (sums added for free; inputs no more than a window ahead; the port shared window by window), give 3 to 4 % on
  average and up to 16 % for one layer.
- **Layers bound by the port come out {port:+.1f} % on average, those bound by PEs {pes:+.1f} %.** What is left out and
  takes time on the chip: conflicts between banks of the global buffer, the ends of bus transactions.
- **Total latency** ran in the engine with DRAM at 480 MB/s and the port shared: where the array takes the whole port,
  loads from DRAM wait, which is how the paper's total gets far above its processing time on VGG-16. It is off by
  {total:.0f} % on average: bytes are not compressed here, so that layers with sparse inputs (VGG CONV4) take too long,
  and loads that find the port nearly full (AlexNet CONV3) wait longer than on the chip.

## Power

By the relative costs of Chen et al. (ISCA 2016) on 1.07 pJ a multiply-accumulate; DRAM, clock tree, leakage and control
left out, as those costs do not have them. The clock network alone takes a third and more of the chip (JSSC 2017), so
that the figures must be low; they are given for their order.

{powers}
"""


def main() -> None:
    """Write report and picture."""
    found = rows()
    average, most = errors(found)
    conv3 = next(row for row in found if row.name == "ALEXNET-CONV3")
    fixed = {"m": 64, "n": 4, "e": 13, "f": 13, "p": 16, "q": 3, "r": 2, "t": 2}
    alone = run("eyeriss", "conv:256,15,15,384,3,3,batch=4", {f"mapping.passes.{k}": v for k, v in fixed.items()})
    other = replace(conv3, predicted=alone.layers[0])
    by_bound = {bound: mean(row.error for row in found if row.bound == bound) for bound in ("port", "PEs")}
    text = TEXT.format(
        mean=average, most=most, count=len(found), table=table(found), powers=powers(found),
        alexnet=errors([row for row in found if row.name.startswith("ALEXNET")])[0],
        vgg=errors([row for row in found if row.name.startswith("VGG16")])[0],
        gain=max(processing(row.predicted) / processing(row.free) for row in found),
        conv3=conv3.buffer_error, other=other.buffer_error,
        other_latency=other.error,
        total=mean(abs(row.total_error) for row in found), port=by_bound["port"], pes=by_bound["PEs"],
    )  # fmt: skip
    REPORT.write_text(text, encoding="utf-8")
    picture(found).savefig(PICTURE, dpi=110)
    print(f"{REPORT}: {average:.1f} % mean, {most:.1f} % at most")


if __name__ == "__main__":
    main()
