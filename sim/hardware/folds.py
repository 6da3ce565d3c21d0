"""What a tile costs an array beside the ports of its buffers: the folds of a dataflow, slowed where a port is narrow.

All in closed form. A fold streams no faster than its bytes pass the ports. What stays in the PEs is shifted in
before that; where the array has a second register for it, the port passes it beside the stream of the fold before,
at what that leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    `streamed` are the cycles of a stream, `behind` those of a load that begins `after_load`.
    """

    bare: FoldTiming
    streamed: int
    behind: int
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


def load_pieces(size: Fraction, own: int, bandwidth: int, used: Fraction | int = 0, beside: int = 0) -> list[Piece]:
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


def tile_timing(array: Systolic, work: TileWork, ports: Ports | None = None) -> TileTiming:
    """Return the fold timing of a tile, its load and its stream slowed where a port cannot keep up."""
    flow = DATAFLOWS[array.dataflow]
    local = isinstance(work, LocalWork)
    uses = _uses(ports, _crowded(work), "output" if local else flow.stationary) if ports and work.moves else []
    streamed = max([work.stream, *(-(-use.stream // (use.port.bandwidth * work.folds)) for use in uses)])
    bare = _fold(array, work, work.stream)
    timing = bare if streamed == work.stream else _fold(array, work, streamed)
    load = behind = timing.load
    for use in uses if timing.load else ():
        if use.load:
            size, rate = Fraction(use.load, work.folds), Fraction(use.stream, work.folds * streamed)
            load = max(load, load_cycles(load_pieces(size, timing.load, use.port.bandwidth)))
            beside = load_pieces(size, timing.load, use.port.bandwidth, rate, streamed - timing.after_load)
            behind = max(behind, load_cycles(beside))
    interval = max(timing.after_stream, timing.after_load + behind)
    return TileTiming(
        load, work.stream, timing.after_load, timing.after_stream, timing.tail, bare, streamed, behind,
        tuple(_passage(use, work.folds, timing.load, streamed, interval) for use in uses),
    )  # fmt: skip


def _fold(array: Systolic, work: TileWork, stream: int) -> FoldTiming:
    """Return the timing of one fold; what the PEs do in place begins and ends with its stream, but for its drain."""
    if isinstance(work, LocalWork):
        return FoldTiming(0, stream, stream, stream, stream + work.drain)
    return DATAFLOWS[array.dataflow].timing(array, stream)


def _passage(use: _Use, folds: int, load: int, streamed: int, interval: int) -> Passage:
    loaded, average = Fraction(use.load, folds), Fraction(use.stream + use.load, folds * interval)
    alone = load_pieces(loaded, load, use.port.bandwidth) if use.load and load else []
    return Passage(use.port, Fraction(use.stream, folds * streamed), loaded, alone, (average, float(average)))
