"""The commands that controllers issued, as a table."""

from __future__ import annotations

from sim.dram.controller import Controller

COLUMNS = ("clock", "command", "rank", "bankgroup", "bank", "row", "column")
NONE = -1
"""Stands where a command goes to all of a level, or to no row and column."""


def command_trace(controller: Controller) -> str:
    """Return every command as a line of CSV, in order of clock and channel.

    `rank` is the pseudo-channel where the device has those; `bank` counts through the stacks (Sid), all banks of a
    bank group in the first before those in the second. Where there are several channels, `channel` stands last.
    """
    device = controller.device
    several = device.channels > 1
    lines = [(clock, channel, order, command, node, row, column)
             for channel, log in enumerate(controller.logs)
             for order, (clock, command, node, row, column) in enumerate(log)]  # fmt: skip
    text = [",".join((*COLUMNS, "channel") if several else COLUMNS)]
    for clock, channel, _, command, node, row, column in sorted(lines):
        timing, tree = controller.parts[channel].timing, controller.parts[channel].tree
        where = tree.numbers(timing.scopes[command], node)
        rank = where.get("PseudoChannel", where.get("Rank", 0))
        bank = where["Bank"] + where.get("Sid", 0) * device.counts["Bank"] if "Bank" in where else NONE
        found = [clock, timing.names[command], rank, _group(where, tree.levels), bank, row, column]
        text.append(",".join(map(str, [*found, channel] if several else found)))
    return "\n".join(text) + "\n"


def _group(where: dict[str, int], levels: tuple[str, ...]) -> int:
    return where.get("BankGroup", NONE) if "BankGroup" in levels else 0
