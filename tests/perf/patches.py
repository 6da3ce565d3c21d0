"""Patch-based MobileNetV2 beside MCUNetV2: `python tests/perf/patches.py` prints `reports/patches.md`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import sim
from sim.graph import Graph, Node
from sim.patches import patched
from sim.workload import load

KIB = 1024
STAGES = ("stage2.1.add", "stage3.0.bn", "stage3.1.add", "stage3.2.add")
UNTIL, GRID = "stage3.0.bn", 4
PAPER_WHOLE, PAPER_PATCHED, PAPER_MACS = 1372, 172, 10.0
"""KB of peak memory of MobileNetV2 layer by layer and in 4 x 4 patches, in int8, and % more MACs."""

CHIP = "edge_tpu_like_simple"
SMALL = {
    "activations.capacity": "256 KiB", "activations.keep": "176 KiB", "weights.capacity": "256 KiB",
    "accumulators.capacity": "64 KiB",
}  # fmt: skip
"""A chip as small as a microcontroller's memory: activations in 256 KiB, most of them kept between layers."""


class Maps:
    """The bytes of maps in int8 that live while each layer runs; a map lives from its maker to its last reader.

    As in TinyEngine (Lin et al., MCUNet, NeurIPS 2020): what works element by element works in place; a depthwise
    layer too, with one channel beside; a residual is added where it lies. Parts are found by their addresses. Of the
    image the part that is being read counts.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.root: dict[str, str] = {name: name for name in graph.inputs}
        self.size, self.born = dict.fromkeys(graph.inputs, 0), dict.fromkeys(graph.inputs, 0)
        self.last = dict.fromkeys(graph.inputs, 0)
        self.beside = [0] * len(graph.nodes)
        for index, node in enumerate(graph.nodes):
            self._layer(index, node)

    def _layer(self, index: int, node: Node) -> None:
        sources = [self.root[name] for name in node.inputs]
        for name in sources:
            self.last[name] = index
        depthwise = getattr(node.op, "groups", 1) == "depthwise"
        if node.op_name == "mosaic":
            reader = max(i for i, one in enumerate(self.graph.nodes) if node.outputs[0] in one.inputs)
            self._make(index, node, 0)
            self.last.update(dict.fromkeys(sources, reader))
        elif node.op_name == "add":
            self.size[sources[0]] = 0
            self.root[node.outputs[0]] = sources[1]
        elif depthwise:
            self._make(index + 1, node, prod(node.output_shapes[0]))
            self.beside[index] = prod(node.output_shapes[0][2:])
        elif node.op.fusible or not (node.kernels or node.inputs[0] in self.graph.inputs):
            self.root[node.outputs[0]] = sources[0]
        else:
            self._make(index, node, prod(node.output_shapes[0]))

    def _make(self, index: int, node: Node, size: int) -> None:
        name = node.outputs[0]
        self.root[name], self.size[name] = name, size
        self.born[name] = self.last[name] = index

    def peak(self) -> tuple[int, str]:
        """Return the most bytes that live at once, and the layer at which they do."""
        live = list(self.beside)
        for name, count in self.size.items():
            for index in range(self.born[name], min(self.last[name] + 1, len(live))):
                live[index] += count
        return max(live), self.graph.nodes[live.index(max(live))].name


def peak(graph: Graph) -> tuple[int, str]:
    """Return the most bytes of maps that live at once, and the layer at which they do."""
    return Maps(graph).peak()


def row(cells: Sequence[Any]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table."""
    return "\n".join([row(heads), f"|{'---|' * len(heads)}", *map(row, rows), ""])


def beside_the_paper(whole: Graph, cut: Graph) -> str:
    """Return memory and MACs beside the published figures."""
    (before, at), (after, there) = peak(whole), peak(cut)
    more = 100 * (cut.macs / whole.macs - 1)

    def error(ours: float, theirs: float) -> str:
        return f"{100 * (ours / theirs - 1):+.1f} %"

    heads = ["figure", "here", "published", "error", "why"]
    return table(heads, [
        ["peak memory layer by layer, KiB", f"{before / KIB:.1f}", PAPER_WHOLE, error(before / KIB, PAPER_WHOLE), at],
        [f"peak memory in {GRID} x {GRID} patches, KiB", f"{after / KIB:.1f}", PAPER_PATCHED,
         error(after / KIB, PAPER_PATCHED), there],
        ["times less", f"{before / after:.2f}", 8, error(before / after, 8), ""],
        ["more MACs, %", f"{more:.1f}", f"about {PAPER_MACS:.0f}", f"{more - PAPER_MACS:+.1f} points",
         "published rounded; the stage's end is read from the figure"],
    ])  # fmt: skip


def choices(whole: Graph) -> str:
    """Return what other stages and grids would do."""
    rows = []
    for until in STAGES:
        for grid in (2, 3, 4):
            cut = patched(whole, until, grid, grid)
            most, at = peak(cut)
            more = f"{100 * (cut.macs / whole.macs - 1):+.1f} %"
            rows.append([until, f"{grid} x {grid}", f"{most / KIB:.1f}", at, more])
    return table(["until", "patches", "peak, KiB", "at", "MACs"], rows)


def simulated() -> str:
    """Return both on chips with large and with small buffers."""
    rows = []
    for told, settings in (("as it is: 3 MiB of activations", {}), ("activations in 256 KiB", SMALL)):
        for name in ("mobilenet_v2", "mobilenet_v2_patches"):
            found = sim.run(CHIP, name, settings)
            ways = found.traffic_bytes["dram"]
            maps = sum(count for way in ways.values() for operand, count in way.items() if operand != "weight")
            whole = sum(sum(way.values()) for way in ways.values())
            rows.append([told, name, f"{found.cycles:,}", f"{whole / KIB:,.0f}", f"{maps / KIB:,.0f}",
                         f"{found.energy_pj['total'] * 1e-6:,.0f}"])  # fmt: skip
    return table(["chip", "network", "cycles", "off chip, KiB", "of these maps, KiB", "energy, uJ"], rows)


def main() -> None:
    """Print the report."""
    whole = load("mobilenet_v2")
    cut = patched(whole, UNTIL, GRID, GRID)
    print(TEXT.format(
        until=UNTIL, chip=CHIP, paper=beside_the_paper(whole, cut), choices=choices(whole), simulated=simulated()
    ).rstrip())  # fmt: skip


TEXT = """\
# Patch-based MobileNetV2

As `python tests/perf/patches.py > reports/patches.md` writes it.

Source: Lin et al., MCUNetV2: memory-efficient patch-based inference for tiny deep learning, NeurIPS 2021 (arXiv
2110.15352), figure 1: MobileNetV2 at 224 x 224 in int8 needs 1,372 KB layer by layer, 172 KB with its first blocks in
4 x 4 patches, 8 times less; the text: about 10 % more computation. The figures are those of the abstract and of public
reviews; the 10 % is recalled, the paper was not read again.

Here everything up to `{until}` (maps of 28 x 28) runs patch by patch (`mobilenet_v2_patches`); each patch computes the
halo that it shares with its neighbours. Memory is that of the maps that live at once, in int8, as in TinyEngine (Lin et
al., MCUNet, NeurIPS 2020): batch norms and ReLUs in place, depthwise layers in place with one channel beside, residuals
added where they lie; of the image the part that is being read. The numbers computed are those of the network, bit by
bit (`tests/test_patches.py`).

## Beside the paper

{paper}
In patches the most is needed behind the stage, where maps of 28 x 28 are widened to 192 channels: smaller patches would
not help.

## Other stages and grids

{choices}
## What it does to a chip with an array

On `{chip}`, simulated:

{simulated}
With room for all maps patches only cost: small tiles fill the array badly, and every patch loads the weights of its
layers again. Where maps do not fit they are stored and loaded again; patches keep most of them on chip. They still cost
cycles there, as this array is slowed by depthwise layers and not by memory.

## Not reproduced

Latency on a microcontroller and accuracy: there is no model of such a processor, and patches change no number. The
redistribution of the receptive field and the search for networks (MCUNetV2 itself): its networks are not here.
"""


if __name__ == "__main__":
    main()
