"""The systolic array in time: folds in closed form, waits and overlap between tiles as events."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from typing import Any

import simpy

from sim.arch import Systolic
from sim.dataflow import DATAFLOWS
from sim.hardware.folds import Passage, Piece, TileTiming, load_cycles, load_pieces, tile_timing
from sim.hardware.ports import Ports
from sim.hardware.unit import Job, Unit, Wait, Watcher
from sim.plan import Compute, LocalWork, Step, TileWork


class ArrayUnit(Unit):
    """Runs tiles in order. A tile starts while its predecessor drains, where the array allows it."""

    kind = "systolic"

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, array: Systolic, ports: Ports,
        pace: Fraction | int = 1,
    ) -> None:
        super().__init__(env, name, engine)
        self.array, self.ports, self.pace = array, ports, pace
        self.stationary = f"wait_{DATAFLOWS[array.dataflow].stationary}"
        self.timings: dict[tuple[object, ...], TileTiming] = {}
        self.loads: dict[tuple[int, int, int], list[Piece]] = {}
        self.load_from = 0
        self.stream_from = 0
        self.streaming_until = 0
        self.before: TileTiming | None = None
        # The moments as the ledger sees them, iterations that were skipped included.
        self.own_load = self.own_stream = self.drained = 0
        self.last_layer = 0

    def timing(self, work: TileWork) -> TileTiming:
        """Return the fold timing of a tile, computed once for equal work."""
        drain = work.drain if isinstance(work, LocalWork) else None
        key = (work.stream, work.folds, work.moves, work.crowding, drain)
        if key not in self.timings:
            self.timings[key] = tile_timing(self.array, work, self.ports, self.pace)
        return self.timings[key]

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles of a tile's folds, and how much later than the next might begin they end."""
        assert isinstance(step, Compute) and isinstance(step.work, TileWork)  # the engine sends nothing else
        timing = self.timing(step.work)
        return timing.last + timing.interval, timing.tail - timing.interval

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Load the stationary operand, then stream; leave when the next tile's load may be considered."""
        assert isinstance(job.step, Compute) and isinstance(job.step.work, TileWork)  # the engine sends nothing else
        work, env = job.step.work, self.env
        timing = self.timing(work)
        first = [w for w in job.waits if w[1] == self.stationary]
        rest = [w for w in job.waits if w[1] != self.stationary]
        yield from self.wait(first)
        loading = max(int(env.now), self.load_from)
        load = self.load(timing, loading)
        yield from self.wait(rest)
        stream = max(int(env.now), loading + load, self.stream_from)
        job.start = loading if timing.load else stream
        if job.on_start:
            job.on_start(job, stream)
        last = stream + timing.last
        self.stream(timing, stream, last)
        self._book(job, timing, stream, load, first, rest)
        self.load_from, self.stream_from = last + timing.after_load, last + timing.after_stream
        self.later(self.streaming_until, self.release, job)
        self.finish(job, last + timing.tail)
        if last > env.now:
            yield env.timeout(last - env.now)

    def load(self, timing: TileTiming, loading: int) -> int:
        """Hold the ports for a load from cycle `loading`; return its cycles."""
        cycles = timing.bare.load
        for passage in timing.passages if timing.load else ():
            if passage.loaded:
                pieces = self._load_pieces(timing, passage, self.streaming_until - loading)
                cycles = max(cycles, load_cycles(pieces))
                if passage.port.shared:
                    self._hold_load(passage, loading, pieces)
        return cycles

    def _hold_load(self, passage: Passage, at: int, pieces: list[Piece]) -> None:
        holds = []
        for length, rate in pieces:
            holds.append((at, at + length, rate, float(rate)))
            at += length
        self.ports.hold(int(self.env.now), passage.port, holds)

    def _load_pieces(self, timing: TileTiming, passage: Passage, beside: int) -> list[Piece]:
        """Return how a load goes that shares its port for `beside` cycles with the last fold of the tile before."""
        used = next((p.streaming for p in self.before.passages if p.port is passage.port), 0) if self.before else 0
        if beside <= 0 or not used:
            return passage.alone
        key = (id(passage), id(self.before), beside)  # the unit keeps all timings
        if key not in self.loads:
            self.loads[key] = load_pieces(passage.loaded, timing.bare.load, passage.port.bandwidth, used, beside)
        return self.loads[key]

    def stream(self, timing: TileTiming, stream: int, last: int) -> None:
        """Hold the ports for all folds: loads of the second to the last one pass beside the streams before them."""
        self.streaming_until, self.before = last + timing.streamed, timing
        for passage in timing.passages:
            if not passage.port.shared:
                continue
            holds = [(stream, last, *passage.average)] if last > stream else []
            if passage.streaming:
                holds.append((last, self.streaming_until, passage.streaming, float(passage.streaming)))
            self.ports.hold(int(self.env.now), passage.port, holds)

    def _book(
        self, job: Job, timing: TileTiming, stream: int, load: int, first: list[Wait], rest: list[Wait]
    ) -> None:
        """Book what came before the stream, then the stream itself.

        Until the array itself could have streamed again it drains, fills and waits for its ports; what is beyond
        goes to the one wait that ended last.
        """
        moved = self.catch_up(job.shift)
        self.drained, self.own_load, self.own_stream = (
            cycle + moved for cycle in (self.drained, self.own_load, self.own_stream)
        )
        begin = stream + job.shift
        self.commit(job, begin, timing.last + timing.interval)
        own = min(begin, max(self.own_load + timing.bare.load, self.own_stream))
        ported = min(begin, max(self.own_load + load, self.own_stream)) if timing.load else own
        self.book(job, min(self.drained, own), "drain", self.last_layer)
        self.book(job, own, "fill")
        self.book(job, ported, "wait_port")
        if begin > ported:
            late = [(signal.seen(job.shift) + load, (signal, cause)) for signal, cause in first]
            late += [(signal.seen(job.shift), (signal, cause)) for signal, cause in rest]
            if late:
                self.book_wait(job, max(late, key=lambda entry: entry[0])[1], begin)
        self.book(job, begin, "fill")
        for cause, cycles in timing.causes:
            self.book(job, self.ledger.until + cycles, cause)
        last = begin + timing.last
        self.own_load, self.own_stream = last + timing.after_load, last + timing.after_stream
        self.drained, self.last_layer = last + timing.tail, job.layer

    def rename(self, first: int, by: int) -> None:
        """Let a drain that is left belong to layers `by` further."""
        self.last_layer += by if self.last_layer >= first else 0

    def close(self, end: int, shift: int) -> None:
        """Book the last drain, then idle."""
        self.drained += self.catch_up(shift)
        self.ledger.advance(min(self.drained, end), self.last_layer, "drain")
        super().close(end, shift)
