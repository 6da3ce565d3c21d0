"""The banks of a channel and the requests that wait for them: what each bank could do next.

A request that waits is a tuple, since millions pass through; READ and WRITE have queues of their own. A slot is a
kind of command and a bank: an access that hits the open row, an activation where the bank is closed, a precharge where
another row is open; in each slot stands the oldest request that wants it, so that a scheduler looks at banks and not
at requests. Hits need the column commands of a bank, the others (`misses`) its row commands.
"""

from __future__ import annotations

from typing import Final, Literal

from sim.dram.stream import Share

READ: Final = 0
WRITE: Final = 1
CLOSED: Final = -1
OPENING: Final = -2

Request = tuple[int, int, int, int, int, Share, int, int]
"""Number in order of arrival, bank, row, column, clock of arrival, share, burst, READ or WRITE."""

NUMBER: Final = 0
BANK: Final = 1
ROW: Final = 2
COLUMN: Final = 3
ARRIVAL: Final = 4
SHARE: Final = 5
BURST: Final = 6
KIND: Final = 7

Order = Literal[0, 4]
"""What tells which request is the oldest: NUMBER or ARRIVAL."""


class Banks:
    """Open rows, waiting requests by kind and bank, requests whose row is being opened for them (active)."""

    def __init__(self, banks: int) -> None:
        self.banks = banks
        self.open_row = [CLOSED] * banks
        self.waiting: tuple[list[list[Request]], list[list[Request]]] = (
            [[] for _ in range(banks)], [[] for _ in range(banks)],
        )  # fmt: skip
        self.held = [0, 0]
        self.hits: tuple[dict[int, Request], dict[int, Request]] = ({}, {})
        self.misses: tuple[dict[int, Request], dict[int, Request]] = ({}, {})
        self.active: dict[int, Request] = {}
        self.active_in = [False] * banks
        self.column_slot = (0, banks)
        self.activate_slot, self.precharge_slot = 2 * banks, 3 * banks

    def enter(self, request: Request) -> None:
        """Take a request in; it gets a slot where it is the first to want it."""
        _, bank, row, _, _, _, _, kind = request
        self.waiting[kind][bank].append(request)
        self.held[kind] += 1
        at = self.open_row[bank]
        if at == row:
            self.hits[kind].setdefault(self.column_slot[kind] + bank, request)
        elif at == CLOSED:
            self.misses[kind].setdefault(self.activate_slot + bank, request)
        elif not self.active_in[bank]:  # else its row stays, or is still opening
            self.misses[kind].setdefault(self.precharge_slot + bank, request)

    def leave(self, request: Request) -> None:
        """Take out a request that hit its open row."""
        bank, kind = request[BANK], request[KIND]
        queue, slots = self.waiting[kind][bank], self.hits[kind]
        queue.remove(request)
        self.held[kind] -= 1
        slot = self.column_slot[kind] + bank
        for other in queue:
            if other[ROW] == request[ROW]:
                slots[slot] = other
                return
        del slots[slot]

    def retire(self, request: Request) -> None:
        """Take out an active request; those that want another row of its bank may close its row now."""
        bank = request[BANK]
        del self.active[self.column_slot[request[KIND]] + bank]
        self.active_in[bank] = False
        at = self.open_row[bank]
        for kind in (READ, WRITE):
            for other in self.waiting[kind][bank]:
                if other[ROW] != at:
                    self.misses[kind][self.precharge_slot + bank] = other
                    break

    def hold(self, request: Request) -> None:
        """Begin to open the row of a request in a closed bank; until it is open, nothing else goes to its bank."""
        bank, kind = request[BANK], request[KIND]
        self.waiting[kind][bank].remove(request)
        self.held[kind] -= 1
        self.active_in[bank] = True
        self.open_row[bank] = OPENING
        self.misses[READ].pop(self.activate_slot + bank, None)
        self.misses[WRITE].pop(self.activate_slot + bank, None)

    def open(self, request: Request) -> None:
        """Take it that the row of a held request is open."""
        bank, row = request[BANK], request[ROW]
        self.active[self.column_slot[request[KIND]] + bank] = request
        self.open_row[bank] = row
        for kind in (READ, WRITE):
            for other in self.waiting[kind][bank]:
                if other[ROW] == row:
                    self.hits[kind][self.column_slot[kind] + bank] = other
                    break

    def close(self, bank: int) -> None:
        """Close the row of a bank."""
        self.open_row[bank] = CLOSED
        for kind in (READ, WRITE):
            misses, queue = self.misses[kind], self.waiting[kind][bank]
            self.hits[kind].pop(self.column_slot[kind] + bank, None)
            misses.pop(self.precharge_slot + bank, None)
            if queue:
                misses[self.activate_slot + bank] = queue[0]
