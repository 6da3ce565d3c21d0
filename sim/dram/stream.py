"""A stream of requests on its way into the controllers: what each channel takes next, and when all of it is served."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Share:
    """The requests of a transfer that one channel serves; ends are the clocks of their first and last data."""

    left: int
    first: int | None = None
    last: int = 0

    def serve(self, clock: int) -> None:
        """Take it that one request's data are there at `clock`."""
        self.left -= 1
        if self.last < clock:
            self.last = clock
        if self.first is None or clock < self.first:
            self.first = clock


@dataclass(frozen=True)
class Transfer:
    """Requests that belong together, with the share of each channel in them."""

    shares: tuple[Share, ...]

    @property
    def left(self) -> int:
        """How many requests are not served yet."""
        return sum(share.left for share in self.shares)

    @property
    def done(self) -> bool:
        """Whether every request is served (its data may still be on their way: see `last`)."""
        return not any(share.left for share in self.shares)

    @property
    def first(self) -> int | None:
        """The clock of the first data so far, None where there are none."""
        return min((share.first for share in self.shares if share.first is not None), default=None)

    @property
    def last(self) -> int:
        """The clock of the last data so far."""
        return max(share.last for share in self.shares)


@dataclass(slots=True)
class Stream:
    """The requests of a share, in order; `since`: the clock before which none arrives."""

    share: Share
    banks: list[int]
    rows: list[int]
    columns: list[int]
    bursts: list[int]
    writes: list[bool]
    since: int
    at: int = field(default=0)

    def parts(self) -> tuple[list[int], list[int], list[int], list[int], list[bool]]:
        """Return bank, row, column and burst of every request, and whether it is a write."""
        return self.banks, self.rows, self.columns, self.bursts, self.writes
