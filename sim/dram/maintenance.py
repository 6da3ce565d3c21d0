"""What goes before requests: refresh that is due, and rows that a closed policy closes; commands on their way out."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from sim.dram.bank import CLOSED, COLUMN, ROW, Banks, Request
from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.hierarchy import Hierarchy
from sim.dram.timing import NEVER, SHIFT, Timing
from sim.dram.waits import Waits

Logged = tuple[int, int, int, int, int]
"""Clock, command, node of its scope, row, column."""


class Maintained:
    """The banks of a channel with their timing, and orders of maintenance, first come, first served.

    Refresh is ordered every interval, of all ranks at once or of one bank after the other. Under the closed policy
    a row is closed once `row_cap` accesses found it open: by the next access to it (auto-precharge), or by an order
    as soon as it may close. Ramulator 2.1's ClosedCAP does the same.
    """

    opens_with: ClassVar[str] = "ACT"

    def __init__(self, device: Device, log: list[Logged] | None) -> None:
        spec = device.spec
        self.tree = Hierarchy(spec.levels, [1, *(device.counts[level] for level in spec.levels[1:])])
        gaps = [(name, gap, spec.clocks(gap.latency)) for name, gap in spec.constraints.items()]
        self.timing = Timing(self.tree, spec.commands, gaps)
        self.banks = Banks(self.tree.banks)
        self.counters = Counters()
        self.waits = Waits(device, self.tree, self.timing)
        self.clock = 0
        self.log = log
        self._commands = {name: i for i, name in enumerate(spec.commands)}
        self._slot_commands = [self._commands[name] for name in ("RD", "WR", self.opens_with, "PREpb")]
        self._orders: deque[tuple[int, int]] = deque()
        self._interval, self._refresh_command, self._refresh_next = 0, -1, 0
        self.next_refresh = NEVER
        self._prepare_refresh(device)
        self._cap = spec.row_cap if spec.row_policy == "closed" else NEVER
        self._accesses = [0] * self.tree.banks
        self._capped: set[int] = set()

    def _prepare_refresh(self, device: Device) -> None:
        mode = device.spec.refresh
        if mode == "off":
            return
        name, interval = ("REFab", "tREFI") if mode == "all_bank" else ("REFpb", "tREFIpb")
        self._refresh_command = self._commands[name]
        self._interval = self.next_refresh = device.timing(interval)

    def _put(self, command: int, node: int, clock: int, request: Request | None = None) -> None:
        self.timing.issue(command, node, clock)
        if self.log is not None:
            row, column = (request[ROW], request[COLUMN]) if request is not None else (-1, -1)
            self.log.append((clock, command, node, row, column))

    def _order_refresh(self) -> None:
        """Put the refresh that is due in front of all that waits."""
        command = self._refresh_command
        nodes = self.tree.nodes[self.timing.scopes[command]]
        if self.timing.scopes[command] == len(self.tree.levels) - 1:
            self._orders.append((command, self._refresh_next))
            self._refresh_next = (self._refresh_next + 1) % nodes
        else:
            self._orders.extend((command, node) for node in range(nodes))
        self.next_refresh += self._interval

    def _next_order(self) -> tuple[int, int, bool]:
        """Return the command that the first order needs next, its node, and whether an active request holds it."""
        command, node = self._orders[0]
        banks = self.tree.inside(self.timing.scopes[command], node, len(self.tree.levels) - 1)
        if command == self._slot_commands[3]:
            return command, node, bool(self.banks.active_in[node])
        if all(self.banks.open_row[bank] == CLOSED for bank in banks):
            return command, node, False
        close = self._slot_commands[3] if len(banks) == 1 else self._commands["PREab"]
        return close, node, any(self.banks.active_in[bank] for bank in banks)

    def _order_clock(self, now: int) -> int:
        command, node, held = self._next_order()
        return NEVER if held else max(now, self.timing.when(command, node) >> SHIFT)

    def _carry_out(self) -> None:
        """Issue the next command of the first order."""
        command, node, _ = self._next_order()
        clock = self.clock
        if command == self._refresh_command:
            self.counters.refreshes += 1
            self.waits.refresh(self.tree.inside(self.timing.scopes[command], node, len(self.tree.levels) - 1))
        else:
            self._close_all(command, node, clock)
        if command == self._orders[0][0]:
            self._orders.popleft()
        self._put(command, node, clock)

    def _close_all(self, command: int, node: int, clock: int) -> None:
        self.counters.precharges += 1
        for bank in self.tree.inside(self.timing.scopes[command], node, len(self.tree.levels) - 1):
            self.waits.close(bank, clock)
            self.banks.close(bank)
            self._reset(bank)

    def _order_closing(self, now: int, limit: int) -> int:
        """Order the precharge of rows that had their accesses; return up to where no other becomes due."""
        for bank in sorted(self._capped):
            clock = self.timing.when(self._slot_commands[3], bank) >> SHIFT
            if clock <= now:
                self._orders.append((self._slot_commands[3], bank))
                self._capped.discard(bank)
            else:
                limit = min(limit, clock - 1)
        return limit

    def _count_access(self, bank: int, kind: int, clock: int) -> int:
        """Return the command of an access under the closed policy: with auto-precharge once the row had its share."""
        auto = self._commands["WRA" if kind else "RDA"]
        held, due = self.banks.active_in[bank], self._accesses[bank] >= self._cap
        if due and not held and self.timing.when(auto, bank) >> SHIFT <= clock:
            self.banks.close(bank)
            self.waits.close(bank, clock)
            self._reset(bank)
            self.counters.auto_precharges += 1
            return auto
        self._accesses[bank] += 1
        if self._accesses[bank] == self._cap:
            self._capped.add(bank)
        return self._slot_commands[kind]

    def _reset(self, bank: int) -> None:
        self._accesses[bank] = 0
        self._capped.discard(bank)
