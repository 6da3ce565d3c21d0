"""The commands that a DRAM controller issued: who opened, read and closed what when."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from sim import textfile
from sim.errors import ConfigError, Problem
from sim.plot._style import PALETTE, axis_of, figure_of, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "ACT": (PALETTE[2], "|", "activate"), "PRE": (PALETTE[7], "x", "precharge"), "RD": (PALETTE[0], "o", "read"),
    "WR": (PALETTE[5], "s", "write"), "REF": (PALETTE[3], "D", "refresh"),
}  # fmt: skip
"""Colour, mark and name of the commands that begin so."""

MOST_BANKS = 64


def commands(path: str | Path, first: int = 0, last: int | None = None, axis: Axes | None = None) -> Figure:
    """Return the commands of a trace (`tiletick dram --commands FILE`) from clock `first` to `last`, a line a bank.

    Refreshes of all banks of a rank stand on a line of their own. ConfigError where the file is no such trace, or holds
    no command between the two.
    """
    end = float("inf") if last is None else last
    rows = [row for row in _read(path) if first <= int(row["clock"]) <= end]
    if not rows:
        told = f"holds no command from clock {first} to {'its end' if last is None else last}"
        raise ConfigError(Problem(told, str(path)))
    names = sorted({_bank(row) for row in rows}, key=_order)
    if len(names) > MOST_BANKS:
        told = f"names {len(names)} banks, at most {MOST_BANKS} are drawn; choose fewer clocks"
        raise ConfigError(Problem(told, str(path)))
    place = {name: index for index, name in enumerate(names)}
    axis = axis_of(axis, 9.0, max(2.8, 1.6 + 0.22 * len(names)))
    for kind, (colour, mark, said) in LOOKS.items():
        found = [(int(row["clock"]), place[_bank(row)]) for row in rows if row["command"].startswith(kind)]
        if found:
            size = 90 if mark == "|" else 22 if mark == "x" else 16
            clocks, lines = [clock for clock, _ in found], [line for _, line in found]
            axis.scatter(clocks, lines, c=colour, marker=mark, s=size, linewidths=1.2, label=said)
    axis.set_yticks(range(len(names)), [" ".join(part for part in name if part) or "all" for name in names], fontsize=7)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set(xlabel="clock of the device", ylabel="rank, bank group, bank")
    axis.grid(axis="y", alpha=0.25)
    title(axis, f"DRAM commands, clocks {rows[0]['clock']} to {rows[-1]['clock']}")
    return figure_of(axis)


def _order(name: tuple[str, ...]) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in name]


def _bank(row: dict[str, str]) -> tuple[str, ...]:
    everywhere = row["command"].startswith("REF") or row["command"] in ("PREA", "PREab")
    lasting = {key: value for key, value in row.items() if key not in ("clock", "command", "row", "column")}
    return tuple("" if everywhere and key in ("bankgroup", "bank") else value for key, value in lasting.items())


def _read(path: str | Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(textfile.read(path).splitlines()))
    if not rows or not {"clock", "command", "bank"} <= set(rows[0]):
        raise ConfigError(Problem("is no command trace: it lacks clock, command and bank", str(path)))
    return rows
