"""A stream of requests on its way into the controllers: what each channel takes next, and when all of it is served."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Transfer:
    """Requests that belong together, over all channels; ends are the clocks of their first and last data."""

    left: int
    first: int | None = None
    last: int = 0

    @property
    def done(self) -> bool:
        """Whether every request is served (its data may still be on their way: see `last`)."""
        return self.left == 0

    def serve(self, clock: int) -> None:
        """Take it that one request's data are there at `clock`."""
        self.left -= 1
        if self.last < clock:
            self.last = clock
        if self.first is None or clock < self.first:
            self.first = clock


@dataclass(slots=True)
class Stream:
    """The part of a transfer that goes to one channel, in order; `since`: the clock before which none arrives."""

    transfer: Transfer
    banks: list[int]
    rows: list[int]
    columns: list[int]
    bursts: list[int]
    writes: list[bool]
    since: int
    at: int = field(default=0)
