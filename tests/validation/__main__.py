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

FULL = """\
## The full set

What CI samples, `pytest -m slow` tries at length: the laws behind this report, last run in November 2026, all passed.

| file | law | cases |
|---|---|---:|
| test_rtl.py | circuits of 2x2 to 16x16, all modes, odd sizes, M = 1: cycles as predicted, product as numpy's | 200 |
| | the same with any value of any knob | 300 |
| test_row_stationary.py | a pass takes the cycles of the register-level grid, its sums are numpy's | 1,500 |
| | a wider bus never makes a pass longer | 500 |
| | a fold of a product is a pass with one weight a PE | 300 |
| | the plan computes the product within the buffer that it asks for | 1,500 |
| | transfers touch the bytes that they move, outputs lie apart | 600 |
| | the engine takes the cycles of the grid for a whole layer | 400 |
| | settled loops of passes are skipped exactly | 200 |
| test_validate.py | statistics equal scipy's and their definitions | 500 |
| | an exact prediction has no error and perfect correlation | 200 |
| test_fit.py | knobs of made-up boards, whose cycles circuits made, are found | 3 |
| test_finn.py | matrix-vector units with private buffers: three engines agree | 1,000 |
| | a buffer that adds to the channel never costs a cycle | 1,000 |
| test_validation_report.py | this report is what the simulator says | 1 |

The 200 circuits take 36 seconds on a shared core, of five minutes allowed.
"""

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
    return "\n".join(lines) + f"\n\n{FULL}"


def _row(reference: Reference, cases: list[Case]) -> str:
    if reference.bound:
        held = sum((case.reference or 0) <= (case.predicted or 0) for case in cases)
        return f"| {reference.title} | {reference.measures} | {len(cases):,} | {held:,} hold | a bound | |"
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
        lines += [f"| case | {'bound' if reference.bound else 'predicted'} | reference | {_last(reference)} |",
                  "|---|---:|---:|---:|"]  # fmt: skip
        lines += [f"| {c.name} | {_figure(c.predicted)} | {_figure(c.reference)} | {_percent(c.error_pct, sign=True)} |"
                  for c in shown]  # fmt: skip
        lines += [f"\n{len(wrong) - len(shown)} more are off by less." if len(wrong) > len(shown) else "", ""]
    return lines


def _last(reference: Reference) -> str:
    return "above it by" if reference.bound else "error"


def _figure(value: float | None) -> str:
    return "never ends" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def main() -> None:
    """Compare everything and write the report."""
    compared = []
    for reference in references():
        sys.stderr.write(f"{reference.title}\n")
        compared.append((reference, list(reference.cases())))
    REPORT.write_text(report(compared), encoding="utf-8")


if __name__ == "__main__":
    main()
