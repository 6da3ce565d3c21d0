"""The lessons run as they stand, ask a question and leave something to try; what they show was made by running them.

`python -m tests.notebooks` runs them and writes their outputs anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebooks import FOLDER, code_of, execute, read

LESSONS = sorted(FOLDER.glob("*.ipynb"))
ROOT = Path(__file__).resolve().parent.parent


def named(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", LESSONS, ids=named)
def test_a_lesson_runs_and_says_what_it_said(path: Path) -> None:
    """Every cell of today gives output where the committed one did, and none fails."""
    committed, now = read(path), read(path)
    execute(now)
    before, after = ([{o.output_type for o in cell.outputs} for cell in code_of(each)] for each in (committed, now))
    assert before == after, "the outputs are behind: python -m tests.notebooks"


@pytest.mark.parametrize("path", LESSONS, ids=named)
def test_a_lesson_asks_shows_and_leaves_something_to_try(path: Path) -> None:
    lesson = read(path)
    words = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    assert words.startswith(f"# {int(path.stem[:2])} · ")
    for part in ("**Question.**", "**What to notice.**", "## Try"):
        assert part in words
    assert len(re.findall(r"^\d\. ", words.split("## Try")[1], re.MULTILINE)) >= 2


@pytest.mark.parametrize("path", LESSONS, ids=named)
def test_outputs_are_there_small_and_without_errors(path: Path) -> None:
    cells = code_of(read(path))
    assert all(cell.execution_count for cell in cells)
    assert any(cell.outputs for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert not any(output.get("name") == "stderr" for cell in cells for output in cell.outputs)
    assert path.stat().st_size < 300_000
    assert "/tmp" not in re.sub(r'"image/png": "[^"]*"', "", path.read_text(encoding="utf-8"))


def test_every_lesson_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert LESSONS and all(f"(notebooks/{path.name})" in readme for path in LESSONS)
