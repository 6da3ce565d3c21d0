"""Reports: each has a maker or a reason; every picture has a sample; tables are replaced and words kept."""

from __future__ import annotations

import re

from sim import plot
from tests.reports import FOLDER, KEPT, MAKERS, main, replaced


def test_every_report_is_made_by_the_command():
    there = {path.stem for path in FOLDER.glob("*.md")}
    assert there == {*MAKERS}, "say in tests/reports.py how a new report is made"
    assert {*KEPT} < {*MAKERS}


def test_the_page_of_pictures_shows_every_picture_there_is():
    page = (FOLDER / "pictures.md").read_text(encoding="utf-8")
    shown = re.findall(r"\((pictures/[^)]+)\)", page)
    assert all((FOLDER / name).stat().st_size < 400_000 for name in shown)
    assert {path.name for path in (FOLDER / "pictures").iterdir()} == {name.split("/")[1] for name in shown}
    assert set(plot.__all__) <= {name.split("/")[1].removesuffix(".png") for name in shown}


def test_every_picture_of_a_report_is_one():
    shown = {(report.parent / name) for report in FOLDER.glob("*.md")
             for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", report.read_text(encoding="utf-8"))}  # fmt: skip
    begins = {".png": b"\x89PNG\r\n\x1a\n", ".gif": b"GIF89a"}
    assert len(shown) > 10
    assert all(path.read_bytes().startswith(begins[path.suffix]) for path in shown)


def test_tables_with_the_same_heads_are_replaced_and_words_are_kept():
    text = "# A\n\nwords\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nmore\n\n| c |\n|---|\n| 3 |\n"
    printed = "| a | b |\n|---|---|\n| 4 | 5 |\n| 6 | 7 |\n\n| d |\n|---|\n| 9 |\n"
    assert replaced(text, printed) == text.replace("| 1 | 2 |", "| 4 | 5 |\n| 6 | 7 |")
    assert replaced(text, "") == text


def test_a_report_that_is_not_there_is_told(capsys):
    assert main(["drum"]) == 2
    assert capsys.readouterr().err == f"drum: there is none; there are: {', '.join(MAKERS)}\n"
