"""The reference streams of the DRAM tests, as devices and requests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from sim.dram import Controller, Device, load
from sim.dram.patterns import PATTERNS, Requests, Shape

DATA = Path(__file__).parent / "data" / "dram"

DEVICES = {
    "DDR4_2400R": "ddr4_2400r", "DDR4_3200AA": "ddr4_3200aa", "DDR5_4800BN": "ddr5_4800bn",
    "LPDDR5_6400": "lpddr5_6400", "GDDR6_14000_1350mV_double": "gddr6_14000", "HBM2_2000Mbps": "hbm2_2000",
    "HBM3_6400Mbps": "hbm3_6400",
}  # fmt: skip
"""Speed bin in the reference to the device here."""

COUNTS = {
    "rd": "reads", "wr": "writes", "acts": "activates", "pre": "precharges", "autopre": "auto_precharges",
    "refs": "refreshes", "row_hits": "row_hits", "row_misses": "row_misses", "row_conflicts": "row_conflicts",
}  # fmt: skip
"""Column of the reference to the counter here."""

Row = dict[str, str]


def rows(file: str) -> list[Row]:
    """Return the rows of a reference file."""
    with (DATA / file).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


CASES = {row["case"]: row for row in rows("ramulator2.csv")}


def device(row: Row, **overrides: Any) -> Device:
    """Return the device of a reference row with its mapping and refresh."""
    refresh = "all_bank" if row["refresh"] == "AB" else "off"
    return load(DEVICES[row["timing"]], {"mapping": row["mapping_msb_to_lsb"], "refresh": refresh, **overrides})


def requests(row: Row) -> Requests:
    """Return the requests of a reference row."""
    shape = Shape(int(row["n_req"]), int(row["stride_B"]), int(row["capacity_B"]), int(row["gran_B"]))
    return PATTERNS[row["pattern"]](shape)


def run(row: Row, log: bool = False, **overrides: Any) -> tuple[int, Controller]:
    """Return the clock of the last data of a reference row, and the controller that served it."""
    controller = Controller(device(row, **overrides), int(row["per_clk"]), log=log)
    cycles = controller.finish(controller.submit(*requests(row)))
    controller.advance(cycles)
    return cycles, controller
