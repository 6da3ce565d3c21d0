"""Regenerate what stands in `reports/`: `python -m tests.reports [NAME ...]`, all of them without a name.

Reports that are written whole are overwritten. Those with words of their own keep them: of each table that their
script prints, the one with the same heads is replaced. KEPT says what of a report stays as it was measured.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.pictures import draw

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "reports"


def run(*words: str) -> str:
    """Return what a Python script or module of the checkout prints."""
    done = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def whole(name: str, *words: str) -> Callable[[], None]:
    """Return a maker that writes what a script prints as the report `name`."""

    def make() -> None:
        (FOLDER / f"{name}.md").write_text(run(*words), encoding="utf-8")

    return make


def itself(*words: str) -> Callable[[], None]:
    """Return a maker that runs a script which writes its report, whatever it prints."""

    def make() -> None:
        sys.stderr.write(run(*words))

    return make


def parts(name: str, *words: str) -> Callable[[], None]:
    """Return a maker that replaces the tables of the report `name` by those that a script prints."""

    def make() -> None:
        path = FOLDER / f"{name}.md"
        path.write_text(replaced(path.read_text(encoding="utf-8"), run(*words)), encoding="utf-8")

    return make


def replaced(text: str, printed: str) -> str:
    """Return the text, each of its tables as it is printed, where one with the same heads is."""
    fresh = {table[0]: table for table in blocks(printed) if table[0].startswith("|")}
    lines: list[str] = []
    for block in blocks(text):
        lines += fresh.get(block[0], block)
    return "\n".join(lines) + "\n"


def blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines of a text, those of a table together."""
    block: list[str] = []
    for line in text.splitlines():
        if block and not (line.startswith("|") and block[0].startswith("|")):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


MAKERS: dict[str, Callable[[], None]] = {
    "attention": itself("-m", "tests.perf.attention"),
    "dram": parts("dram", "tests/perf/dram.py"),
    "eyeriss": itself("tests/perf/eyeriss.py"),
    "pictures": lambda: draw(FOLDER),
    "patches": whole("patches", "tests/perf/patches.py"),
    "pim": whole("pim", "tests/perf/pim.py"),
    "speed": parts("speed", "tests/perf/page.py"),
    "streaming": parts("streaming", "tests/perf/streaming.py"),
    "sweeps": parts("sweeps", "tests/perf/studies.py"),
    "tiers": itself("-m", "tests.perf.tiers"),
    "validation": itself("-m", "tests.validation"),
}
KEPT = {
    "speed": "pages are measured; the other tables stay as they were measured, at rest and beside a peer: it says how",
    "sweeps": "DRACO and E2GC are simulated; costs of sweeps stay as measured, in hours: it names the commands",
}
"""Reports of which the command makes a part, and what of the rest."""


def main(names: list[str]) -> int:
    """Make the reports in `names`, all of them where there is none; return the exit status."""
    for name in (name for name in names if name not in MAKERS):
        sys.stderr.write(f"{name}: there is none; there are: {', '.join(MAKERS)}\n")
        return 2
    for name in names or MAKERS:
        sys.stderr.write(f"{name}: {KEPT[name]}\n" if name in KEPT else f"{name}\n")
        MAKERS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
