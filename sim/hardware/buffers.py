"""On-chip buffers: tiles take slots in the order of the plan, and give them back when they were read."""

from __future__ import annotations

from dataclasses import dataclass

from sim.arch import OPERANDS, Arch
from sim.errors import CapacityError
from sim.hardware.unit import Signal
from sim.timeline import Occupancy


@dataclass
class Slot:
    """A tile on chip. `release` fires when its place is free, `freed_at` is the work step before that."""

    operand: str
    bytes: int
    stage: int
    release: Signal | None = None
    freed_at: int = -1


class Buffers:
    """The slots of all buffers. An operand of a stage has at most `slots` tiles; bytes never overflow."""

    def __init__(self, arch: Arch) -> None:
        self.arch = arch
        self.names = {operand: arch.buffer_of(operand) for operand in OPERANDS}
        self.held: dict[str, list[Slot]] = {name: [] for name in arch.buffers}
        self.occupancy = {name: Occupancy(b.capacity) for name, b in arch.buffers.items()}

    def take(self, operand: str, size: int, stage: int, slots: int) -> tuple[Slot, list[Slot]]:
        """Return a new slot, and the slots (freed by the plan already) that must be empty before it is."""
        name = self.names[operand]
        held, capacity = self.held[name], self.arch.buffers[name].tile_capacity
        own = [slot for slot in held if slot.operand == operand and slot.stage == stage]
        victims = own[: max(0, len(own) - slots + 1)]
        total = sum(slot.bytes for slot in held) - sum(slot.bytes for slot in victims) + size
        for slot in held:
            if total <= capacity:
                break
            if slot.release is not None and slot not in victims:
                victims.append(slot)
                total -= slot.bytes
        if total > capacity or any(slot.release is None for slot in victims):
            raise CapacityError(f"a tile of {operand}", f"buffer '{name}'", total, capacity, "use a smaller tile")
        self.held[name] = [slot for slot in held if slot not in victims]
        new = Slot(operand, size, stage)
        self.held[name].append(new)
        return new, victims

    def free(self, operand: str, stage: int, release: Signal, work: int) -> None:
        """Mark the oldest tile of `operand` in the stage as given back when `release` fires."""
        name = self.names[operand]
        slot = next(s for s in self.held[name] if s.operand == operand and s.stage == stage and s.release is None)
        slot.release, slot.freed_at = release, work
        occupancy, size = self.occupancy[name], slot.bytes
        release.then(lambda: occupancy.give(size))

    def fill(self, slot: Slot) -> None:
        """Count the bytes of a slot from now on."""
        self.occupancy[self.names[slot.operand]].take(slot.bytes)
