"""Where a network lies in banks that multiply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sim.plot._style import HATCHES, PALETTE, area, axis_of, figure_of, title
from sim.report.placement import placed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"weight": PALETTE[0], "kv": PALETTE[1]}


def banks(arch: str, network: str, overrides: Mapping[str, Any] | None = None, axis: Axes | None = None) -> Figure:
    """Return a map of the rows of every bank: what `network` holds in them (colour) and how full they are (height).

    ConfigError where the chip called `arch` has no banks that multiply.
    """
    found = placed(arch, network, overrides or {})
    axis = axis_of(axis, 9.0, 2.6)
    for what in dict.fromkeys(place.what for place in found.places):
        mine = [place for place in found.places if place.what == what]
        look = area(COLOURS.get(what, PALETTE[2]), HATCHES[list(COLOURS).index(what) if what in COLOURS else 2])
        axis.bar([p.first for p in mine], [100 * p.filled for p in mine], [p.rows for p in mine], align="edge",
                 label={"kv": "keys and values"}.get(what, f"{what}s"), **look)  # fmt: skip
    end = max((place.first + place.rows for place in found.places), default=0)
    axis.axvline(found.device.rows, color="black", linewidth=1.2, label="the last row there is")
    axis.set(xlim=(0, max(end, found.device.rows) * 1.01), ylim=(0, 105))
    axis.set(xlabel="row of every bank", ylabel="filled, %")
    title(axis, f"{found.graph.name} in the banks of {found.chip.name}")
    return figure_of(axis)
