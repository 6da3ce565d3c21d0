"""How things look in a notebook: a title, a few figures, a table, a bar by parts; plain HTML without script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

CAUSE_COLOURS = {
    "compute": "#0072B2", "fill": "#9BC9E8", "drain": "#56B4E9", "wait_input": "#E69F00", "wait_weight": "#D55E00",
    "wait_tier": "#7A0177", "wait_port": "#8C564B", "wait_output_space": "#CC79A7", "wait_dependency": "#009E73",
    "idle": "#DDDDDD", "repeats": "#004466",
}  # fmt: skip
"""Work is blue, waiting warm or green, nothing grey."""

CAUSE_HATCHES = {
    "compute": "", "fill": "..", "drain": "||", "wait_input": "//", "wait_weight": "\\\\", "wait_port": "xx",
    "wait_tier": "oo", "wait_output_space": "--", "wait_dependency": "++", "idle": "", "repeats": "",
}  # fmt: skip
"""What tells causes apart where there is no colour; in the words of matplotlib. Those without differ in lightness."""

DRAWERS: dict[str, Callable[[Any], str]] = {}
"""Pictures of things by their kind ("chip"), from modules above those that show them; the package fills it in."""

MOST_ROWS = 12
"""Rows of a table in a cell; of more, these and how many are left out."""


def drawn(kind: str, thing: Any) -> str:
    """Return the picture of a thing; empty where nothing draws its kind."""
    return DRAWERS[kind](thing) if kind in DRAWERS else ""


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def card(title: str, figures: Iterable[tuple[str, str]] = (), *parts: str) -> str:
    """Return a title in bold, figures with what they are in one line, and parts below."""
    told = " · ".join(f"<b>{_clean(value)}</b> {_clean(word)}" for value, word in figures)
    below = "".join(f"<div>{part}</div>" for part in parts)
    return f"<div><b>{_clean(title)}</b><br>{told}{below}</div>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    """Return a table, figures to the right; of many rows the first ones."""
    shown = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:MOST_ROWS])
    rest = len(rows) - MOST_ROWS
    more = f"<tr><td colspan='{len(heads)}'>and {rest} more</td></tr>" if rest > 0 else ""
    titles = "".join(f"<th style='text-align:left'>{_clean(head)}</th>" for head in heads)
    return Html(f"<table><thead><tr>{titles}</tr></thead><tbody>{shown}{more}</tbody></table>")


def bar(parts: Mapping[str, int], width: int = 160) -> Html:
    """Return a bar of `width` pixels whose parts, by cause, take their share; hovering names them."""
    whole = sum(parts.values())
    pieces = "".join(
        f"<span title='{_clean(cause.replace('_', ' '))}: {count:,}' style='display:inline-block;height:11px;"
        f"width:{width * count / whole:.1f}px;background:{CAUSE_COLOURS.get(cause, '#999999')}'></span>"
        for cause, count in parts.items() if count
    )  # fmt: skip
    return Html(f"<span style='white-space:nowrap'>{pieces}</span>")


def legend(causes: Iterable[str]) -> Html:
    """Return what the colours of a bar mean."""
    keys = "".join(
        f"<span style='margin-right:1em;white-space:nowrap'><span style='display:inline-block;width:.8em;height:.8em;"
        f"background:{CAUSE_COLOURS[cause]}'></span> {_clean(cause.replace('_', ' '))}</span>"
        for cause in causes
    )
    return Html(f"<div style='font-size:smaller'>{keys}</div>")


def pre(text: str) -> Html:
    """Return text as it stands, in letters of one width."""
    return Html(f"<pre>{_clean(text)}</pre>")


def _cell(text: str) -> str:
    side = "right" if text[:1].isdigit() else "left"
    return f"<td style='text-align:{side}'>{_clean(text)}</td>"


def _clean(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)
