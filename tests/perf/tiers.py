"""A mixture of experts in flash: tokens per second against the cache. Writes reports/tiers.md and its picture.

    python -m tests.perf.tiers

Needs matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sim import Result, run

ROOT = Path(__file__).resolve().parents[2]
REPORT, PICTURE = ROOT / "reports" / "tiers.md", ROOT / "reports" / "tiers.png"
STEP = {"phase": "decode", "context": 512, "routing": "skewed", "skew": 0.5, "layers_route": "apart"}
SIZES = (1, 2, 4, 8, 12)
"""GiB of memory that cache experts; all of them take 13.5."""
LINES: dict[str, dict[str, Any]] = {
    "LRU, all layers share": {"shares": "all"},
    "LRU, a part for each layer": {},
    "Belady, a part for each layer": {"policy": "belady"},
    "LRU by layer, next layer guessed (0.8)": {"prefetch.ahead": 1, "prefetch.accuracy": 0.8},
    "LRU by layer, next layer known": {"prefetch.ahead": 1},
}
COLOURS = ("#999999", "#0072B2", "#009E73", "#E69F00", "#D55E00")
MARKS = "os^vP"

HEAD = """\
# Experts in flash

Written by one command, which runs every point anew:

    python -m tests.perf.tiers

Qwen3-30B-A3B (48 layers, 128 experts, 8 a token) in int4 decodes one token behind 512 on `phone_flash`: its experts
take 13.5 GiB and lie in UFS 4.0 flash (4.2 GB/s), a part of LPDDR5 caches them. Routing is drawn by a Zipf skew of 0.5,
each layer for itself; the cache has seen 256 tokens before. Tokens per second:

![Tokens per second against the cache, by policy](tiers.png)
"""

READING = """\
## How to read it

- The dashed line is the same chip with all experts in memory: what the array and LPDDR5 allow.
- {cold}
- One cache for all layers is a little worse than a part for each while it is small: a token's experts of all layers go
  through it before a layer comes again. Systems that offload cache by layer, too.
- Knowing the next layer's experts hides fetches behind compute. Guesses that are wrong in two of ten cases cost
  bandwidth of the same flash: they help where it has time to spare, and hurt where it is the limit.
- Draws are independent from token to token. Real gates repeat themselves more, so that a cache finds more than here.

## Beside published measurements

No published system has this chip, so that nothing here is validated by them.

- Eliseev and Mazur, Fast Inference of Mixture-of-Experts Language Models with Offloading, 2023 (arXiv:2312.17238):
  Mixtral 8x7B with 2 and 3 bits a weight of experts in a host's memory behind PCIe, an LRU cache of experts for each
  layer and guesses for the next: 2 to 3 tokens per second on consumer GPUs, about 0.6 where whole layers are brought on
  demand. Ours, of another model with a quarter of the active weights, over flash: {range} tokens per second.
- Both figures, and that most guesses for the next layer are right there, are as its abstract and summaries of it say;
  the paper was not read again. The accuracy of 0.8 above is an assumption.
"""


def step(**keys: Any) -> Result:
    """Return a decode step with keys of the tier set."""
    return run("phone_flash", "qwen3_30b_a3b", {**STEP, **{f"tiers.flash.{key}": value for key, value in keys.items()}})


def all_points() -> dict[str, list[Result]]:
    """Return the results of every line, by its name."""
    return {
        name: [step(cache=f"{size} GiB", **keys) for size in SIZES] for name, keys in LINES.items()
    }  # fmt: skip


def draw(points: dict[str, list[Result]], most: float) -> Figure:
    """Return the picture."""
    figure = Figure(figsize=(7.5, 4.5), dpi=110, layout="constrained")
    axis = figure.subplots()
    axis.axhline(most, color="#000000", linestyle="--", linewidth=1)
    axis.annotate("all experts in memory", (SIZES[0], most), (0, 4), textcoords="offset points", fontsize=8)
    for (name, results), colour, mark in zip(points.items(), COLOURS, MARKS, strict=True):
        axis.plot(SIZES, [1 / r.seconds for r in results], marker=mark, markersize=5, color=colour, label=name)
    axis.set(xlabel="memory that caches experts (GiB)", ylabel="tokens per second", ylim=(0, None))
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0.0, 0.93), frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def table(points: dict[str, list[Result]]) -> str:
    """Return tokens per second, the share found in memory, and what is read of flash."""
    lines = ["| cache | " + " | ".join(points) + " |", "|---:|" + "---:|" * len(points)]
    for index, size in enumerate(SIZES):
        cells = []
        for results in points.values():
            found = results[index].tiers["flash"]
            cells.append(
                f"{1 / results[index].seconds:.2f} ({found['hit_rate']:.0%}, {found['read_bytes'] / 1e6:,.0f} MB)"
            )
        lines.append(f"| {size} GiB | " + " | ".join(cells) + " |")
    told = "In brackets: experts that were in memory when asked for, and bytes read of flash a token."
    return "\n".join([*lines, "", told, ""])


def main() -> None:
    """Write the report."""
    points = all_points()
    whole = step(layers="none")
    none = step(cache="20 GiB", history=0)
    draw(points, 1 / whole.seconds).savefig(PICTURE)
    rates = [1 / result.seconds for results in points.values() for result in results]
    bytes_read = none.tiers["flash"]["read_bytes"]
    cold = (
        f"With nothing in memory a token reads {bytes_read / 1e6:,.0f} MB of flash, {bytes_read / 4.2e9:.3f} s at 4.2 "
        "GB/s: "
        f"{1 / none.seconds:.2f} tokens per second. All in memory it is {1 / whole.seconds:.1f}."
    )
    reading = READING.format(cold=cold, range=f"{min(rates):.1f} to {max(rates):.1f}")
    REPORT.write_text("\n".join([HEAD, table(points), reading]), encoding="utf-8")


if __name__ == "__main__":
    main()
