"""The report of a run as one page: no network, light and dark, on a phone and on paper.

Pictures are SVG that takes its colours from the page; the policy in its head forbids a browser to load anything.
"""

from __future__ import annotations

from importlib.resources import files

from sim.arch import Arch
from sim.report.chip import chip_text
from sim.report.page import sections
from sim.report.page.chip import picture
from sim.report.page.colours import patterns, rules
from sim.report.page.mappings import mappings
from sim.report.page.markup import Markup, el, join
from sim.report.page.time import buffers, power
from sim.result import Result

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
TREE_WIDTH = 110


def to_page(result: Result, chip: Arch | None = None, command: str = "") -> str:
    """Return the page of a run as HTML; units over time where it was recorded (`run(..., record=True)`).

    `chip` adds its picture and its tree, `command` is shown as what gives the page again.
    """
    title = f"{result.workload} on {result.arch}"
    head = el(
        "head", el("meta", charset="utf-8"), el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"), el("title", title),
        el("style", Markup(rules() + _part("page.css"))),
    )  # fmt: skip
    shown = (patterns(), el("h1", title), *_sections(result, chip, command))
    body = el("body", *shown, el("script", Markup(_part("page.js"))))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _sections(result: Result, chip: Arch | None, command: str) -> list[Markup]:
    parts = (
        sections.summary, sections.cycles, sections.over_time, sections.layers, sections.on_the_roof, sections.spent,
        power, sections.moved, buffers, sections.rows_of_dram, mappings, sections.left_out,
    )  # fmt: skip
    return [*(part(result) for part in parts), _chip(chip, result), sections.provenance(result, command)]


def _chip(chip: Arch | None, result: Result) -> Markup:
    if chip is None:
        return Markup("")
    tree = el("details", el("summary", "every key"), el("pre", chip_text(chip, TREE_WIDTH)))
    note = chip.description or "What computes, what holds, and the wires between; buffers are filled to their peak."
    return sections.section(f"The chip: {chip.name}", note, el("figure", picture(chip, result)), tree)


def _part(name: str) -> str:
    return join([Markup(files("sim.report.page").joinpath(name).read_text(encoding="utf-8"))])
