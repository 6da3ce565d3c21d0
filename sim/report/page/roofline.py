"""The roofline with the layers on it (Williams, Waterman, Patterson, CACM 52(4), 2009), as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, log10

from sim.report.losses import peak_bandwidth, peak_macs
from sim.report.page.charts import LEFT, PLOT, RIGHT, WIDTH, compact, line, number, svg, text
from sim.report.page.markup import Markup, el
from sim.report.summary import off_chip
from sim.result import Layer, Result

HEIGHT, TOP = 300.0, 30.0


@dataclass(frozen=True)
class Frame:
    """The decades that both axes show: MACs an off-chip byte, and MACs a second."""

    left: int
    right: int
    low: int
    high: int

    def x(self, intensity: float) -> float:
        """Return where an intensity lies."""
        return LEFT + (log10(intensity) - self.left) / (self.right - self.left) * PLOT

    def y(self, rate: float) -> float:
        """Return where a rate lies."""
        return TOP + HEIGHT - (log10(rate) - self.low) / (self.high - self.low) * HEIGHT


def placed(result: Result) -> list[Layer]:
    """Return the layers that have a place: those that multiply and move something off chip."""
    return [layer for layer in result.layers if layer.macs and layer.cycles and off_chip(layer.traffic_bytes)]


def roofline(result: Result) -> Markup:
    """Return the picture; the area of a point is the layer's share of the cycles."""
    layers, peak, bandwidth = placed(result), peak_macs(result) * result.clock_hz, peak_bandwidth(result)
    if not layers or not peak:
        return el("p", "No layer multiplies and moves data off chip, so there is nothing to place.")
    points = [(layer, *_place(layer, result)) for layer in layers]
    frame = _frame([x for _, x, _ in points], [y for _, _, y in points], peak, bandwidth)
    drawn = [_point(frame, result, *point) for point in sorted(points, key=lambda point: -point[0].cycles)]
    names = (
        text(4, 12, "MACs / s"),
        text(WIDTH - RIGHT, TOP + HEIGHT + 34, "arithmetic intensity, MACs / off-chip byte", "end"),
    )
    return svg(TOP + HEIGHT + 42, "roofline", *_grid(frame), *_roofs(frame, peak, bandwidth), *drawn, *names)


def _place(layer: Layer, result: Result) -> tuple[float, float]:
    return layer.macs / off_chip(layer.traffic_bytes), layer.macs / layer.cycles * result.clock_hz


def _frame(xs: list[float], ys: list[float], peak: float, bandwidth: float) -> Frame:
    ridge = [peak / bandwidth] if bandwidth else []
    left, right = floor(log10(min(xs + ridge)) - 0.1), ceil(log10(max(xs + ridge)) + 0.1)
    return Frame(left, right, floor(log10(min(ys)) - 0.1), ceil(log10(max([*ys, peak])) + 0.1))


def _grid(frame: Frame) -> Iterator[Markup]:
    for decade in range(frame.left, frame.right + 1):
        x = frame.x(10.0**decade)
        yield line(x, TOP, x, TOP + HEIGHT)
        yield text(x, TOP + HEIGHT + 16, compact(10.0**decade), "end" if decade == frame.right else "middle")
    for decade in range(frame.low, frame.high + 1):
        y = frame.y(10.0**decade)
        yield line(LEFT, y, WIDTH - RIGHT, y)
        yield text(LEFT - 6, y + 4, compact(10.0**decade), "end")


def _roofs(frame: Frame, peak: float, bandwidth: float) -> Iterator[Markup]:
    """Yield both roofs, the sloping one clipped to the picture, and what they are."""
    ridge = peak / bandwidth if bandwidth else 10.0**frame.left
    start = max(10.0**frame.left, 10.0**frame.low / bandwidth if bandwidth else 0.0)
    first = min(peak, start * bandwidth) if bandwidth else peak
    corners = [(start, first), (ridge, peak), (10.0**frame.right, peak)]
    path = "L".join(f"{number(frame.x(x))} {number(frame.y(y))}" for x, y in corners)
    yield el("path", d="M" + path, class_="roof")
    yield text(WIDTH - RIGHT - 4, frame.y(peak) - 6, f"peak {compact(peak)} MACs/s", "end")
    if bandwidth:
        x, y = frame.x(ridge), frame.y(peak)
        yield text(x - 8, y - 6, f"{compact(bandwidth)}B/s off chip, ridge at {ridge:.4g} MACs/B", "end")


def _point(frame: Frame, result: Result, layer: Layer, intensity: float, rate: float) -> Markup:
    share = layer.cycles / result.cycles if result.cycles else 0.0
    tip = (
        f"{layer.name}: {compact(rate)} MACs/s at {intensity:.4g} MACs/B, {share:.1%} of the cycles, "
        f"{layer.bound.replace('_', ' ')}"
    )
    radius = 4 + 22 * min(share, 1.0) ** 0.5
    return el(
        "circle", cx=number(frame.x(intensity)), cy=number(frame.y(rate)), r=number(radius),
        class_=f"point c-{layer.bound}", data_tip=tip,
    )  # fmt: skip
