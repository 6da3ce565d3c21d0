"""A comparison as one HTML file: the table, a scatter of predicted over measured, and the error of every layer."""

from __future__ import annotations

import html
import io

from sim.validate.compare import Validation
from sim.validate.text import tell

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1b1f24; }
pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 13px; }
svg { max-width: 100%; height: auto; }
"""
MOST_NAMED = 60
"""Layers up to which bars carry names."""


def page(validation: Validation, story: str = "", width: int = 110) -> str:
    """Return the page, the text of a fit (`story`) at its end; it needs no other file and no network."""
    title = html.escape(f"{validation.workload} on {validation.arch}: predicted against measured")
    figures = "".join(f"<figure>{svg}</figure>" for svg in (scatter(validation), bars(validation)) if svg)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{figures}\n"
        f"<pre>{html.escape(tell(validation, width) + story)}</pre>\n</body></html>\n"
    )


def scatter(validation: Validation) -> str:
    """Return predicted over measured cycles on logarithmic axes as SVG, exactness a line; '' without layers."""
    import matplotlib.figure

    rows = validation.rows
    if not rows:
        return ""
    figure = matplotlib.figure.Figure(figsize=(5.2, 5), layout="constrained")
    axes = figure.add_subplot()
    measured, predicted = [row.measured_cycles for row in rows], [row.predicted_cycles for row in rows]
    ends = [min(*measured, *predicted) / 1.5, max(*measured, *predicted) * 1.5]
    axes.plot(ends, ends, color="0.4", linewidth=1, label="exact")
    for factor, style in ((1.1, "--"), (1 / 1.1, "--")):
        axes.plot(ends, [end * factor for end in ends], style, color="0.75", linewidth=0.8)
    axes.scatter(measured, predicted, s=22, alpha=0.8)
    axes.set(xscale="log", yscale="log", xlabel="measured cycles", ylabel="predicted cycles", xlim=ends, ylim=ends)
    axes.set_title("dashed: 10 % off", fontsize=9, color="0.4")
    return _svg(figure)


def bars(validation: Validation) -> str:
    """Return the signed error of every layer as SVG; '' without layers."""
    import matplotlib.figure

    rows = validation.rows
    if not rows:
        return ""
    figure = matplotlib.figure.Figure(figsize=(max(5.2, min(14, 0.32 * len(rows) + 2)), 3.6), layout="constrained")
    axes = figure.add_subplot()
    errors = [row.error_pct for row in rows]
    axes.bar(range(len(rows)), errors, color=["tab:red" if e > 0 else "tab:blue" for e in errors])
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set_ylabel("error, % of measured")
    if len(rows) <= MOST_NAMED:
        axes.set_xticks(range(len(rows)), [row.name for row in rows], rotation=90, fontsize=7)
    else:
        axes.set_xlabel("layers in order")
    return _svg(figure)


def _svg(figure: object) -> str:
    """Return a figure as SVG that is the same for the same data."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "tiletick", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    text = out.getvalue()
    return text[text.index("<svg") :]
