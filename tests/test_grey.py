"""What a picture tells apart by colour it tells apart in grey too: by lightness, hatch, mark or line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import sim
from sim import animation, dram, plot, sweep
from sim.plot._style import HATCHES, LINES, MARKS, PALETTE
from sim.plot.array import TINTS
from sim.report.page.colours import looks, rules

STEP = 14.0
"""Least difference of lightness (CIE L*, 0 to 100) that counts: neighbours of eight even steps are as far apart."""


def lightness(colour: Any, over: float = 1.0) -> float:
    """Return L* of a colour on paper that is `over` bright, as a grey printer sees it (CIE 1976, sRGB)."""
    *rgb, alpha = to_rgba(colour)
    parts = [alpha * value + (1 - alpha) * over for value in rgb]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return float(116 * np.cbrt(y) - 16 if y > 216 / 24389 else y * 24389 / 27)


def signature(handle: Any) -> tuple[Any, float]:
    """Return what a reader without colours has of an entry of a legend: its form, and its lightness."""
    if isinstance(handle, Line2D):
        return ("line", str(handle.get_linestyle()), str(handle.get_marker())), lightness(handle.get_color())
    if isinstance(handle, PathCollection):
        return ("mark", handle.get_paths()[0].vertices.tobytes()), lightness(handle.get_facecolor()[0])
    if isinstance(handle, Patch):
        if not handle.get_fill():
            return ("outline", str(handle.get_linestyle())), lightness(handle.get_edgecolor())
        return ("area", handle.get_hatch()), lightness(handle.get_facecolor())
    colour = handle[0].get_facecolor() if hasattr(handle, "__getitem__") else handle.get_facecolor()[0]
    hatch = handle[0].get_hatch() if hasattr(handle, "__getitem__") else handle.get_hatch()
    return ("area", hatch), lightness(colour)


def confused(entries: dict[str, tuple[Any, float]]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of entries that look alike in grey."""
    for (one, (form, light)), (other, (again, dark)) in combinations(entries.items(), 2):
        if form == again and abs(light - dark) < STEP:
            yield one, other


def network() -> Any:
    """Return a run with every kind of layer, recorded."""
    return sim.run("edge_tpu_like_simple", "mobilenet_v2", {"size": 64}, record=True)


def _commands(folder: Path) -> Any:
    path = folder / "commands.csv"
    dram.run("ddr4_3200aa", pattern="rndMix3", requests=900, commands=path)
    return plot.commands(path)


def _pareto(folder: Path) -> Any:
    study = {"name": "corner", "arch": "tiny_4x4", "workloads": "gemm:16x16x16", "objectives": ["cycles", "area"],
             "axes": {"array.rows": [2, 4]}}  # fmt: skip
    return plot.pareto(sweep.run_sweep(study, out=folder / "corner.sweep", jobs=1))


OTHERS: dict[str, Callable[[Path], Any]] = {
    "array": lambda _: animation.animate("tiny_4x4", "gemm:4x4x4").plot(9),
    "bandwidth": lambda _: plot.bandwidth(["ddr4_3200aa"], [64, 256], 40),
    "banks": lambda _: plot.banks("gddr6_aim", "gpt2", {"phase": "decode", "depth": 1}),
    "commands": _commands,
    "fifos": lambda _: plot.fifos(sim.run("streaming_fabric", "attention:1x1x16x16")),
    "pareto": _pareto,
}
"""Pictures of something else than a run on an array."""


@pytest.fixture(scope="module")
def run() -> Any:
    return network()


@pytest.mark.parametrize("name", sorted(plot.__all__))
def test_what_a_legend_names_can_be_told_apart_in_grey(name: str, run: Any, tmp_path: Path) -> None:
    figure = OTHERS[name](tmp_path) if name in OTHERS else getattr(plot, name)(run)
    for axis in figure.axes:
        handles, labels = axis.get_legend_handles_labels()
        entries = {label: signature(handle) for handle, label in zip(handles, labels, strict=True)}
        assert not [*confused(entries)]


@pytest.mark.parametrize("name", ["cividis", "plasma"])
def test_maps_grow_lighter_all_the_way(name: str) -> None:
    light = [lightness(colour) for colour in colormaps[name](np.linspace(0, 1, 64))]
    assert np.all(np.diff(light) > 0)


def test_steps_of_a_stream_that_follow_each_other_differ_in_lightness() -> None:
    for index, (colour, strength) in enumerate(TINTS):
        after, strong = TINTS[(index + 1) % len(TINTS)]
        here, there = lightness((*to_rgb(colour), strength)), lightness((*to_rgb(after), strong))
        assert abs(here - there) >= STEP


def test_the_eight_of_the_palette_differ_in_hatch_line_and_mark() -> None:
    assert len(PALETTE) == len(set(HATCHES)) == len(set(map(str, LINES))) == len(set(MARKS))


def test_classes_of_the_page_differ_as_those_of_pictures_do() -> None:
    for kind in ("c-", "k-"):
        assert not [*confused({n: (hatch, lightness(c)) for n, (c, hatch) in looks().items() if n.startswith(kind)})]
    assert all(f"url(#h-{name})" in rules() for name, (_, hatch) in looks().items() if hatch)


def test_the_test_of_grey_can_fail() -> None:
    """The palette alone is not enough: that is why there are hatches."""
    assert [*confused({colour: ("area", lightness(colour)) for colour in PALETTE})]
