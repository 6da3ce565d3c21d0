"""What a channel counts while it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Counters:
    """Commands and row outcomes of a channel, or of several added up.

    `forwarded` reads and `merged` writes found their burst in the write queue and needed no command.
    """

    reads: int = 0
    writes: int = 0
    forwarded: int = 0
    merged: int = 0
    activates: int = 0
    precharges: int = 0
    auto_precharges: int = 0
    refreshes: int = 0
    row_hits: int = 0
    row_misses: int = 0
    row_conflicts: int = 0

    def add(self, other: Counters) -> None:
        """Add the counts of `other`."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
