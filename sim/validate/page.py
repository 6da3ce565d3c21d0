"""A comparison as one HTML file: the table, a scatter of predicted over measured, and the error of every layer."""

from __future__ import annotations

import html
import io
from typing import Any

from sim.plot._style import PALETTE, axis_of, figure_of, name_layers
from sim.validate.compare import Validation
from sim.validate.text import tell

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1b1f24; }
main { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-end; }
figure { margin: 0; flex: 0 1 32rem; }
figure.wide { flex: 1 1 100%; }
pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 13px; }
svg { max-width: 100%; height: auto; }
"""
BLUE, ORANGE = PALETTE[0], PALETTE[5]
"""Predictions below and above the measurement."""
MOST_NAMED, WORTH_A_NAME = 3, 1.0
"""Points of the scatter that carry names, the worst, and the error in percent from which on one does."""
BESIDE = 12
"""Layers up to which the errors stand beside the scatter."""
LEAST_SPAN = 1.0
"""Percent that the axis of errors shows on both sides at least, so that what is exact looks it."""


def page(validation: Validation, story: str = "", width: int = 110) -> str:
    """Return the page, the text of a fit (`story`) at its end; it needs no other file and no network."""
    title = html.escape(f"{validation.workload} on {validation.arch}: predicted against measured")
    wide = ' class="wide"' if len(validation.rows) > BESIDE else ""
    pictures = (("", scatter(validation)), (wide, bars(validation)))
    figures = "".join(f"<figure{place}>{svg}</figure>" for place, svg in pictures if svg)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<main>{figures}</main>\n"
        f"<pre>{html.escape(tell(validation, width) + story)}</pre>\n</body></html>\n"
    )


def scatter(validation: Validation) -> str:
    """Return predicted over measured cycles on logarithmic axes as SVG, exactness a line; '' without layers."""
    rows = validation.rows
    if not rows:
        return ""
    axes = axis_of(None, 5.2, 5)
    measured, predicted = [row.measured_cycles for row in rows], [row.predicted_cycles for row in rows]
    ends = [min(*measured, *predicted) / 1.5, max(*measured, *predicted) * 1.5]
    axes.plot(ends, ends, color="0.4", linewidth=1)
    for factor in (1.1, 1 / 1.1):
        axes.plot(ends, [end * factor for end in ends], "--", color="0.75", linewidth=0.8)
    axes.scatter(measured, predicted, s=26, color=[_colour(row.error_pct) for row in rows], zorder=3)
    worst = sorted(rows, key=lambda row: -abs(row.error_pct))[:MOST_NAMED]
    for row in worst:
        if abs(row.error_pct) >= WORTH_A_NAME:
            above = row.error_pct > 0
            axes.annotate(
                row.name, (row.measured_cycles, row.predicted_cycles), xytext=(-6 if above else 6, 0),
                textcoords="offset points", ha="right" if above else "left", va="center", fontsize=8,
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="measured cycles", ylabel="predicted cycles", xlim=ends, ylim=ends)
    for axis in (axes.xaxis, axes.yaxis):
        _count(axis, ends[1] / ends[0])
    axes.set_title("line: exact; dashed: 10 % off", fontsize=9, color="0.4", loc="left")
    return _svg(figure_of(axes))


def bars(validation: Validation) -> str:
    """Return the signed error of every layer as SVG; '' without layers."""
    rows = validation.rows
    if not rows:
        return ""
    axes = axis_of(None, max(5.2, min(14, 0.32 * len(rows) + 2)), 5 if len(rows) <= BESIDE else 3.8)
    errors = [row.error_pct for row in rows]
    axes.bar(range(len(rows)), errors, color=[_colour(error) for error in errors])
    axes.axhline(0, color="0.3", linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -LEAST_SPAN), max(high, LEAST_SPAN))
    axes.set_ylabel("error, % of measured")
    axes.set_title("below 0: predicted too fast; above: too slow", fontsize=9, color="0.4", loc="left")
    name_layers(axes, [row.name for row in rows])
    return _svg(figure_of(axes))


def _colour(error_pct: float) -> str:
    return ORANGE if error_pct > 0 else BLUE


def _count(axis: Any, span: float) -> None:
    """Label a logarithmic axis in plain numbers: powers of ten, and 2 and 5 times them where `span` is short."""
    import matplotlib.ticker

    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if span < 100 else (1,)))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def _svg(figure: object) -> str:
    """Return a figure as SVG that is the same for the same data."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tiletick", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    text = out.getvalue()
    return text[text.index("<svg") :]
