"""Programs and matrix-vector products on GDDR6-AiM, command by command in aim_simulator."""

import re
from collections.abc import Iterator

from sim.pim import load
from sim.pim.channel import Channel
from sim.pim.program import Instruction
from sim.simulate import run
from tests.validation.reference import Case, Reference, rows

PROGRAMS = (
    (r"MAC_ABK (\d+) on (\d+) rows?", lambda size, count: [Instruction("MAC_ABK", size, row) for row in range(count)]),
    (r"MAC_ABK (\d+) x(\d+) all same row", lambda size, count: [Instruction("MAC_ABK", size, 0)] * count),
    (r"WR_GB (\d+) x (\d+)", lambda size, count: [Instruction("WR_GB", size)] * count),
    (r"WR_BIAS\+MAC_ABK (\d+)\+RD_MAC, (\d+) rows", lambda size, count: [
        made for row in range(count)
        for made in (Instruction("WR_BIAS"), Instruction("MAC_ABK", size, row), Instruction("RD_MAC"))
    ]),
)  # fmt: skip
"""Descriptions of programs, and what they mean."""
GEMV = r"GEMV M=(\d+) N=(\d+) channels=(\d+) order=(\w+)"


def cycles(told: str) -> int:
    """Return the predicted cycles of a described program or product, refresh off as in the reference."""
    if found := re.fullmatch(GEMV, told):
        outputs, inputs, channels, order = found.groups()
        settings = {"channels": int(channels), "order": order, "refresh": "off"}
        return run("gddr6_aim", f"gemv:{outputs}x{inputs}", settings).cycles
    for pattern, program in PROGRAMS:
        if found := re.fullmatch(pattern, told):
            return Channel(load("gddr6_aim", {"refresh": "off"})).run(program(*map(int, found.groups())))
    raise ValueError(f"no program is known for '{told}'")


def cases() -> Iterator[Case]:
    """Yield the clocks of every program and product."""
    for row in rows("pim", "gddr6_aim.csv"):
        yield Case(f"{row['case']}: {row['desc']}", cycles(row["desc"]), int(row["cycles"]))


REFERENCE = Reference(
    order=5,
    title="GDDR6-AiM",
    measures="clocks of all-bank programs and of matrix-vector products in both orders, on one and eight channels",
    origin="arkhadem/aim_simulator with its GDDR6-AiM timing; it issues no refresh, so neither is one issued here",
    cases=cases,
)
