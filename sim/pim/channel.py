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
from sim.pim.schema import SINGLE

Logged = tuple[int, str, int]
"""Clock, command, row that is open after it (NONE: none)."""

NONE = -1

CAUSES = (
    "multiply", "row_switch", "mode_switch", "write_buffer", "write_registers", "read_registers", "read", "write",
    "refresh", "end",
)  # fmt: skip
"""What the clocks of a channel go to; they add up to all."""

_OPENING = ("activate", "activate_one")
_BOOKED = {"multiply_one": "multiply"}


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
        self._refresh = self.device.command("refresh")
        self._switch, self._activate_one = self.device.maybe("switch"), self.device.maybe("activate_one")
        self._row, self._in, self._last = NONE, "bank", ""
        self._alone = dict[int, int]()  # rows that are open in single banks, where none is open in all
        self._free = 0
        self._interval = 0 if spec.refresh == "off" else spec.timing["tREFI"].cycles
        self._due = self._interval or NEVER

    def run(self, program: Iterable[Instruction]) -> int:
        """Carry out `program` and return the clock of its end."""
        operations = self.device.spec.operations
        for each in program:
            self._repeat(operations[each.op].command, each, operations[each.op].blocks)
        self.clocks["end"] += self.end - self.clock
        return self.end

    @property
    def is_open(self) -> bool:
        """Whether a row is open in any bank."""
        return self._row != NONE or bool(self._alone)

    @property
    def closing(self) -> int:
        """The clocks from the end until all banks are closed and a row can be opened again."""
        if not self.is_open:
            return 0
        return max(0, self._ready(self._precharge) - self.end) + self.device.gap("precharge", "activate")

    def _repeat(self, command: str, wanted: Instruction, blocks: bool) -> None:
        left, row = wanted.size, NONE if wanted.row is None else wanted.row
        while left:
            left -= self._step(command, row, wanted.bank, left)
        done = self.clock + self._latency[command]
        if blocks:
            self._free = done + 1
        self.end = max(self.end, done + 1 + blocks)  # what blocks is answered first, and the marker follows

    def _step(self, command: str, row: int, bank: int | None, left: int) -> int:
        """Issue what comes next on the way to `command`; return how many of the `left` of it were issued."""
        needed = self._needed(command, row) if bank is None else self._needed_alone(command, row, bank)
        node = bank or 0 if self._does[needed] in SINGLE else 0
        clock = max(self._ready(needed, node), self._free)
        if clock >= self._due:
            self._refresh_step()
            return 0
        if self._switch is not None and self._mode[needed] != self._in:
            needed, node = self._switch, 0
        self._issue(needed, clock, row, node)
        if needed != command:
            return 0
        return 1 + self._burst(command, node, left - 1) if self.bursts and left > 1 else 1

    def _needed(self, command: str, row: int) -> str:
        if row in (NONE, self._row):
            return command
        return self._precharge if self.is_open else self._activate

    def _needed_alone(self, command: str, row: int, bank: int) -> str:
        at = self._row if self._row != NONE else self._alone.get(bank, NONE)
        if at == row:
            return command
        return self._activate_one or self._activate if at == NONE else self._precharge

    def _ready(self, command: str, node: int = 0) -> int:
        return max(self.clock + 1, self._timing.when(self._number[command], node) >> SHIFT)

    def _refresh_step(self) -> None:
        """Issue what a refresh that is due needs next: the switch to bank mode, closing all banks, or itself."""
        needed = self._precharge if self.is_open else self._refresh
        clock = max(self._ready(needed), self._due)
        if self._switch is not None and self._in != "bank":
            needed = self._switch
        self._issue(needed, clock, NONE, 0)
        if needed == self._refresh:
            self._due += self._interval

    def _burst(self, command: str, node: int, most: int) -> int:
        """Issue up to `most` more of the command issued last, before the next refresh; return how many."""
        gap = self._ready(command, node) - self.clock
        more = min(most, (self._due - 1 - self.clock) // gap)
        if more > 0:
            self.counts[command] += more - 1
            self._issue(command, self.clock + more * gap, self._row, node)
        return max(0, more)

    def _issue(self, command: str, clock: int, row: int, node: int) -> None:
        does = self._does[command]
        held = max(0, min(clock, self._free) - self.clock)  # until what was read is there
        self.clocks["read_registers"] += held
        self.clocks[self._cause(does)] += clock - self.clock - held
        self._timing.issue(self._number[command], node, clock)
        self.counts[command] += 1
        self.clock, self._last = clock, does
        if does == "activate":
            self._row = row
        elif does == "activate_one":
            self._alone[node] = row
        elif does == "precharge":
            self._row = NONE
            self._alone.clear()
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
        if does in _OPENING or does == "precharge" or self._last in _OPENING:
            return "row_switch"
        return _BOOKED.get(does, does)
