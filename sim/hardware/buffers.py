"""On-chip buffers: tiles take slots in the order of the plan, and give them back when they were read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from sim.arch import OPERANDS, Arch
from sim.errors import CapacityError
from sim.hardware.unit import Signal
from sim.timeline import Occupancy


@dataclass(eq=False)
class Slot:
    """A tile on chip. `release` fires when its place is free, `freed_at` is the work step before that.

    `left` is the part of its place that no later tile has taken.
    """

    operand: str
    bytes: int
    stage: int
    left: int
    release: Signal | None = None
    freed_at: int = -1

    def lend(self, size: int) -> int:
        """Give away up to `size` bytes of the place; return how many."""
        lent = min(size, self.left)
        self.left -= lent
        return lent


class Buffers:
    """The slots of all buffers. An operand of a stage has at most `slots` tiles; bytes never overflow."""

    def __init__(self, arch: Arch) -> None:
        self.arch = arch
        self.names = {operand: arch.buffer_of(operand) for operand in OPERANDS}
        self.names["parameter"] = self.names["intermediate"] = self.names["output"]
        self.held: dict[str, dict[Slot, None]] = {name: {} for name in arch.buffers}
        """Places with bytes that no later tile has taken, oldest first."""
        self.used = dict.fromkeys(arch.buffers, 0)
        """Bytes of these places."""
        self.unfreed: dict[tuple[str, int], deque[Slot]] = {}
        self.last: dict[tuple[str, int], deque[Slot]] = {}
        self.occupancy = {name: Occupancy(b.capacity) for name, b in arch.buffers.items()}
        self.claimed = dict.fromkeys(arch.buffers, 0)
        """Bytes of places that were taken at once, at most: with that much room the run is the same."""
        self.short: set[str] = set()
        """Buffers in which a tile ever had to wait for the place of another that was not the one it follows."""

    def take(self, operand: str, size: int, stage: int, slots: int) -> tuple[Slot, list[Slot]]:
        """Return a new slot, and the slots (freed by the plan already) that must be empty before it is.

        Those are its operand's tile `slots` before it, and every tile whose place it takes: that one's first,
        then bytes that are free, then the places freed longest ago. The rest of a place waits for its next
        taker, which must wait for the same release.
        """
        name = self.names[operand]
        held, capacity = self.held[name], self.arch.buffers[name].tile_capacity
        last = self.last.setdefault((operand, stage), deque(maxlen=slots))
        victims = [last[0]] if len(last) == slots else []
        free = capacity - self.used[name]
        lent = sum(slot.lend(size) for slot in victims if slot.release is not None)
        needed = size - lent
        needed -= min(needed, free)
        if needed:
            self.short.add(name)
            for slot in held:
                if slot.left and slot.release is not None:
                    part = slot.lend(needed)
                    needed, lent = needed - part, lent + part
                    victims.append(slot)
                    if not needed:
                        break
        if needed or any(slot.release is None for slot in victims):
            what, total = f"a tile of {operand}", capacity + needed
            raise CapacityError(what, f"buffer '{name}'", total, capacity, "use a smaller tile")
        new = Slot(operand, size, stage, size)
        for slot in victims:
            if not slot.left:
                held.pop(slot, None)
        held[new] = None
        self.used[name] += size - lent
        self.claimed[name] = max(self.claimed[name], self.used[name])
        self.unfreed.setdefault((operand, stage), deque()).append(new)
        last.append(new)
        return new, victims

    def free(self, operand: str, stage: int, release: Signal, work: int) -> None:
        """Mark the oldest tile of `operand` in the stage as given back when `release` fires."""
        name = self.names[operand]
        slot = self.unfreed[operand, stage].popleft()
        slot.release, slot.freed_at = release, work
        occupancy, size = self.occupancy[name], slot.bytes
        release.then(lambda: occupancy.give(size))

    def fill(self, slot: Slot) -> None:
        """Count the bytes of a slot from now on."""
        self.occupancy[self.names[slot.operand]].take(slot.bytes)
