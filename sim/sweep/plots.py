"""Pictures of a sweep: the front, parallel coordinates, what each axis decides, and two axes as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import ConfigError, Problem, unknown
from sim.sweep.figures import Objective
from sim.sweep.report import Report
from sim.sweep.schema import is_axis
from sim.sweep.sensitivity import order, sensitivities
from sim.sweep.text import written

_UNITS = {"energy_pj": "pJ", "seconds": "s", "edp": "J s", "area_mm2": "mm2"}
_GREY, _BLUE, _RED = "#b8bcc4", "#2166ac", "#b2182b"


def plot(report: Report, folder: Path) -> list[Path]:
    """Write front.png, parallel.png, sensitivity.png and heatmap.png into `folder`; return those that there are.

    A front needs two objectives, a heat map two axes. Raises ConfigError where nothing was simulated.
    """
    if not report.done:
        raise ConfigError(Problem("has no simulated point to draw", report.sweep.name))
    found = [entry for entry in sensitivities(report) if is_axis(report.sweep, entry.key)]
    pictures = {"sensitivity": sensitivity(report)} if found else {}
    if len(report.objectives) > 1:
        pictures |= {"front": front(report)}
    if found:
        pictures |= {"parallel": parallel(report)}
    if len(found) > 1:
        pictures |= {"heatmap": heatmap(report, found[0].key, found[1].key)}
    paths = []
    for name, figure in pictures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=130, metadata={"Software": None})
    return paths


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _title(objective: Objective) -> str:
    unit = _UNITS.get(objective.figure, "")
    return f"{objective.title} [{unit}]" if unit else objective.title


def front(report: Report) -> Any:
    """Return the figure of all points over the first two objectives: the front as a line, or by its third objective.

    With three objectives a design on the front may lie behind another in two of them: its colour says why.
    """
    figure, axes = _axes(7, 5)
    x, y = report.objectives[:2]
    values = [(row.figures[x.figure], row.figures[y.figure]) for row in report.done if row.figures]
    best = [row.figures for row in report.front() if row.figures]
    axes.scatter(*zip(*values, strict=True), s=14, color=_GREY, label=f"{len(values):,} designs")
    places, label = sorted((figures[x.figure], figures[y.figure]) for figures in best), f"front, {len(best):,}"
    if len(report.objectives) == 2:
        axes.plot(*zip(*places, strict=True), "-o", color=_RED, markersize=5, label=label)
    else:
        third = report.objectives[2]
        across, up, costs = zip(*((f[x.figure], f[y.figure], f[third.figure]) for f in best), strict=True)
        dots = axes.scatter(across, up, c=costs, cmap="plasma", s=34, edgecolors="black", linewidths=0.6, label=label)
        figure.colorbar(dots, label=_title(third))
    axes.set(xlabel=_title(x), ylabel=_title(y), xscale="log", yscale="log", title=report.sweep.name)
    axes.legend(frameon=False)
    axes.grid(alpha=0.25, which="both")
    return figure


def parallel(report: Report) -> Any:
    """Return the figure of parallel coordinates: each design a line over keys and objectives, the front in colour."""
    keys = [entry.key for entry in sensitivities(report) if is_axis(report.sweep, entry.key)][::-1]
    figure, axes = _axes(1.6 * (len(keys) + len(report.objectives)) + 1.5, 5)
    on_front = {row.point for row in report.front()}
    places = {key: _places([row.settings[key] for row in report.done]) for key in keys}
    for objective in report.objectives:
        costs = np.log([max(abs((row.figures or {})[objective.figure]), 1e-300) for row in report.done])
        places[_title(objective)] = ((costs - costs.min()) / (np.ptp(costs) or 1.0)).tolist()
    for i in sorted(range(len(report.done)), key=lambda i: report.done[i].point in on_front):
        chosen = report.done[i].point in on_front
        heights = [values[i] for values in places.values()]
        colour, strength, width = (_RED, 0.9, 1.4) if chosen else (_GREY, 0.25, 0.7)
        axes.plot(heights, color=colour, alpha=strength, linewidth=width)
    for place, key in enumerate(keys):
        _ticks(axes, place, report, key)
    axes.set_xticks(range(len(places)), list(places), rotation=15)
    axes.set_yticks([])
    title = f"{report.sweep.name}: front in red; objectives from least (below) to most"
    axes.set(title=title, xlim=(-0.2, len(places) - 0.6))
    for place in range(len(places)):
        axes.axvline(place, color="black", linewidth=0.6, alpha=0.5)
    return figure


def _places(values: Sequence[Any]) -> list[float]:
    distinct = _distinct(values)
    return [distinct.index(str(value)) / max(1, len(distinct) - 1) for value in values]


def _distinct(values: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in sorted(values, key=order)))


def _ticks(axes: Any, place: int, report: Report, key: str) -> None:
    distinct = _distinct([row.settings[key] for row in report.done])
    for i in sorted({round(s * (len(distinct) - 1)) for s in np.linspace(0, 1, min(len(distinct), 8))}):
        height = i / max(1, len(distinct) - 1)
        box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1}
        axes.text(place + 0.03, height, distinct[i], fontsize=7, va="center", bbox=box)


def sensitivity(report: Report) -> Any:
    """Return the tornado: for each key the range of the first objective's mean over its values."""
    found = [entry for entry in sensitivities(report) if is_axis(report.sweep, entry.key)][::-1]
    figure, axes = _axes(7, 1.2 + 0.45 * len(found))
    first = report.objectives[0]
    costs = np.abs(report.costs()[:, 0])
    middle = float(np.exp(np.log(np.maximum(costs, 1e-300)).mean()))
    for place, entry in enumerate(found):
        means = [mean / middle for mean in entry.means[0]]
        axes.barh(place, max(means) - min(means), left=min(means), color=_BLUE, height=0.6)
        ends = sorted(zip(means, entry.values, strict=True), key=lambda pair: pair[0])
        axes.text(min(means), place, f"{ends[0][1]} ", ha="right", va="center", fontsize=8)
        axes.text(max(means), place, f" {ends[-1][1]}", ha="left", va="center", fontsize=8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(found)), [entry.key for entry in found])
    axes.set(xlabel=f"mean {first.title} at a value, over the mean of all", title=report.sweep.name, xscale="log")
    reach = [mean / middle for entry in found for mean in entry.means[0]]
    axes.set_xlim(min(reach) / 1.5, max(reach) * 1.5)
    for axis_level in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        axis_level(lambda ratio, _: f"{ratio:g}" if f"{ratio:e}"[0] in "125" else "")
    return figure


def heatmap(report: Report, across: str, up: str, figure_name: str = "") -> Any:
    """Return the map of a figure (the first objective) over two keys, the best of all that else varies in each field.

    Raises ConfigError where a key is none of the sweep's.
    """
    for key in (across, up):
        if key not in report.rows[0].settings:
            raise ConfigError(Problem(unknown("key", key, report.rows[0].settings), report.sweep.name))
    name, sign = figure_name or report.objectives[0].figure, report.objectives[0].sign
    columns, lines = (_distinct([row.settings[key] for row in report.rows]) for key in (across, up))
    field = np.full((len(lines), len(columns)), np.inf)
    for row in report.done:
        at = lines.index(str(row.settings[up])), columns.index(str(row.settings[across]))
        field[at] = min(field[at], sign * (row.figures or {})[name])
    figure, axes = _axes(2.5 + 0.8 * len(columns), 1.8 + 0.5 * len(lines))
    shown = np.where(np.isfinite(field), sign * field, np.nan)
    image = axes.imshow(shown, origin="lower", aspect="auto", cmap="viridis_r" if sign > 0 else "viridis")
    for (line, column), value in np.ndenumerate(shown):
        if np.isfinite(value):
            axes.text(column, line, written(name, value), ha="center", va="center", fontsize=8, color="white",
                      bbox={"facecolor": "black", "alpha": 0.35, "linewidth": 0, "pad": 1.5})  # fmt: skip
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(lines)), lines)
    axes.set(xlabel=across, ylabel=up, title=f"{report.sweep.name}: best {name}")
    figure.colorbar(image)
    return figure
