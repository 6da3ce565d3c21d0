"""Channels that open a row by two commands and wake the data clock before an access (LPDDR5).

ACT1 holds the bank; ACT2 completes it when nothing else can go, at the latest tAAD after ACT1, and no other ACT1
comes between them. The data clock (WCK) runs on for tWCKPST behind the last data; an access that finds it asleep is
preceded by CAS in the clock before (JESD209-5). Rules of Ramulator 2.1's LPDDR5 controller.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sim.dram.bank import BANK, KIND, NUMBER, ROW, Order, Request
from sim.dram.channel import Channel, Pick
from sim.dram.device import Device
from sim.dram.maintenance import Logged


class SplitActivateChannel(Channel):
    """A channel with ACT1 and ACT2, and CAS to wake the data clock."""

    opens_with: ClassVar[str] = "ACT1"

    def __init__(self, device: Device, per_clock: int = 1, log: list[Logged] | None = None) -> None:
        super().__init__(device, per_clock, log)
        self._opening: list[tuple[int, Request]] = []
        self._longest = device.timing("tAAD")
        self._awake_until = 0
        self._awake_after = tuple(latency + device.timing("tWCKPST") for latency in self._latency)
        self._wakened: tuple[Request, int] | None = None
        self._second = self._commands["ACT2"]
        self._wake = (self._commands["CAS_RD"], self._commands["CAS_WR"])

    def state(self, since: int) -> tuple[Any, ...]:
        """Return the state of any channel, the rows that are opening, and whether the data clock is awake."""
        opening = tuple((due - since, request[BANK], request[ROW]) for due, request in self._opening)
        waiting = None if self._wakened is None else self._wakened[1]
        return *super().state(since), opening, max(0, self._awake_until - since), waiting

    def _issue_next(self, now: int, limit: int) -> bool:
        if self._wakened is not None:
            (request, slot), self._wakened = self._wakened, None
            self.clock = now
            self._serve(request, slot, now)
            return True
        if not (self._opening and self._opening[0][0] <= now):
            if super()._issue_next(now, now if self._opening else limit):
                return True
            if not self._opening:
                return False
        self.clock = now
        self._complete(now)
        return True

    def _oldest(self, now: int, pick: Pick, slots: dict[int, Request], oldest: int, by: Order = NUMBER) -> Pick:
        if self._opening and slots is self.banks.misses[self._serving]:
            behind = self.banks.precharge_slot
            slots = {slot: request for slot, request in slots.items() if slot >= behind}
        return super()._oldest(now, pick, slots, oldest, by)

    def _access(self, request: Request, slot: int, clock: int) -> None:
        if clock < self._awake_until:
            self._serve(request, slot, clock)
        elif self._opening and self._opening[0][0] <= clock + 1:
            self._complete(clock)  # the access takes two clocks, which ACT2 cannot wait
        else:
            self._put(self._wake[request[KIND]], request[BANK], clock, request)
            self._wakened = request, slot

    def _serve(self, request: Request, slot: int, clock: int) -> None:
        super()._access(request, slot, clock)
        self._awake_until = max(self._awake_until, clock + self._awake_after[request[KIND]])

    def _open(self, request: Request, clock: int) -> None:
        self.banks.hold(request)
        self._opening.append((clock + self._longest, request))

    def _complete(self, clock: int) -> None:
        """Issue the ACT2 of the row that opens longest."""
        _, request = self._opening.pop(0)
        self._put(self._second, request[BANK], clock, request)
        self.banks.open(request)
