"""A PIM channel and its controller: operations in order, each command as early as the device allows.

The rules are those of aim_simulator (arkhadem/aim_simulator, src/dram_controller/impl/AiM_dram_controller.cpp), to
which results are equal. The head of the queue alone is served: what it needs first (another row, closed and opened)
is issued when it is at the head and not before. A command of the other mode is held back at the clock at which it
could be issued, and the switch goes in its place. A refresh that is due goes before everything else. A program ends
with a marker behind its last command, which is answered in the clock after all before it is done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sim.dram.schema import clocks
from sim.dram.timing import NEVER, SHIFT
from sim.pim.device import Device
from sim.pim.program import Instruction

Logged = tuple[int, str, int]
"""Clock, command, row that is open after it (NONE: none)."""

NONE = -1

CAUSES = (
    "multiply", "row_switch", "mode_switch", "write_buffer", "write_registers", "read_registers", "refresh", "end"
)  # fmt: skip
"""What the clocks of a channel go to; they add up to all."""


@dataclass
class Channel:
    """One channel: its timing, open row and mode, and what it counted.

    With `bursts`, equal commands in a row are issued at once: after the first, each follows the one before at the
    same gap. Without, one by one; clocks and counts are the same. Every command is appended to `log` where there is
    one, which needs `bursts` off.
    """

    device: Device
    bursts: bool = True
    log: list[Logged] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    clocks: Counter[str] = field(default_factory=Counter)
    clock: int = 0
    end: int = 0
    """The clock in which all commands so far are done, and the marker behind them answered."""

    def __post_init__(self) -> None:
        """Start with all banks closed, in bank mode."""
        spec = self.device.spec
        self._timing = self.device.timing()
        self._number = {name: number for number, name in enumerate(spec.commands)}
        self._does = {name: command.does for name, command in spec.commands.items()}
        self._mode = {name: command.mode for name, command in spec.commands.items()}
        self._latency = {name: clocks(command.latency, spec.timing) for name, command in spec.commands.items()}
        self._activate, self._precharge = self.device.command("activate"), self.device.command("precharge")
        self._switch, self._refresh = self.device.command("switch"), self.device.command("refresh")
        self._row, self._in, self._last = NONE, "bank", ""
        self._free = 0
        self._interval = 0 if spec.refresh == "off" else spec.timing["tREFI"].cycles
        self._due = self._interval or NEVER

    def run(self, program: Iterable[Instruction]) -> int:
        """Carry out `program` and return the clock of its end."""
        operations = self.device.spec.operations
        for each in program:
            self._repeat(operations[each.op].command, each.size, each.row, operations[each.op].blocks)
        self.clocks["end"] += self.end - self.clock
        return self.end

    def _repeat(self, command: str, left: int, row: int | None, blocks: bool) -> None:
        target = NONE if row is None else row
        while left:
            left -= self._step(command, target, left)
        done = self.clock + self._latency[command]
        if blocks:
            self._free = done + 1
        self.end = max(self.end, done + 1 + blocks)  # what blocks is answered first, and the marker follows

    def _step(self, command: str, row: int, left: int) -> int:
        """Issue what comes next on the way to `command`; return how many of the `left` of it were issued."""
        needed = self._needed(command, row)
        clock = max(self._ready(needed), self._free)
        if clock >= self._due:
            self._refresh_step()
            return 0
        if self._mode[needed] != self._in:
            needed = self._switch
        self._issue(needed, clock, row)
        if needed != command:
            return 0
        return 1 + self._burst(command, left - 1) if self.bursts and left > 1 else 1

    def _needed(self, command: str, row: int) -> str:
        if row in (NONE, self._row):
            return command
        return self._activate if self._row == NONE else self._precharge

    def _ready(self, command: str) -> int:
        return max(self.clock + 1, self._timing.when(self._number[command], 0) >> SHIFT)

    def _refresh_step(self) -> None:
        """Issue what a refresh that is due needs next: the switch to bank mode, closing all banks, or itself."""
        needed = self._refresh if self._row == NONE else self._precharge
        clock = max(self._ready(needed), self._due)
        if self._in != "bank":
            needed = self._switch
        self._issue(needed, clock, NONE)
        if needed == self._refresh:
            self._due += self._interval

    def _burst(self, command: str, most: int) -> int:
        """Issue up to `most` more of the command issued last, before the next refresh; return how many."""
        gap = self._ready(command) - self.clock
        more = min(most, (self._due - 1 - self.clock) // gap)
        if more > 0:
            self.counts[command] += more - 1
            self._issue(command, self.clock + more * gap, self._row)
        return max(0, more)

    def _issue(self, command: str, clock: int, row: int) -> None:
        does = self._does[command]
        self.clocks[self._cause(does)] += clock - self.clock
        self._timing.issue(self._number[command], 0, clock)
        self.counts[command] += 1
        self.clock, self._last = clock, does
        if does == "activate":
            self._row = row
        elif does == "precharge":
            self._row = NONE
        elif does == "switch":
            self._in = "register" if self._in == "bank" else "bank"
        if self.log is not None:
            self.log.append((clock, command, self._row))

    def _cause(self, does: str) -> str:
        """Return what the clocks from the last command to one that `does` something go to."""
        if "switch" in (does, self._last):
            return "mode_switch"
        if "refresh" in (does, self._last):
            return "refresh"
        return "row_switch" if does in ("activate", "precharge") or self._last == "activate" else does
