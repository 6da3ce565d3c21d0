"""Chains of matrix-vector units on FPGA boards: the binary networks of BNN-PYNQ, built with FINN."""

from collections.abc import Iterator
from typing import Any

from sim.streaming.simulate import simulate
from tests.validation.reference import Case, Reference, rows

FEW, MORE = 6, 12
"""Images after which each one takes as long as the one before; the rest is counted on."""


def settings(row: dict[str, str]) -> dict[str, Any]:
    """Return the published folding as params of the graph."""
    folds = [fold.split(":") for fold in row["folding"].split()]
    return {f"{name}{i}": int(fold[side]) for i, fold in enumerate(folds) for side, name in enumerate(("pe", "simd"))}


def cycles(row: dict[str, str], images: int) -> int:
    """Return the cycles from the first word in to the last word out."""

    def run(count: int) -> int:
        return simulate(row["graph"], {**settings(row), "images": count}).cycles or 0

    if images <= MORE:
        return run(images)
    few, more = run(FEW), run(MORE)
    return more + (images - MORE) * (more - few) // (MORE - FEW)


def rates() -> Iterator[Case]:
    """Yield the cycles an image of the measured runs."""
    for row in rows("figures", "finn_bnn_pynq.csv"):
        images = int(row["images"])
        measured = float(row["microseconds"]) * int(row["clock_mhz"]) / images
        name = f"{row['network']} on {row['board']}, {images:,} image{'s' if images > 1 else ''}"
        yield Case(f"{name}, cycles each", round(cycles(row, images) / images), round(measured))


def layers() -> Iterator[Case]:
    """Yield the cycles an image of every layer."""
    foldings = {row["network"]: row for row in rows("figures", "finn_bnn_pynq.csv")}
    for row in rows("figures", "finn_layers.csv"):
        board = foldings[row["network"]]
        units = simulate(board["graph"], settings(board)).to_dict()["units"]
        found = [unit["cycles"]["compute"] for unit in units.values() if unit["kind"] == "matvec"]
        for index, (predicted, stated) in enumerate(zip(found, row["layers"].split(), strict=True)):
            yield Case(f"{row['network']}, layer {index}", predicted, int(stated))


REFERENCE = [
    Reference(
        order=10,
        title="FINN on boards",
        measures="cycles an image of chains of matrix-vector units (LFC, CNV) with their published folding and FIFOs",
        origin="Xilinx/BNN-PYNQ: times printed by its notebooks, folding and depths of its sources; graphs `finn/lfc` "
        "and `finn/cnv`",
        cases=rates,
        why="rates of CNV are those of its slowest layer. LFC has FIFOs of half a vector: with whole ones it would "
        "take 512 cycles; with its own the graph takes 211 more and the board 329, likely as an HLS pipeline keeps "
        "what is in it whenever a word is missing. A lone image goes through line buffers that wait for whole rows on "
        "the board, and the host's polling is in its time; none of this is modelled or tuned",
        listed=True,
    ),
    Reference(
        order=10,
        title="FINN's own figures",
        measures="cycles an image in each layer of LFC and CNV, as the generator states them",
        origin="Xilinx/BNN-PYNQ, hw/config.h of lfcW1A1, cnvW1A1 and cnvW2A2",
        cases=layers,
    ),
]
