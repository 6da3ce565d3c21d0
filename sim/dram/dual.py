"""Channels with a bus for row commands and one for column commands, which work side by side (HBM).

In each clock the column bus goes first, then the row bus; each picks by the rules of a single bus among its own
commands. Where a clock is half a CK (HBM3), everything but a precharge waits for the rising edge, which are the odd
clocks; a precharge on a falling edge must not pair with a row command to the same bank, or to all banks, of its
pseudo-channel on the rising edge before it, an activation counting to the end of its three halves (JESD238).
"""

from __future__ import annotations

from typing import Any

from sim.dram.bank import ARRIVAL, BANK, KIND, NUMBER, Request
from sim.dram.channel import Channel, Pick
from sim.dram.device import Device
from sim.dram.maintenance import Logged
from sim.dram.timing import NEVER, SHIFT


class DualBusChannel(Channel):
    """A channel that issues up to one column and one row command a clock."""

    def _issue_next(self, now: int, limit: int) -> bool:
        column = self._pick_column(now, limit + 1)
        if self._issue_row(now, column[0]):
            return True
        clock, request, slot = column
        if request is None:
            return False
        self.clock = clock
        self._issue(request, slot, clock)
        self._issue_row(clock, clock + 1)
        return True

    def _pick_column(self, now: int, before: int) -> Pick:
        """Return the next access before clock `before`: of an active request, else of the served queue."""
        banks = self.banks
        found: Pick = before, None, -1
        for request in banks.active:
            slot = banks.column_slot[request[KIND]] + request[BANK]
            if self._floor[slot] <= found[0]:
                clock = self._clock(slot, now)
                older = found[1] is not None and request[ARRIVAL] < found[1][ARRIVAL]
                if clock < found[0] or (clock == found[0] and older):
                    found = clock, request, slot
        if found[0] == now or self._orders:
            return found
        return self._pick_slots(now, found, True)

    def _pick_slots(self, now: int, found: Pick, columns: bool) -> Pick:
        """Return the oldest of the ready requests of the served queue that want the column bus, or the row bus."""
        self._choose_queue()
        floor, rows_from = self._floor, self.banks.activate_slot
        (best, request, where), oldest = found, -1
        for slot, other in self.banks.slots[self._serving].items():
            if floor[slot] > best or (slot < rows_from) is not columns:
                continue
            clock = self._clock(slot, now)
            if clock < best or (clock == best and other[NUMBER] < oldest):
                best, request, where, oldest = clock, other, slot, other[NUMBER]
        return best, request, where

    def _issue_row(self, now: int, before: int) -> bool:
        """Issue the next row command if it comes before clock `before`; return whether it did."""
        if self._orders:
            due = self._order_clock(now)
            if due >= before:
                return False
            self.clock = due
            self._carry_out()
            return True
        clock, request, slot = self._pick_slots(now, (before, None, -1), False)
        if request is None:
            return False
        self.clock = clock
        self._issue(request, slot, clock)
        return True

    def _clock(self, slot: int, now: int) -> int:
        """Return the first clock from `now` at which the command of a slot may come."""
        clock = self._floor[slot] = max(self._look[slot](self.timing.ready)) >> SHIFT
        return clock if clock > now else now


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

    def _clock(self, slot: int, now: int) -> int:
        clock = super()._clock(slot, now)
        kind, bank = divmod(slot, self.banks.banks)
        return self._edge(self._slot_commands[kind], bank, clock)

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
