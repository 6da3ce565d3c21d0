"""The mappings of a run on its page: each loop nest once, with the layers that have it."""

from __future__ import annotations

from sim.nest import nest
from sim.report.nest import loops_text
from sim.report.page.markup import Markup, el, join, short
from sim.report.page.sections import section
from sim.result import Result

WIDTH = 110


def mappings(result: Result) -> Markup:
    """Return the loop nests of the run, folded, those that cost the most cycles first; nothing where there is none."""
    layers: dict[str, list[str]] = {}
    cycles: dict[str, int] = {}
    for layer in result.layers:
        if nest(layer):
            text = loops_text(layer, WIDTH)
            layers.setdefault(text, []).append(layer.name)
            cycles[text] = cycles.get(text, 0) + layer.cycles
    if not layers:
        return Markup("")
    found = (_nest(text, layers[text], cycles[text]) for text in sorted(layers, key=lambda text: -cycles[text]))
    note = "How each layer is cut: loops from the outermost inwards, what stays on chip; || marks PEs side by side."
    return section("Mappings", note, el("div", join(found), id="mappings"))


def _nest(text: str, names: list[str], cycles: int) -> Markup:
    told = short(", ".join(names), 100) if len(names) > 1 else names[0]
    more = f" ({len(names)} layers)" if len(names) > 1 else ""
    return el("details", el("summary", f"{told}{more}: {cycles:,} cycles"), el("pre", text))
