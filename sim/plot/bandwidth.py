"""Bandwidth of DRAM devices against the stride of a stream, by address mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.dram.device import Device, load
from sim.dram.serve import run
from sim.plot._style import PALETTE, figure_of
from sim.units import show_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEVICES = ("ddr4_3200aa", "lpddr5_6400", "hbm2_2000")
STRIDES = tuple(2**power for power in range(5, 19))
"""Bytes from request to request."""

STYLES = ((PALETTE[0], "o", "-"), (PALETTE[5], "s", "--"), (PALETTE[2], "^", ":"))
"""Colour, mark and line of each mapping."""


def mappings(device: Device) -> dict[str, list[str]]:
    """Return mappings that designers choose between, by what neighbours of a sequential stream do."""
    levels = list(device.spec.levels[1:])
    buses = [level for level in levels if level == "PseudoChannel"]
    inner = [level for level in reversed(levels) if level not in buses]
    groups = [level for level in inner if level == "BankGroup"]
    others = [level for level in inner if level not in groups]
    found = {"share a row": ["Row", *inner, "Column", *buses], "alternate banks": ["Row", "Column", *inner, *buses]}
    if groups:
        found["alternate bank groups"] = ["Row", *others, "Column", *groups, *buses]
    return found


def bandwidths(device: str, strides: Sequence[int], requests: int) -> dict[str, list[float]]:
    """Return by mapping the share of the peak that reads at each stride (bytes) reach."""
    made = load(device)
    return {
        name: [
            run(device, pattern="strR", requests=requests, stride=stride, per_clock=made.buses,
                overrides={"mapping": fields}).bandwidth_utilization
            for stride in strides
        ]
        for name, fields in mappings(made).items()
    }  # fmt: skip


def bandwidth(
    devices: Sequence[str] = DEVICES, strides: Sequence[int] = STRIDES, requests: int = 2000
) -> Figure:
    """Return a figure: for each device a panel of bandwidth (% of peak) against stride, a line a mapping."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.6, 4.2 * len(devices)), 3.8), layout="constrained")
    panels = figure.subplots(1, len(devices), sharey=True, squeeze=False)[0]
    for device, panel in zip(devices, panels, strict=True):
        made = load(device)
        mine = [stride for stride in strides if stride >= made.burst]
        _draw(panel, made, mine, bandwidths(device, mine, requests))
    panels[0].set_ylabel("bandwidth, % of peak")
    shown, named = panels[-1].get_legend_handles_labels()
    told = [f"neighbours {name}" for name in named]
    figure.legend(shown, told, loc="outside lower center", ncols=len(named), frameon=False, fontsize=8)
    figure.suptitle("A stream of reads: stride and address mapping decide the bandwidth")
    return figure


def _draw(panel: Axes, device: Device, strides: Sequence[int], found: dict[str, list[float]]) -> None:
    for (name, shares), (colour, mark, line) in zip(found.items(), STYLES, strict=False):
        panel.plot(strides, [100 * share for share in shares], color=colour, marker=mark, linestyle=line,
                   markersize=4, label=name)  # fmt: skip
    panel.set_xscale("log", base=2)
    panel.set_xticks(list(strides)[::3], [show_bytes(stride) for stride in list(strides)[::3]])
    panel.set_ylim(0, 105)
    panel.grid(alpha=0.3)
    panel.set_xlabel("stride")
    figure_of(panel)
    panel.set_title(f"{device.name}, peak {device.peak_bandwidth / 1e9:.4g} GB/s", fontsize=10)
