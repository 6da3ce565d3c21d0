"""HTML and SVG elements from Python values: what is not markup already is escaped, always."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), "�")
"""Characters that HTML does not have."""

VOID = frozenset({"meta", "line", "rect", "circle", "path"})
"""Elements without an end tag (HTML), or without content (SVG)."""


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def el(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return the element `name`; `class_` is the attribute class, `data_tip` is data-tip; None leaves one out."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{clean(str(value))}"'
        for key, value in attributes.items() if value is not None
    )  # fmt: skip
    if name in VOID:
        return Markup(f"<{name}{named}/>" if name != "meta" else f"<{name}{named}>")
    return Markup(f"<{name}{named}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Return the parts one behind the other, those that are no markup escaped."""
    return Markup("".join(part if isinstance(part, Markup) else clean(part) for part in parts))


def clean(text: str) -> Markup:
    """Return the text with all that HTML would read as markup escaped, and control characters replaced."""
    return Markup(escape(text.translate(CONTROL)))


def short(text: str, most: int = 40) -> str:
    """Return the text, its middle left out where it is longer than `most` characters."""
    return text if len(text) <= most else text[: most // 2 - 1] + "…" + text[-(most - most // 2) :]
