"""Colours of the page, and hatches that tell them apart where there are none: as rules, and as patterns for SVG."""

from __future__ import annotations

from collections.abc import Iterator

from sim.display import CAUSE_COLOURS, CAUSE_HATCHES
from sim.plot._style import HATCHES, PALETTE, is_light
from sim.report.page.markup import Markup, el, join

TILE = 6
"""Pixels from line to line of a hatch."""

STROKES = {
    "//": "M0 6L6 0", "\\\\": "M0 0L6 6", "xx": "M0 0L6 6M0 6L6 0", "--": "M0 3H6", "||": "M3 0V6",
    "++": "M3 0V6M0 3H6", "..": "M2.2 3h1.6", "oo": "M1 3a2 2 0 1 0 4 0a2 2 0 1 0-4 0",
}  # fmt: skip
"""Each hatch in a square of TILE pixels."""

ANGLES = {"//": (135,), "\\\\": (45,), "xx": (45, 135), "--": (0,), "||": (90,), "++": (0, 90), "..": (), "oo": ()}
"""Directions across the lines of each hatch, in degrees clockwise from upwards."""


def looks() -> dict[str, tuple[str, str]]:
    """Return the colour and the hatch of each class: `c-CAUSE`, and `k-0` to `k-7`."""
    causes = {f"c-{cause}": (colour, CAUSE_HATCHES[cause]) for cause, colour in CAUSE_COLOURS.items()}
    return causes | {f"k-{index}": look for index, look in enumerate(zip(PALETTE, HATCHES, strict=True))}


def rules() -> str:
    """Return a rule for each class; the paper's grey of idle units is darker on a dark page."""
    found = [rule for name, (colour, hatch) in looks().items() for rule in _rules(name, colour, hatch)]
    dark = ".c-idle { fill: #3d444d; background: #3d444d; }"
    return "\n".join([*found, f"@media screen and (prefers-color-scheme: dark) {{ {dark} }}", ""])


def _rules(name: str, colour: str, hatch: str) -> Iterator[str]:
    """Yield the rule of a class: areas in pictures take its pattern, bars and keys of the text have it as gradients."""
    if not hatch:
        yield f".{name} {{ fill: {colour}; background: {colour}; }}"
        return
    ink = _ink(colour)
    lines = ", ".join(f"repeating-linear-gradient({angle}deg, {ink} 0 1px, #0000 1px 5px)" for angle in ANGLES[hatch])
    image = lines or f"radial-gradient({ink} 1px, #0000 1.4px) 0 0 / 5px 5px"
    yield f".{name} {{ fill: url(#h-{name}); background: {image}, {colour}; }}"


def patterns() -> Markup:
    """Return the patterns that the rules name, in a picture of no size."""
    drawn = [
        el("pattern", el("rect", width=TILE, height=TILE, fill=colour), _stroke(colour, hatch),
           id=f"h-{name}", width=TILE, height=TILE, patternUnits="userSpaceOnUse")
        for name, (colour, hatch) in looks().items() if hatch
    ]  # fmt: skip
    style = "position:absolute;width:0;min-width:0;height:0"
    return el("svg", el("defs", join(drawn)), width=0, height=0, aria_hidden="true", style=style)


def _stroke(colour: str, hatch: str) -> Markup:
    width = 1.6 if hatch == ".." else 0.9
    return el("path", d=STROKES[hatch], fill="none", stroke=_ink(colour), stroke_width=width)


def _ink(colour: str) -> str:
    return "#444444" if is_light(colour) else "#ffffff"
