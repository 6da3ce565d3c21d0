"""All channels of a device and their controllers, behind one interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.dram.address import places
from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.kinds import channel
from sim.dram.maintenance import Logged
from sim.dram.stream import Share, Stream, Transfer
from sim.dram.timing import NEVER


class Controller:
    """The channels of a device with the state of every bank and queue; time only goes forward.

    A transfer is a sequence of requests in order. Several may be under way: each channel takes requests from them
    in turn, and they contend in its queues.
    """

    def __init__(self, device: Device, per_clock: int = 1, log: bool = False) -> None:
        """Make idle channels that each take up to `per_clock` requests a clock, and keep their commands with `log`."""
        self.device = device
        self.logs: list[list[Logged]] = [[] for _ in range(device.channels)] if log else []
        self.parts = [channel(device, per_clock, self.logs[i] if log else None) for i in range(device.channels)]

    def submit(self, addresses: NDArray[np.int64], writes: NDArray[np.bool_] | bool, since: int = 0) -> Transfer:
        """Hand in requests at byte `addresses`, which arrive in order, none before clock `since`."""
        found = places(self.device, np.asarray(addresses, np.int64))
        flags = np.broadcast_to(np.asarray(writes, bool), found.burst.shape)
        shares = []
        for number, part in enumerate(self.parts):
            mine = slice(None) if self.device.channels == 1 else found.channel == number
            columns = (found.bank, found.row, found.column, found.burst, flags)
            banks, rows, column, bursts, writing = (each[mine].tolist() for each in columns)
            shares.append(Share(len(banks)))
            if banks:
                part.streams.append(Stream(shares[-1], banks, rows, column, bursts, writing, since))
        return Transfer(tuple(shares))

    def advance(self, until: int) -> None:
        """Carry out all that happens up to and in clock `until`."""
        for part in self.parts:
            part.advance(until)

    def finish(self, transfer: Transfer) -> int:
        """Go on until all requests of the transfer are served; return the clock of its last data.

        Each channel goes on until its share is served, and no further.
        """
        for part, share in zip(self.parts, transfer.shares, strict=True):
            while share.left:
                part.step(NEVER)
        return transfer.last

    @property
    def counters(self) -> Counters:
        """The counts of all channels together."""
        total = Counters()
        for part in self.parts:
            total.add(part.counters)
        return total

    def state(self, since: int) -> tuple[Any, ...]:
        """Return all that decides what comes next, with clocks counted from `since`: equal states go on equally."""
        return tuple(part.state(since) for part in self.parts)


def controller_of(device: Device) -> Controller:
    """Return controllers that take as many requests a clock as their buses can move data for."""
    return Controller(device, per_clock_of(device))


def per_clock_of(device: Device) -> int:
    """Return the requests of a clock that the buses of a channel can move data for, at least one."""
    return -(-device.buses // device.timing("BL"))
