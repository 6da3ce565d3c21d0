"""Write reports/validation.md: every reference in one table, run anew. `python -m tests.validation`"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.validation.reference import Case, Reference

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent.parent / "reports" / "validation.md"
LONGEST = 12
"""Cases with an error that are listed at most, the largest first."""

PEERS = (
    ("Timeloop, AlexNet on Eyeriss", "3 to 12 %", "of the chip's processing latency; on VGG-16 2.7 times"),
    ("MAESTRO, AlexNet on Eyeriss", "4.25 %", "of the chip's processing latency"),
    ("Google's model of TPU v1", "5.4 to 11.2 %", "of time, six applications; Jouppi et al., ISCA 2017, table 7"),
    ("ONNXim's simple memory", "0 to 2.5 %", "against Ramulator 2, nine workloads"),
    ("DRAMsim3 against Ramulator 2.1", "0.7 to 20 %", "same timing, by kind of stream"),
)

HEAD = """\
# How far the predictions can be trusted

Every reference that the repository holds, run anew by one command:

    python -m tests.validation

An error is (predicted - reference) / reference. Nothing in the simulator is tuned to a reference: its parameters are
those that the reference states, and what is assumed beside them stands in the file of the chip.
"""


def references() -> list[Reference]:
    """Return every reference in `references/`, in order."""
    folder = HERE / "references"
    found: list[Reference] = []
    for module in pkgutil.iter_modules([str(folder)]):
        held = importlib.import_module(f"tests.validation.references.{module.name}").REFERENCE
        found += held if isinstance(held, list) else [held]
    return sorted(found, key=lambda reference: reference.order)


def report(compared: Sequence[tuple[Reference, list[Case]]]) -> str:
    """Return the report as Markdown."""
    lines = [
        HEAD, "| reference | compared | cases | exact | mean error | largest |", "|---|---|---:|---:|---:|---:|",
        *(_row(reference, cases) for reference, cases in compared), "", "## Case by case", "",
    ]  # fmt: skip
    for reference, cases in compared:
        lines += _section(reference, cases)
    lines += ["## What others publish", "", "| who | error | of what |", "|---|---|---|"]
    lines += [f"| {who} | {error} | {what} |" for who, error, what in PEERS]
    return "\n".join(lines) + "\n"


def _row(reference: Reference, cases: list[Case]) -> str:
    errors = [case.error_pct for case in cases]
    mean = sum(map(abs, errors)) / len(errors)
    worst = max(errors, key=abs)
    exact = sum(case.exact for case in cases)
    figures = f"{len(cases):,} | {exact:,} | {_percent(mean)} | {_percent(worst, sign=True)}"
    return f"| {reference.title} | {reference.measures} | {figures} |"


def _percent(value: float, sign: bool = False) -> str:
    return "0" if value == 0 else f"{value:{'+' if sign else ''}.3g} %"


def _section(reference: Reference, cases: list[Case]) -> list[str]:
    wrong = sorted((case for case in cases if not case.exact), key=lambda case: -abs(case.error_pct))
    shown = cases if reference.listed else wrong[:LONGEST]
    lines = [f"### {reference.title}", "", f"Source: {reference.origin}.", ""]
    ends = [case for case in cases if case.reference is None]
    if ends:
        agreed = sum(case.exact for case in ends)
        lines += [f"{len(ends)} of the cases deadlock in the reference, and {agreed} of them here.", ""]
    if wrong and reference.why:
        lines += [f"Why not zero: {reference.why}.", ""]
    if reference.peers:
        lines += [f"Beside it: {reference.peers}.", ""]
    if shown:
        lines += ["| case | predicted | reference | error |", "|---|---:|---:|---:|"]
        lines += [f"| {c.name} | {c.predicted} | {c.reference} | {_percent(c.error_pct, sign=True)} |" for c in shown]
        lines += [f"\n{len(wrong) - len(shown)} more are off by less." if len(wrong) > len(shown) else "", ""]
    return lines


def main() -> None:
    """Compare everything and write the report."""
    compared = []
    for reference in references():
        sys.stderr.write(f"{reference.title}\n")
        compared.append((reference, list(reference.cases())))
    REPORT.write_text(report(compared), encoding="utf-8")


if __name__ == "__main__":
    main()
