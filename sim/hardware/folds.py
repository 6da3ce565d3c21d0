"""What a tile costs an array beside the ports of its buffers: the folds of a dataflow, slowed where a port is narrow.

All in closed form. A fold streams no faster than its bytes pass the ports. What stays in the PEs is shifted in
before that; where the array has a second register for it, the port passes it beside the stream of the fold before,
at what that leaves.

An array with a clock of its own is timed in its own cycles; those of all folds of a tile together are converted to
cycles of the chip, rounded up. So a tile ends less than two cycles of the chip later than it would with exact times.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import ceil

from sim.arch import Systolic
from sim.dataflow import DATAFLOWS, FoldTiming
from sim.hardware.ports import Port, Ports
from sim.plan import LocalWork, Moves, TileWork

Piece = tuple[int, Fraction | int]
"""Some cycles at a rate in bytes a cycle."""


@dataclass(frozen=True)
class Passage:
    """Bytes through a port in a fold: as it streams, and as it loads; rates are bytes a cycle."""

    port: Port
    streaming: Fraction
    """Rate while a fold streams."""
    loaded: Fraction
    """Bytes of a load."""
    alone: list[Piece]
    """How a load goes with the port to itself."""
    average: tuple[Fraction, float]
    """Rate from the stream of one fold to that of the next, and about that as a float."""


@dataclass(frozen=True)
class TileTiming(FoldTiming):
    """The timing of equal folds: what the ports add is the difference to `bare`, the array without them.

    `streamed` are the cycles of a stream, `behind` those of a load that begins `after_load`, `last` those from the
    first stream to the last one. `causes` are the cycles of all folds, as they are booked.
    """

    bare: FoldTiming
    streamed: int
    behind: int
    last: int
    causes: tuple[tuple[str, int], ...]
    passages: tuple[Passage, ...] = ()

    @property
    def interval(self) -> int:
        """Cycles from one fold's stream to the next one's, when nothing else waits."""
        return max(self.after_stream, self.after_load + self.behind)


@dataclass(frozen=True)
class _Use:
    """The bytes that all folds of a tile move through a port while they stream, and while they load."""

    port: Port
    stream: int
    load: int


def _uses(ports: Ports, moves: Moves, stationary: str) -> list[_Use]:
    """Return what a tile asks of each port that has a limit.

    Inputs or weights that stay in the PEs pass before their fold streams; sums that stay there are read and
    written beside the stream, as all others are.
    """
    loads = stationary if stationary != "output" else ""
    load = dict(ports.demands(tuple(move for move in moves if move[0] == loads)))
    stream = dict(ports.demands(tuple(move for move in moves if move[0] != loads)))
    return [_Use(port, stream.get(port, 0), load.get(port, 0)) for port in dict.fromkeys((*stream, *load))]


def _crowded(work: TileWork) -> Moves:
    """Return what a tile moves as ports see it: bytes that crowd into few banks count more."""
    factors = dict(work.crowding)
    return tuple((o, way, ceil(size * factors[o]) if o in factors else size) for o, way, size in work.moves)


def load_pieces(
    size: Fraction, own: int, bandwidth: Fraction | int, used: Fraction | int = 0, beside: int = 0
) -> list[Piece]:
    """Return how `size` bytes are loaded: no faster than in `own` cycles, nor than the port passes them.

    For the first `beside` cycles others use `used` bytes a cycle of the port.
    """
    fastest = min(Fraction(size, own), Fraction(bandwidth))
    behind = min(fastest, Fraction(bandwidth - used))
    if beside <= 0 or behind == fastest:
        return [(ceil(size / fastest), fastest)]
    if behind * beside >= size:
        return [(ceil(size / behind), behind)]
    return [(beside, behind), (ceil((size - behind * beside) / fastest), fastest)]


def load_cycles(pieces: list[Piece]) -> int:
    """Return the cycles of all pieces."""
    return sum(cycles for cycles, _ in pieces)


def tile_timing(
    array: Systolic, work: TileWork, ports: Ports | None = None, pace: Fraction | int = 1
) -> TileTiming:
    """Return the fold timing of a tile, its load and its stream slowed where a port cannot keep up.

    It is in cycles of the chip; `pace` of them are one of the array.
    """
    flow = DATAFLOWS[array.dataflow]
    local = isinstance(work, LocalWork)
    uses = _uses(ports, _crowded(work), "output" if local else flow.stationary) if ports and work.moves else []
    streamed = max([work.stream, *(-(-use.stream // (use.port.bandwidth * pace * work.folds)) for use in uses)])
    bare = _fold(array, work, work.stream)
    timing = bare if streamed == work.stream else _fold(array, work, streamed)
    load = behind = timing.load
    for use in uses if timing.load else ():
        if use.load:
            size, rate = Fraction(use.load, work.folds), Fraction(use.stream, work.folds * streamed)
            width = use.port.bandwidth * pace
            load = max(load, load_cycles(load_pieces(size, timing.load, width)))
            beside = load_pieces(size, timing.load, width, rate, streamed - timing.after_load)
            behind = max(behind, load_cycles(beside))
    interval = max(timing.after_stream, timing.after_load + behind)
    again = (work.folds - 1) * interval
    slow = TileTiming(
        load, work.stream, timing.after_load, timing.after_stream, timing.tail, bare, streamed, behind, again,
        _causes(work, bare, streamed, interval),
    )  # fmt: skip
    found = slow if pace == 1 else _converted(slow, pace)
    average = Fraction(found.last, work.folds - 1) if work.folds > 1 else found.interval
    alone = ceil(timing.load * pace)
    passages = tuple(_passage(use, work.folds, alone, found.streamed, average) for use in uses)
    return replace(found, behind=found.behind if pace == 1 else _behind(found, passages), passages=passages)


def _behind(timing: TileTiming, passages: tuple[Passage, ...]) -> int:
    """Return the cycles of the chip for the load of an equal tile behind this one, as ports pass it."""
    load, beside = timing.bare.load, timing.streamed - timing.after_load
    pieces = (load_pieces(p.loaded, load, p.port.bandwidth, p.streaming, beside) for p in passages if p.alone)
    return max([load, *map(load_cycles, pieces)])


def _causes(work: TileWork, bare: FoldTiming, streamed: int, interval: int) -> tuple[tuple[str, int], ...]:
    """Return the cycles of the folds: operands stream, ports may hold them up, between folds it drains and fills."""
    again, between = work.folds - 1, bare.interval - bare.stream
    drain = min(bare.tail - bare.stream, between)
    held = streamed - bare.stream + again * (interval - bare.interval)
    return (
        ("compute", work.folds * bare.stream), ("wait_port", held),
        ("drain", again * drain), ("fill", again * (between - drain)),
    )  # fmt: skip


def _converted(timing: TileTiming, pace: Fraction | int) -> TileTiming:
    """Return a timing in cycles of the chip, each time rounded up; what rounding adds counts as computing."""

    def chip(cycles: int) -> int:
        return ceil(cycles * pace)

    bare = FoldTiming(**{part.name: chip(getattr(timing.bare, part.name)) for part in fields(FoldTiming)})
    streamed, last = chip(timing.streamed), chip(timing.last)
    waits = tuple((cause, int(cycles * pace)) for cause, cycles in timing.causes if cause != "compute")
    computing = streamed + last - sum(cycles for _, cycles in waits)
    return TileTiming(
        chip(timing.load), chip(timing.stream), chip(timing.after_load), chip(timing.after_stream), chip(timing.tail),
        bare, streamed, chip(timing.behind), last, (("compute", computing), *waits),
    )  # fmt: skip


def _fold(array: Systolic, work: TileWork, stream: int) -> FoldTiming:
    """Return the timing of one fold; what the PEs do in place begins and ends with its stream, but for its drain."""
    if isinstance(work, LocalWork):
        return FoldTiming(0, stream, stream, stream, stream + work.drain)
    return DATAFLOWS[array.dataflow].timing(array, stream)


def _passage(use: _Use, folds: int, load: int, streamed: int, interval: Fraction | int) -> Passage:
    loaded, average = Fraction(use.load, folds), Fraction(use.stream + use.load) / (folds * interval)
    alone = load_pieces(loaded, load, use.port.bandwidth) if use.load and load else []
    return Passage(use.port, Fraction(use.stream, folds * streamed), loaded, alone, (average, float(average)))
