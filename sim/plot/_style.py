"""One look for every picture: colours that the colour-blind and grey printers tell apart, units on every axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito, Color Universal Design, 2008; without black."""

HATCHES = ("", "//", "..", "\\\\", "xx", "--", "||", "++")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (9, 2)), (0, (3, 1, 3, 4)))
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""What tells the colours of the palette apart in grey: on areas, of lines, of points."""

MOST_LABELS = 40
"""Layers that an axis names one by one; of more, every few."""


def axis_of(axis: Axes | None, width: float = 9.0, height: float = 4.0) -> Axes:
    """Return the axis given, or that of a new figure of that size in inches."""
    if axis is not None:
        return axis
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(axis: Axes) -> Figure:
    """Return the figure that an axis belongs to, its frame reduced to two sides."""
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure = axis.get_figure(root=True)
    assert figure is not None  # an axis in use has one
    return figure


def area(colour: str, hatch: str) -> dict[str, Any]:
    """Return how an area looks: its colour, and a hatch in white, or dark where the colour is light."""
    ink = "#444444" if is_light(colour) else "white"
    return {"facecolor": colour, "hatch": hatch, "edgecolor": ink, "linewidth": 0}


def is_light(colour: str) -> bool:
    """Tell whether a colour (#RRGGBB) asks for dark lines on it: its luma (ITU-R BT.601) is above 0.55."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.55


PREFIXES = ((1e12, "T", "10¹² "), (1e9, "G", "10⁹ "), (1e6, "M", "10⁶ "), (1e3, "k", "10³ "))


def scaled(most: float, unit: str) -> tuple[float, str]:
    """Return by what to divide values up to `most`, and the unit with its prefix; counts (cycles) get a power."""
    for power, prefix, written in PREFIXES:
        if most >= power:
            return power, (written if unit == "cycles" else prefix) + unit
    return 1.0, unit


def name_layers(axis: Axes, names: Sequence[str]) -> None:
    """Write layer names below the bars, upright ones where there are few, every few where there are many."""
    step = -(-len(names) // MOST_LABELS)
    places = np.arange(0, len(names), step)
    short = [name if len(name) <= 24 else name[:11] + "…" + name[-12:] for name in names]
    axis.set_xticks(places, [short[i] for i in places], rotation=90 if len(names) > 6 else 0, fontsize=8)
    axis.set_xlim(-0.6, len(names) - 0.4)


def title(axis: Axes, text: str, columns: int = 5) -> None:
    """Put the title above the legend, and both above the picture, where they cover no data."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        axis.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, fontsize=8,
            handleheight=1.0,
        )
    axis.set_title(text, loc="left", pad=8 + 14 * -(-len(handles) // columns))
