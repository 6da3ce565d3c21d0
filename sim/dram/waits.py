"""Why data buses stood still: every clock of every bus by the constraint, or the lack of work, that took it.

Between two accesses of a bus, the clocks beyond the first's data are laid to what made the second wait last: the
constraint that its command met; behind an activation, what made the activation wait (tRCD, where it waited for the
request alone); behind a precharge, what made that wait. `queue`: the request had not come yet; `order`: another command
went first.
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.dram.bank import ARRIVAL, BANK, KIND, Request
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
        self._moved = [0] * tree.nodes[bus]
        self._latency = max(device.read_latency, device.write_latency)
        self._opened = [ORDER] * tree.banks
        self._closed = [ORDER] * tree.banks
        self._activated_at = [0] * tree.banks
        self._to_access = [_clocks_to(spec, command) for command in ("RD", "WR")]
        self._opening = ["tRCD" if "tRCD" in spec.timing else name for name in ("tRCDRD", "tRCDWR")]
        self._slack = int(spec.half_clocks)
        self._activated = [_follows(name, spec, "activate") for name in timing.reasons]
        self._precharged = [_follows(name, spec, "precharge") for name in timing.reasons]
        rank = tree.depth[spec.commands["REFab"].scope]
        self._rank = [tree.above(last, bank, rank) for bank in range(tree.banks)]
        self._open = [0] * tree.nodes[rank]
        self._since = [0] * tree.nodes[rank]
        self._is_open = [False] * tree.banks
        self.open_clocks = 0

    def access(self, request: Request, ready: int, clock: int, opened: bool) -> None:
        """Lay the clocks since the last data of the bus to what the access at `clock` waited for.

        opened: its row was opened for it; the clocks until it could be used are those of the activation.
        """
        bank = request[BANK]
        bus = self._bus[bank]
        gap = clock - self._free[bus]
        if gap > 0:
            if opened:
                gap -= self._lay_opening(request, gap, clock)
            if gap:
                self._lay(self._name(self._reason(ready, clock), request, clock), gap)
        self._free[bus] = clock + self._burst
        self._moved[bus] += 1

    def _lay_opening(self, request: Request, gap: int, clock: int) -> int:
        """Lay the clocks of `gap` until the row could be used to what its activation waited for, return how many.

        Where that was only the request, which came late, the time that opening takes is its own cause (tRCD).
        """
        bank, kind = request[BANK], request[KIND]
        begun, cause = self._activated_at[bank], self._opened[bank]
        until = min(gap, max(0, begun + self._to_access[kind] - (clock - gap)))
        late = min(until, max(0, begun - (clock - gap))) if cause == QUEUE else until
        self._lay(cause, late)
        if late < until:
            self._lay(self._opening[kind], until - late)
        return until

    def _lay(self, cause: str, clocks: int) -> None:
        if clocks > 0:
            self.clocks[cause] = self.clocks.get(cause, 0) + clocks

    def activate(self, request: Request, ready: int, clock: int) -> None:
        """Remember what an activation waited for."""
        bank = request[BANK]
        reason = self._reason(ready, clock)
        self._activated_at[bank] = clock
        self._opened[bank] = self._closed[bank] if self._precharged[reason] else self._name(reason, request, clock)
        if not self._is_open[bank]:
            self._is_open[bank] = True
            rank = self._rank[bank]
            if not self._open[rank]:
                self._since[rank] = clock
            self._open[rank] += 1

    def precharge(self, bank: int, ready: int, clock: int) -> None:
        """Remember what a precharge waited for; one that follows an activation is part of the row cycle."""
        reason = self._reason(ready, clock)
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

    def shares(self, cycles: int) -> dict[str, int]:
        """Return the clocks of all buses up to `cycles` by cause: data, what was waited for, and the last latency."""
        found = dict(self.clocks)
        for free, moved in zip(self._free, self._moved, strict=True):
            found[DATA] = found.get(DATA, 0) + moved * self._burst
            rest = max(0, cycles - (free - 1))
            tail = min(rest, self._latency) if moved else 0
            found[LATENCY] = found.get(LATENCY, 0) + tail
            found[QUEUE] = found.get(QUEUE, 0) + rest - tail
        return found

    def open_until(self, clock: int) -> int:
        """Return the clocks up to `clock` that ranks had a row open, summed over ranks."""
        still = sum(clock - since for since, count in zip(self._since, self._open, strict=True) if count)
        return self.open_clocks + max(0, still)

    def _reason(self, ready: int, clock: int) -> int:
        """Return the number of the constraint that held a command until `clock`; 0 where none did."""
        return ready & ((1 << SHIFT) - 1) if (ready >> SHIFT) + self._slack >= clock else 0

    def _name(self, reason: int, request: Request, clock: int) -> str:
        if reason:
            return self._causes[reason]
        return QUEUE if request[ARRIVAL] + 1 == clock else ORDER


def _follows(name: str, spec: Specification, does: str) -> bool:
    """Return whether a constraint holds a bank back behind a command that does so, to the same bank."""
    gap = spec.constraints.get(name)
    if gap is None or gap.level != "Bank":
        return False
    return all(spec.commands[command].does.startswith(does) for command in gap.preceding)


def _clocks_to(spec: Specification, command: str) -> int:
    """Return the clocks from an activation to an access of its bank."""
    opens = next(name for name, each in spec.commands.items() if each.does.startswith("activate"))
    found = [
        spec.clocks(gap.latency) + spec.commands[opens].cycles - spec.commands[command].cycles
        for gap in spec.constraints.values() if opens in gap.preceding and command in gap.following
    ]  # fmt: skip
    return max(found, default=0)


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
