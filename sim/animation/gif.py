"""A film as an animated GIF, for where no script runs: slides, issues, papers' web pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from sim.errors import ConfigError, Problem
from sim.plot._style import PALETTE, figure_of
from sim.plot.array import array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.animation.film import Film

MOST_FRAMES = 300
"""Frames of a GIF; a longer film is for the page, where one can scrub."""

COLOURS, LINGER = 48, 2.0
"""Of the palette; how many seconds the last frame stays."""


def to_gif(film: Film, fps: float = 3.0) -> bytes:
    """Return the film as a GIF that plays again and again; ConfigError where it has too many frames."""
    if film.cycles > MOST_FRAMES:
        raise ConfigError(Problem(f"{film.cycles} frames are too many for a GIF, at most {MOST_FRAMES}; write .html"))
    if not 0 < fps <= 50:
        raise ConfigError(Problem(f"{fps:g} frames a second is not above 0 and at most 50", "--fps"))
    drawn = [_image(film, cycle) for cycle in range(film.cycles)]
    palette = _joined(drawn[:: max(1, len(drawn) // 6)]).quantize(COLOURS)  # one for all, so that frames store changes
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in drawn]
    times = [round(1000 / fps)] * (film.cycles - 1) + [round(1000 * LINGER)]
    out = io.BytesIO()
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0, optimize=False)
    return out.getvalue()


def _image(film: Film, cycle: int) -> Image.Image:
    out = io.BytesIO()
    picture(film, cycle).savefig(out, format="png", dpi=100)
    return Image.open(out).convert("RGB")


def _joined(images: Sequence[Image.Image]) -> Image.Image:
    """Return the images below each other."""
    width, height = images[0].size
    joined = Image.new("RGB", (width, height * len(images)))
    for index, image in enumerate(images):
        joined.paste(image, (0, index * height))
    return joined


def picture(film: Film, cycle: int) -> Figure:
    """Return one frame: the array, and below it how many PEs do useful work in each cycle."""
    from matplotlib.figure import Figure

    height = 3.1 + 0.72 * film.rows
    figure = Figure(figsize=(max(7.0, 4.4 + 0.75 * film.cols), height))
    array(film, cycle, figure.add_axes((0.02, 1.6 / height, 0.96, 1 - 2.1 / height)))
    below = figure.add_axes((0.09, 0.5 / height, 0.88, 0.9 / height))
    _utilization(film, cycle, below)
    return figure


def _utilization(film: Film, cycle: int, axis: Axes) -> None:
    shares = [100 * frame.active / film.pes for frame in film.frames]
    colours = [PALETTE[0] if index <= cycle else "#CFE3F1" for index in range(film.cycles)]
    axis.bar(range(film.cycles), shares, 0.9, color=colours)
    axis.axvline(cycle, color="black", linewidth=0.8)
    axis.set(xlim=(-0.6, film.cycles - 0.4), ylim=(0, 102), xlabel="cycle", ylabel="useful PEs, %")
    figure_of(axis)
