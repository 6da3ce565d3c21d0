"""Vitis HLS co-simulation: `NAME_cosim.rpt`, the latency of the top function in RTL simulation."""

from __future__ import annotations

import re
from pathlib import Path

from sim.errors import ConfigError, Problem
from sim.validate.measured import FORMATS, Choices, Format, Measured, Measurements, whole

LATENCY = {"min": 2, "avg": 3, "max": 4}
"""Cells of a row: language, status, latency min, avg, max, interval min, avg, max, total execution time."""
CELLS = (8, 9)
"""Without and, since 2020.2, with the total execution time."""


class HlsCosim(Format):
    """The table `RTL | Status | Latency(Clock Cycles) | Interval(Clock Cycles)`."""

    name, title = "cosim", "Vitis HLS cosim.rpt"

    def recognizes(self, text: str) -> bool:
        """Return whether the title of the table is there."""
        return bool(re.search(r"Latency ?\(Clock Cycles\)", text[:20000])) and "Status" in text

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return the latency of the language that was simulated."""
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
                for line in text.splitlines() if re.match(r"\s*\|\s*(VHDL|Verilog)\s*\|", line)]  # fmt: skip
        if not rows:
            raise ConfigError(Problem("has no row for Verilog or VHDL under the title of its table", file))
        run = [row for row in rows if len(row) > 1 and row[1] != "NA"]
        if not run:
            raise ConfigError(Problem("no language was simulated: every status is NA", file))
        failed = [row for row in run if row[1].lower() != "pass"]
        if failed:
            language, status = failed[0][:2]
            raise ConfigError(Problem(f"co-simulation of {language} did not pass: {status}", file))
        cycles = [self._latency(row, choices, file) for row in run]
        if len(set(cycles)) > 1:
            raise ConfigError(Problem(f"Verilog and VHDL differ: {cycles[0]:g} and {cycles[1]:g} cycles", file))
        measured = Measured(_name(text, file), cycles=cycles[0])
        return Measurements(file, self.name, (measured,), "HLS co-simulation: from ap_start to ap_done")

    def _latency(self, row: list[str], choices: Choices, file: str) -> float:
        if len(row) not in CELLS:
            raise ConfigError(Problem(f"the row of {row[0]} has {len(row)} cells, not {CELLS[0]} or {CELLS[1]}", file))
        cell = row[LATENCY[choices.statistic]]
        cycles = whole(cell)
        if cycles is None or cycles == 0:
            what = f"the {choices.statistic} latency of {row[0]}"
            raise ConfigError(Problem(f"{what} is '{cell}', no number of cycles", file))
        return float(cycles)


def _name(text: str, file: str) -> str:
    """Return the top function: the title's, or the file's name without its ending."""
    titled = re.search(r"Cosimulation Report for '([^']+)'", text)
    return titled.group(1) if titled else re.sub(r"_cosim$", "", Path(file).stem)


FORMATS.register("cosim")(HlsCosim())
