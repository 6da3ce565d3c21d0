"""On-chip buffers: tiles take slots in the order of the plan, and give them back when they were read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sim.arch import OPERANDS, Arch
from sim.errors import CapacityError
from sim.hardware.unit import Signal, Wait
from sim.timeline import Occupancy

SPACE = "wait_output_space"
"""Under what waits for places on chip are booked."""
TWICE = 2
"""A signal that a job waits for under the same cause anyway, it waits for this often."""


@dataclass(eq=False, slots=True)
class Slot:
    """A tile on chip. `release` fires when its place is free, `freed_at` is the work step before that.

    `left` is the part of its place that no later tile has taken, `taken` are the places of others that it took
    as room was short, `follows` is the one that it follows.
    """

    operand: str
    bytes: int
    stage: int
    left: int
    release: Signal | None = None
    freed_at: int = -1
    taken: Sequence[Slot] = ()
    follows: Slot | None = None

    @property
    def places(self) -> list[Signal]:
        """When the places are free that others may not take before it does: had it more room, they might."""
        larger = [self.follows] if self.follows and self.follows.bytes > self.bytes else []
        return [slot.release for slot in (*self.taken, *larger) if slot.release is not None]

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
        self.room = {name: buffer.tile_capacity for name, buffer in arch.buffers.items()}
        """Bytes for tiles in each buffer."""
        self.held: dict[str, dict[Slot, None]] = {name: {} for name in arch.buffers}
        """Places with bytes that no later tile has taken, oldest first."""
        self.used = dict.fromkeys(arch.buffers, 0)
        """Bytes of these places."""
        self.unfreed: dict[tuple[str, int], deque[Slot]] = {}
        self.last: dict[tuple[str, int], deque[Slot]] = {}
        self.occupancy = {name: Occupancy() for name in arch.buffers}
        self.claimed = dict.fromkeys(arch.buffers, 0)
        """Bytes of places that were taken at once, at most: with that much room the run is the same."""
        self.short: set[str] = set()
        """Buffers in which a tile ever took the place of another that was not the one it follows."""
        self.unsure = dict.fromkeys(arch.buffers, 0)
        """Tiles that may have come later because of that: others began in time, in the order of the plan."""
        self.coming: dict[str, dict[Slot, None]] = {name: {} for name in arch.buffers}
        """Tiles that have a place and are not there yet, in the order of the plan."""
        self.given = dict.fromkeys(arch.buffers, -1)
        """The cycle in which the last of all places was free that tiles took that are there."""

    def take(self, operand: str, size: int, stage: int, slots: int) -> tuple[Slot, list[Slot]]:
        """Return a new slot, and the slots (freed by the plan already) that must be empty before it is.

        Those are its operand's tile `slots` before it, and every tile whose place it takes: that one's first,
        then bytes that are free, then the places freed longest ago. The rest of a place waits for its next
        taker, which must wait for the same release.
        """
        name = self.names[operand]
        held, capacity = self.held[name], self.room[name]
        last = self.last.get((operand, stage))
        if last is None:
            last = self.last[operand, stage] = deque(maxlen=slots)
            self.unfreed[operand, stage] = deque()
        victims = [last[0]] if len(last) == slots else []
        lent = last[0].lend(size) if victims and last[0].release is not None else 0
        needed = max(0, size - lent - (capacity - self.used[name]))
        own = len(victims)
        if needed:
            self.short.add(name)
            self.unsure[name] += 1
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
        new = Slot(operand, size, stage, size, taken=victims[own:], follows=victims[0] if own else None)
        for slot in victims:
            if not slot.left:
                held.pop(slot, None)
        held[new] = self.coming[name][new] = None
        self.used[name] += size - lent
        self.claimed[name] = max(self.claimed[name], self.used[name])
        self.unfreed[operand, stage].append(new)
        last.append(new)
        return new, victims

    def free(self, operand: str, stage: int, release: Signal, work: int) -> None:
        """Mark the oldest tile of `operand` in the stage as given back when `release` fires."""
        name = self.names[operand]
        slot = self.unfreed[operand, stage].popleft()
        slot.release, slot.freed_at = release, work
        occupancy, size = self.occupancy[name], slot.bytes
        release.then(lambda: occupancy.give(size, release.time))

    def fill(self, slot: Slot, waits: Sequence[Wait] = (), shift: int = 0, start: int = 0) -> None:
        """Count the bytes of a slot from now on, as a job that waited for all of `waits` starts in cycle `start`."""
        name = self.names[slot.operand]
        self.occupancy[name].take(slot.bytes, start)
        if self._overtakes(name, slot, start):
            self.unsure[name] += 1
        if slot.taken:
            self.given[name] = max(self.given[name], *(place.time for place in slot.places))
            self.unsure[name] -= not _mattered(slot, waits, shift, start + shift)
        slot.taken, slot.follows = (), None  # they would hold all that were before

    def _overtakes(self, name: str, slot: Slot, start: int) -> bool:
        """Tell whether a tile comes before places were free that tiles before it in the plan took."""
        coming = self.coming[name]
        early = start <= self.given[name]
        for before in coming:
            if before is slot:
                break
            early = early or not all(place.fired and place.time < start for place in before.places)
        coming.pop(slot, None)
        return early

    def settle(self, before: float = inf) -> None:
        """Count all that came before a moment."""
        for occupancy in self.occupancy.values():
            occupancy.settle(before)

    def peaks(self) -> dict[str, int]:
        """Return the most bytes that were in each buffer, at the end of a run."""
        self.settle()
        return {name: occupancy.most for name, occupancy in self.occupancy.items()}

    def doubt(self, slot: Slot) -> None:
        """Note that with more room, what takes the slot might go another way."""
        self.unsure[self.names[slot.operand]] += 1

    @property
    def binding(self) -> set[str]:
        """Buffers in which taking the place of another may have cost time: with more room a run may differ.

        In all others it is the same with more room: then fewer places of others are taken, none that would not be taken
        before that time here too. A tile that took it here had not to wait for it, and what comes later has neither.
        """
        return {name for name in self.short if self.unsure[name]}


def _mattered(slot: Slot, waits: Sequence[Wait], shift: int, now: int) -> bool:
    """Tell whether a job that begins now might have begun earlier, or waited for something else, but for the places
    of others that its tile took."""
    places = {place.release for place in slot.taken}
    rest = max((signal.seen(shift) for signal, _ in waits if signal not in places), default=-1)
    bound = [s for s, _ in waits if s in places and now <= s.seen(shift) >= rest]
    return any(sum(s is place and cause == SPACE for s, cause in waits) < TWICE for place in bound)
