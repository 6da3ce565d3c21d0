"""The validation report is what its command writes, and holds every reference there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.validation.__main__ import REPORT, references, report
from tests.validation.reference import Case, Reference

FOLDER = Path(__file__).parent / "validation" / "references"


def test_every_reference_has_a_row_in_the_report() -> None:
    text = REPORT.read_text(encoding="utf-8")
    found = references()
    assert len(found) >= len(list(FOLDER.glob("*.py")))
    assert all(f"| {reference.title} | {reference.measures} |" in text for reference in found)


@pytest.mark.slow
def test_the_report_is_what_the_simulator_says_today() -> None:
    text = report([(reference, list(reference.cases())) for reference in references()])
    assert text == REPORT.read_text(encoding="utf-8"), "reports/validation.md is behind: python -m tests.validation"


def test_errors_are_signed_and_deadlocks_must_agree() -> None:
    cases = [Case("a", 90, 100), Case("b", 30, 30), Case("c", None, None), Case("d", 5, None)]
    assert [case.error_pct for case in cases] == [-10, 0, 0, float("inf")]
    reference = Reference(1, "Peer", "cycles", "somewhere", lambda: cases, why="it rains")
    text = report([(reference, cases[:3])])
    assert "| Peer | cycles | 3 | 2 | 3.33 % | -10 % |" in text
    assert "Why not zero: it rains." in text and "1 of the cases deadlock in the reference, and 1 of them here." in text
    assert "| a | 90 | 100 | -10 % |" in text
