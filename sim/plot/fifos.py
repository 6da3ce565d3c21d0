"""What the FIFOs of a streaming graph or pipeline held, and how long they stalled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from sim.errors import ConfigError, Problem
from sim.plot._style import PALETTE, area, axis_of, figure_of, name_layers, title
from sim.result import Result
from sim.streaming.result import StreamResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 40
"""FIFOs that are drawn: those that hold the most of their depth, and stall the longest."""


def fifos(result: StreamResult | Result, axis: Axes | None = None) -> Figure:
    """Return for each FIFO its peak occupancy (tokens) in front of its depth, logarithmic; marks say which was full.

    A triangle is a FIFO whose producer waited for room, its label the share of the run. ConfigError where the result
    has no FIFOs.
    """
    channels = {name: _plain(channel) for name, channel in result.channels.items()}
    if not channels:
        raise ConfigError(Problem("the result has no FIFOs; they are in streaming graphs and pipelines"))
    axis = axis_of(axis)
    names = sorted(channels, key=lambda name: -channels[name]["full_cycles"])[:MOST]
    names = [name for name in channels if name in names]
    end = (result.stopped_at if isinstance(result, StreamResult) else result.cycles) or 1
    places = range(len(names))
    peaks = [channels[name]["peak_occupancy"] for name in names]
    depths = [(channels[name]["depth"] or 0) + channels[name].get("buffer", 0) for name in names]
    axis.bar(places, depths, 0.8, label="depth", **area("#CFE3F1", ""))
    axis.bar(places, peaks, 0.5, color=PALETTE[0], label="at its fullest")
    full = [(place, depths[place], channels[name]["full_cycles"] / end) for place, name in enumerate(names)]
    full = [entry for entry in full if entry[2] >= 0.01]
    axis.scatter([p for p, _, _ in full], [d * 1.25 for _, d, _ in full], marker="v", color=PALETTE[5],
                 label="producer waits for room, % of the run")  # fmt: skip
    for place, depth, share in full:
        axis.annotate(f"{share:.0%}", (place, depth * 1.75), ha="center", va="bottom", fontsize=6.5, rotation=90)
    axis.set_yscale("log", base=2)
    axis.set(ylabel="tokens", ylim=(0.5, max([*depths, *peaks, 1]) * 5))
    name_layers(axis, names)
    told = result.graph if isinstance(result, StreamResult) else f"{result.workload} on {result.arch}"
    title(axis, f"{told}: what the FIFOs held")
    return figure_of(axis)


def _plain(channel: Any) -> Mapping[str, Any]:
    return asdict(channel) if is_dataclass(channel) and not isinstance(channel, type) else channel
