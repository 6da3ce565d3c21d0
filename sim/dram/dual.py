"""Channels with a bus for row commands and one for column commands, which work side by side (HBM).

In each clock the column bus goes first, then the row bus; each picks by the rules of a single bus among its own
commands. Where a clock is half a CK (HBM3), everything but a precharge waits for the rising edge, which are the odd
clocks; a precharge on a falling edge must not pair with a row command to the same bank, or to all banks, of its
pseudo-channel on the rising edge before it, an activation counting to the end of its three halves (JESD238).
"""

from __future__ import annotations

from typing import Any

from sim.dram.bank import ARRIVAL, NUMBER, Order, Request
from sim.dram.channel import Channel, Pick
from sim.dram.device import Device
from sim.dram.maintenance import Logged
from sim.dram.timing import NEVER, SHIFT


class DualBusChannel(Channel):
    """A channel that issues up to one column and one row command a clock."""

    def _issue_next(self, now: int, limit: int) -> bool:
        column: Pick = limit + 1, None, -1
        if active := self.banks.active:
            column = self._oldest(now, column, active, -1, ARRIVAL)
        if self._orders:
            return self._issue_beside_orders(now, column)
        self._choose_queue()
        serving, hits, misses = self._serving, self.banks.hits, self.banks.misses
        if column[0] != now and hits[serving]:
            column = self._oldest(now, column, hits[serving], -1)
        row: Pick = min(column[0], limit) + 1, None, -1
        if misses[serving]:
            row = self._oldest(now, row, misses[serving], -1)
        if row[0] < column[0]:
            return self._issue_pick(row)
        if not self._issue_pick(column):
            return False
        self._choose_queue()
        if self._serving != serving or (row[2] - column[2]) % self.banks.banks == 0:
            row = self._oldest(column[0], (column[0] + 1, None, -1), misses[self._serving], -1)
        if row[0] == column[0]:
            self._issue_pick(row)
        return True

    def _issue_pick(self, pick: Pick) -> bool:
        """Issue the command of a pick; return whether it is one."""
        clock, request, slot = pick
        if request is None:
            return False
        self.clock = clock
        self._issue(request, slot, clock)
        return True

    def _issue_beside_orders(self, now: int, column: Pick) -> bool:
        """Issue what comes first: the access of an active request, or maintenance; both, where both come at once."""
        due = self._order_clock(now)
        if due >= column[0]:
            if not self._issue_pick(column):
                return False
            if self._order_clock(column[0]) > column[0]:
                return True
            due = column[0]
        self.clock = due
        self._carry_out()
        return True


class HalfClockChannel(DualBusChannel):
    """A channel of two buses whose clock is half a CK."""

    def __init__(self, device: Device, per_clock: int = 1, log: list[Logged] | None = None) -> None:
        super().__init__(device, per_clock, log)
        spec = device.spec
        self._does = [command.does for command in spec.commands.values()]
        self._on_row_bus = [command.bus == "row" for command in spec.commands.values()]
        self._cycles = [command.cycles for command in spec.commands.values()]
        self._pairs_at, self._pairs_with = -1, (-1, -1)

    def state(self, since: int) -> tuple[Any, ...]:
        """Return the state of any channel, the edge that `since` is on, and what the next edge must not meet."""
        pairs = (self._pairs_at - since, *self._pairs_with) if self._pairs_at > since else None
        return *super().state(since), since & 1, pairs

    def _oldest(self, now: int, pick: Pick, slots: dict[int, Request], oldest: int, by: Order = NUMBER) -> Pick:
        ready, floor, look, best = self.timing.ready, self._floor, self._look, pick[0]
        closes_from, closes = self.banks.precharge_slot, self._slot_commands[3]
        for slot, request in slots.items():
            since = floor[slot]
            if since > best or (request[by] > oldest and (since == best or best == now)):
                continue
            clock = max(look[slot](ready)) >> SHIFT
            if slot < closes_from:
                clock |= 1
            floor[slot] = clock
            if clock > best:
                continue
            if clock < now:
                clock = now
            if not clock & 1 and (slot < closes_from or self._pairs(closes, slot - closes_from, clock)):
                clock += 1
            if clock < best or (clock == best and request[by] < oldest):
                best, oldest = clock, request[by]
                pick = clock, request, slot
        return pick

    def _order_clock(self, now: int) -> int:
        clock = super()._order_clock(now)
        command, node, _ = self._next_order()
        return clock if clock == NEVER else self._edge(command, node, clock)

    def _edge(self, command: int, node: int, clock: int) -> int:
        """Return the first clock from `clock` on whose edge the command may come."""
        if clock & 1 or (self._does[command] == "precharge" and not self._pairs(command, node, clock)):
            return clock
        return clock + 1

    def _pairs(self, command: int, node: int, clock: int) -> bool:
        if clock != self._pairs_at:
            return False
        first, beside = self._pairs_with
        if self._part(first, beside) != self._part(command, node):
            return False
        last = len(self.tree.levels) - 1
        each = self.timing.scopes[first] == self.timing.scopes[command] == last
        return not each or beside == node

    def _part(self, command: int, node: int) -> int:
        """Return the pseudo-channel that a command goes to."""
        return self.tree.above(self.timing.scopes[command], node, self.tree.depth["PseudoChannel"])

    def _put(self, command: int, node: int, clock: int, request: Request | None = None) -> None:
        super()._put(command, node, clock, request)
        if clock & 1 and self._on_row_bus[command]:
            self._pairs_at, self._pairs_with = clock + self._cycles[command], (command, node)
