"""The player of a film: one page with play, step and scrub; script and data are in it, nothing is loaded."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sim.report.page.markup import Markup, clean, el

if TYPE_CHECKING:
    from sim.animation.film import Film, Frame

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What a browser may do with the page: run what is in it, and load nothing."""

PE, SLOT, AROUND = 64, 28, 330
"""Pixels of a PE and of a register before the array; of what stands above and below in a notebook."""


def to_html(film: Film) -> str:
    """Return the film as a page of HTML."""
    head = el(
        "head", el("meta", charset="utf-8"), el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"), el("title", film.title),
        el("style", _part("player.css")),
    )  # fmt: skip
    data = Markup(json.dumps(_data(film), separators=(",", ":")).replace("<", "\\u003c"))
    body = el(
        "body", el("h1", film.title), el("p", " ".join(film.about), class_="note"), el("div", id="player"),
        el("script", data, id="film", type="application/json"), el("script", _part("player.js")),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def embedded(film: Film) -> str:
    """Return the page inside a frame of its own, for a notebook."""
    slots = max((len(lane) for frame in film.frames[:1] for lane in frame.top), default=0)
    height = AROUND + film.rows * PE + slots * SLOT
    style = "border:1px solid #ccc"
    return f'<iframe srcdoc="{clean(to_html(film))}" width="100%" height="{height}" style="{style}"></iframe>'


def _data(film: Film) -> dict[str, Any]:
    return {
        "dataflow": film.dataflow, "words": film.words, "rows": film.rows, "cols": film.cols, "pes": film.pes,
        "product": film.product, "parts": film.parts, "frames": [_frame(frame) for frame in film.frames],
    }  # fmt: skip


def _frame(frame: Frame) -> dict[str, Any]:
    """Return a frame with short names: x moves, w rests, s grows, h is held, t steps, u useful, l and o wait before."""
    grids = {"x": frame.moving, "w": frame.resting, "s": frame.sums, "h": frame.held, "t": frame.steps}
    flat = {key: [value for row in grid for value in row] for key, grid in grids.items()}
    useful = [int(value) for row in frame.useful for value in row]
    return {"p": frame.phase, **flat, "u": useful, "l": frame.left, "o": frame.top, "c": frame.outputs}


def _part(name: str) -> Markup:
    return Markup(files("sim.animation").joinpath(name).read_text(encoding="utf-8"))
