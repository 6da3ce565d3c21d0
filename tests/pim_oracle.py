"""GDDR6-AiM written out by hand, one command at a time: the oracle of the programs' clocks, refresh off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

GAPS = {
    ("WRGB", "WRGB"): 2, ("WRGB", "WRMAC16"): 2, ("WRMAC16", "WRGB"): 2, ("WRMAC16", "WRMAC16"): 2,
    ("MAC16", "MAC16"): 2, ("MAC16", "RDMAC16"): 2, ("RDMAC16", "MAC16"): 2, ("RDMAC16", "RDMAC16"): 2,
    ("RDMAC16", "WRGB"): 5, ("RDMAC16", "WRMAC16"): 5, ("WRGB", "RDMAC16"): 12, ("WRMAC16", "RDMAC16"): 14,
    ("MAC16", "PREA"): 12, ("ACT16", "ACT16"): 11, ("ACT16", "PREA"): 54, ("PREA", "ACT16"): 32,
    ("ACT16", "MAC16"): 56, ("PREA", "PREA"): 32,
    **{("TMOD", other): 32 for other in ("ACT16", "PREA", "MAC16", "WRGB", "WRMAC16", "RDMAC16")},
}  # fmt: skip
COMMANDS = {"WR_GB": "WRGB", "WR_BIAS": "WRMAC16", "MAC_ABK": "MAC16", "RD_MAC": "RDMAC16"}
DONE = {"WRGB": 4, "WRMAC16": 4, "RDMAC16": 4, "MAC16": 2}
"""Clocks from a command to the end of a program that it is the last of."""
REGISTERS = ("WRGB", "WRMAC16", "RDMAC16")


def oracle(program: Iterable[tuple[str, int, int | None]]) -> tuple[int, Counter[str]]:
    """Return the end of the program and the commands of one channel."""
    last, counts = dict[str, int](), Counter[str]()
    now = blocked = end = 0
    registers, row = False, None
    for op, size, wanted in program:
        final = COMMANDS[op]
        left = size
        while left:
            needed = final
            if final == "MAC16" and row != wanted:
                needed = "ACT16" if row is None else "PREA"
            gaps = (last[before] + gap for (before, after), gap in GAPS.items() if after == needed and before in last)
            now = max([now + 1, blocked, *gaps])
            if (final in REGISTERS) != registers:
                needed, registers = "TMOD", not registers
            last[needed] = now
            counts[needed] += 1
            row = {"ACT16": wanted, "PREA": None}.get(needed, row)
            left -= needed == final
        end = max(end, now + DONE[final])
        blocked = now + 3 if op == "RD_MAC" else 0
    return end, counts
