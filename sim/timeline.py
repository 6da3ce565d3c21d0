"""Where every cycle of every unit went: one cause each, and they add up."""

from __future__ import annotations

from dataclasses import dataclass, field

CAUSES = (
    "compute", "fill", "drain", "wait_input", "wait_weight", "wait_output_space", "wait_dependency", "idle"
)  # fmt: skip
"""The causes, in the order in which tables show them. On the off-chip channel `compute` is transfer."""


@dataclass
class Ledger:
    """Cycles of one unit by layer and cause, written from left to right without gaps."""

    until: int = 0
    cycles: dict[tuple[int, str], int] = field(default_factory=dict)
    work: int = 0
    """Cycles that the jobs begun so far keep the unit busy at least, skipped ones included."""

    def advance(self, until: int, layer: int, cause: str) -> int:
        """Give the cycles from where the ledger stands to `until` to a cause; return how many they were."""
        amount = until - self.until
        if amount <= 0:
            return 0
        self.add(layer, cause, amount)
        self.until = until
        return amount

    def add(self, layer: int, cause: str, amount: int) -> None:
        """Book `amount` cycles without moving."""
        key = (layer, cause)
        self.cycles[key] = self.cycles.get(key, 0) + amount

    def by_cause(self) -> dict[str, int]:
        """Return the cycles of each cause, zeros included, over all layers."""
        return {cause: sum(c for (_, k), c in self.cycles.items() if k == cause) for cause in CAUSES}

    def of_layer(self, layer: int) -> dict[str, int]:
        """Return the cycles of each cause that `layer` has."""
        return {cause: self.cycles[layer, cause] for cause in CAUSES if (layer, cause) in self.cycles}


@dataclass
class Occupancy:
    """Bytes in a buffer over time, and the most there ever were."""

    capacity: int
    now: int = 0
    peak: int = 0

    def take(self, amount: int) -> None:
        """Add bytes."""
        self.now += amount
        self.peak = max(self.peak, self.now)

    def give(self, amount: int) -> None:
        """Remove bytes."""
        self.now -= amount


@dataclass
class Timeline:
    """What the engine found: the end, each unit's ledger, each layer's span, each buffer's peak."""

    cycles: int
    ledgers: dict[str, Ledger]
    spans: list[tuple[int, int]]
    peaks: dict[str, int]
