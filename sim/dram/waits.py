"""Why data buses stood still: every clock of every bus by the constraint, or the lack of work, that took it.

Between two accesses of a bus, the clocks beyond the first's data are laid to what made the second wait last: the
constraint that its command met; behind an activation, what made the activation wait; behind a precharge, what made
that wait. `queue`: the request had not come yet; `order`: another command went first.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.dram.bank import ARRIVAL, BANK, Request
from sim.dram.device import Device
from sim.dram.hierarchy import Hierarchy
from sim.dram.schema import Specification
from sim.dram.timing import SHIFT, Timing

QUEUE, ORDER, REFRESH, TURNAROUND, DATA, LATENCY = "queue", "order", "refresh", "turnaround", "data", "latency"


class Waits:
    """Clocks of the data buses of one channel by cause, and the clocks that ranks had a row open."""

    def __init__(self, device: Device, tree: Hierarchy, timing: Timing) -> None:
        spec = device.spec
        self.clocks: dict[str, int] = {}
        self._burst = device.timing("BL")
        self._causes = [_cause(spec, name) for name in timing.reasons]
        bus = tree.depth.get("PseudoChannel", 0)
        last = len(tree.levels) - 1
        self._bus = [tree.above(last, bank, bus) for bank in range(tree.banks)]
        self._free = [1] * tree.nodes[bus]
        self._opened = [ORDER] * tree.banks
        self._closed = [ORDER] * tree.banks
        self._activated = [_names(name, spec, "activate") for name in timing.reasons]
        self._precharged = [_names(name, spec, "precharge") for name in timing.reasons]
        rank = tree.depth[spec.commands["REFab"].scope]
        self._rank = [tree.above(last, bank, rank) for bank in range(tree.banks)]
        self._open = [0] * tree.nodes[rank]
        self._since = [0] * tree.nodes[rank]
        self._is_open = [False] * tree.banks
        self.open_clocks = 0

    def access(self, request: Request, ready: int, clock: int) -> None:
        """Lay the clocks since the last data of the bus to what the access at `clock` waited for."""
        bank = request[BANK]
        bus = self._bus[bank]
        gap = clock - self._free[bus]
        self._free[bus] = clock + self._burst
        if gap > 0:
            reason = self._reason(request, ready, clock)
            cause = self._opened[bank] if self._activated[reason] else self._name(reason, request, clock)
            self.clocks[cause] = self.clocks.get(cause, 0) + gap

    def activate(self, request: Request, ready: int, clock: int) -> None:
        """Remember what an activation waited for."""
        bank = request[BANK]
        reason = self._reason(request, ready, clock)
        self._opened[bank] = self._closed[bank] if self._precharged[reason] else self._name(reason, request, clock)
        if not self._is_open[bank]:
            self._is_open[bank] = True
            rank = self._rank[bank]
            if not self._open[rank]:
                self._since[rank] = clock
            self._open[rank] += 1

    def precharge(self, bank: int, ready: int, clock: int) -> None:
        """Remember what a precharge waited for; one that follows an activation is part of the row cycle."""
        reason = ready & ((1 << SHIFT) - 1) if ready >> SHIFT == clock else 0
        if not reason:
            self._closed[bank] = "tRP"
        else:
            self._closed[bank] = "tRC" if self._activated[reason] else self._causes[reason]

    def close(self, bank: int, clock: int) -> None:
        """Take it that the row of a bank is closed at `clock`."""
        if self._is_open[bank]:
            self._is_open[bank] = False
            rank = self._rank[bank]
            self._open[rank] -= 1
            if not self._open[rank]:
                self.open_clocks += clock - self._since[rank]

    def refresh(self, banks: Sequence[int]) -> None:
        """Take it that the banks are in refresh: what they wait for next is that."""
        for bank in banks:
            self._closed[bank] = REFRESH

    def open_until(self, clock: int) -> int:
        """Return the clocks up to `clock` that ranks had a row open, summed over ranks."""
        still = sum(clock - since for since, count in zip(self._since, self._open, strict=True) if count)
        return self.open_clocks + max(0, still)

    def _reason(self, request: Request, ready: int, clock: int) -> int:
        return ready & ((1 << SHIFT) - 1) if ready >> SHIFT == clock else 0

    def _name(self, reason: int, request: Request, clock: int) -> str:
        if reason:
            return self._causes[reason]
        return QUEUE if request[ARRIVAL] + 1 == clock else ORDER


def _names(name: str, spec: Specification, does: str) -> bool:
    gap = spec.constraints.get(name)
    return gap is not None and gap.level == "Bank" and all(spec.commands[c].does == does for c in gap.preceding)


def _cause(spec: Specification, name: str) -> str:
    """Return what users call a constraint: refresh, turnaround, or the last parameter in it."""
    if name not in spec.constraints:
        return name
    gap = spec.constraints[name]
    before = {spec.commands[c].does for c in gap.preceding}
    after = {spec.commands[c].does for c in gap.following}
    if "refresh" in before:
        return REFRESH
    if before < {"read", "write"} and after <= {"read", "write"} and not before & after:
        return TURNAROUND
    words = [word for word in gap.latency.replace("+", " ").replace("-", " ").split() if word in spec.timing]
    return words[-1]
