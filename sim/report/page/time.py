"""What changes over time on the page of a run: power by component, how full every buffer is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.report.page.charts import bands, legend, time_axis
from sim.report.page.markup import Markup, el, join
from sim.report.page.sections import section
from sim.report.power import Power
from sim.report.power import power as power_of
from sim.report.windows import edges_of, kept, levels
from sim.result import Result
from sim.timeline import Timeline
from sim.units import show_bytes, show_si


def power(result: Result) -> Markup:
    """Return the power of each component over time; nothing where the run was not recorded."""
    found = power_of(result)
    if found is None or not found.peak:
        return Markup("")
    order = sorted(found.watts, key=lambda name: -float(found.watts[name].sum()))
    classes = {name: f"k-{index % 8}" for index, name in enumerate(order)}
    stacks = {classes[name]: (found.watts[name] / found.peak).tolist() for name in order}
    note = (
        f"On average {_watts(found.average)}, at most {_watts(found.peak)} in a window of {_span(result, found)}. A "
        "layer's energy is spread over the cycles in which its units work; leakage and refresh over the whole run."
    )
    key = legend({classes[name]: name for name in order})
    picture = bands("power over time", stacks, [*_told(result, found, order)], 120.0, _watts(found.peak))
    return section("Power over time", note, el("figure", key, picture, time_axis(result.seconds)))


def _watts(value: float) -> str:
    return show_si(value, "W") if value else "0 W"


def _span(result: Result, found: Power) -> str:
    return show_si(float(found.edges[1]) / result.clock_hz, "s")


def _told(result: Result, found: Power, order: list[str]) -> Iterator[str]:
    micro = found.edges * 1e6 / result.clock_hz
    for index, whole in enumerate(found.total):
        parts = [f"{name}: {_watts(float(found.watts[name][index]))}" for name in order if found.watts[name][index]]
        yield "\n".join([f"{micro[index]:.4g} to {micro[index + 1]:.4g} µs: {_watts(float(whole))}", *parts])


def buffers(result: Result) -> Markup:
    """Return how full each buffer is over time; nothing where the run was not recorded, or there are no buffers."""
    if result.timeline is None or not result.cycles or not result.buffers:
        return Markup("")
    note = (
        "Activations that stay for later layers, tiles on average, and the most that tiles take in a window. The peak "
        "in the table of buffers adds the most of tiles and the most of what stays."
    )
    key = legend({"k-2": "stays for later layers", "k-0": "tiles, on average", "k-4": "tiles, at most"})
    sizes = {name: buffer["capacity_bytes"] for name, buffer in result.buffers.items()}
    shown = (_buffer(result, result.timeline, name, size) for name, size in sizes.items())
    return section("Buffers over time", note, key, join(shown))


def _buffer(result: Result, timeline: Timeline, name: str, capacity: int) -> Markup:
    edges = edges_of(result.cycles)
    (means, most), stays = levels(timeline, name, edges), kept(result, name, edges)
    stacks = {"k-2": stays / capacity, "k-0": means / capacity, "k-4": np.maximum(most - means, 0.0) / capacity}
    micro = edges * 1e6 / result.clock_hz
    tips = [
        f"{name}, {micro[i]:.4g} to {micro[i + 1]:.4g} µs\n"
        f"stays: {show_bytes(round(stays[i]))}\ntiles: {show_bytes(round(means[i]))} on average, "
        f"{show_bytes(round(most[i]))} at most\ncapacity: {show_bytes(capacity)}"
        for i in range(len(means))
    ]
    picture = bands(f"{name} over time", {key: value.tolist() for key, value in stacks.items()}, tips)
    head = el("h3", f"{name}, {show_bytes(capacity)}")
    return join((head, el("figure", picture, time_axis(result.seconds))))
