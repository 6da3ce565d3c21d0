"""The systolic array in time: folds in closed form, waits and overlap between tiles as events."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import simpy

from sim.arch import Systolic
from sim.dataflow import DATAFLOWS, FoldTiming
from sim.hardware.unit import Job, Unit, Wait, Watcher
from sim.plan import Compute, Step, TileWork


def tile_timing(array: Systolic, work: TileWork) -> FoldTiming:
    """Return the fold timing of a tile, its load and stream slowed where a buffer port cannot keep up."""
    timing = DATAFLOWS[array.dataflow].timing(array, max(work.stream, work.port_cycles))
    load = max(timing.load, work.load_cycles) if timing.load else 0
    return replace(timing, load=load, stream=work.stream)


class ArrayUnit(Unit):
    """Runs tiles in order. A tile starts while its predecessor drains, where the array allows it."""

    kind = "systolic"

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, array: Systolic
    ) -> None:
        super().__init__(env, name, engine)
        self.array = array
        self.stationary = f"wait_{DATAFLOWS[array.dataflow].stationary}"
        self.timings: dict[tuple[int, int, int], FoldTiming] = {}
        self.load_from = 0
        self.stream_from = 0
        # The same three moments as the ledger sees them, iterations that were skipped included.
        self.own_load = self.own_stream = self.drained = 0
        self.last_layer = 0

    def timing(self, work: TileWork) -> FoldTiming:
        """Return the fold timing of a tile, computed once for each stream length."""
        key = (work.stream, work.port_cycles, work.load_cycles)
        if key not in self.timings:
            self.timings[key] = tile_timing(self.array, work)
        return self.timings[key]

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles of a tile's folds, and how much later than the next might begin they end."""
        assert isinstance(step, Compute)  # the engine sends nothing else
        timing = self.timing(step.work)
        return step.work.folds * timing.interval, timing.tail - timing.interval

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Load the stationary operand, then stream; leave when the next tile's load may be considered."""
        assert isinstance(job.step, Compute)  # the engine sends nothing else
        work, env = job.step.work, self.env
        timing = self.timing(work)
        first = [w for w in job.waits if w[1] == self.stationary]
        rest = [w for w in job.waits if w[1] != self.stationary]
        yield from self.wait(first)
        loading = max(int(env.now), self.load_from)
        yield from self.wait(rest)
        stream = max(int(env.now), loading + timing.load, self.stream_from)
        job.start = loading if timing.load else stream
        if job.on_start:
            job.on_start()
        last = stream + (work.folds - 1) * timing.interval
        self._book(job, timing, work, stream, first, rest)
        self.load_from, self.stream_from = last + timing.after_load, last + timing.after_stream
        self.later(last + max(work.stream, work.port_cycles), self.release, job)
        self.finish(job, last + timing.tail)
        if last > env.now:
            yield env.timeout(last - env.now)

    def _book(
        self, job: Job, timing: FoldTiming, work: TileWork, stream: int, first: list[Wait], rest: list[Wait]
    ) -> None:
        """Book what came before the stream, then the stream itself.

        Until the array itself could have streamed again it drains and fills; what is beyond goes to the one
        wait that ended last.
        """
        moved = self.catch_up(job.shift)
        self.drained, self.own_load, self.own_stream = (
            cycle + moved for cycle in (self.drained, self.own_load, self.own_stream)
        )
        begin = stream + job.shift
        self.commit(job, begin, work.folds * timing.interval)
        own = min(begin, max(self.own_load + timing.load, self.own_stream))
        self.book(job, min(self.drained, own), "drain", self.last_layer)
        self.book(job, own, "fill")
        late = [(signal.seen(job.shift) + timing.load, (signal, cause)) for signal, cause in first]
        late += [(signal.seen(job.shift), (signal, cause)) for signal, cause in rest]
        if begin > own and late:
            self.book_wait(job, max(late, key=lambda entry: entry[0])[1], begin)
        self.book(job, begin, "fill")
        self._book_stream(job, timing, work)
        last = begin + (work.folds - 1) * timing.interval
        self.own_load, self.own_stream = last + timing.after_load, last + timing.after_stream
        self.drained, self.last_layer = last + timing.tail, job.layer

    def _book_stream(self, job: Job, timing: FoldTiming, work: TileWork) -> None:
        """Book the folds: operands stream, a port may hold them up, between folds the array drains and fills."""
        streamed = max(work.stream, work.port_cycles)
        between = timing.interval - streamed
        drain = min(timing.tail - streamed, between)
        port = "wait_output_space" if work.port == "output" else f"wait_{work.port}"
        for cause, amount in (
            ("compute", work.folds * work.stream),
            (port, work.folds * (streamed - work.stream)),
            ("drain", (work.folds - 1) * drain),
            ("fill", (work.folds - 1) * (between - drain)),
        ):
            self.book(job, self.ledger.until + amount, cause)

    def close(self, end: int, shift: int) -> None:
        """Book the last drain, then idle."""
        self.drained += self.catch_up(shift)
        self.ledger.advance(min(self.drained, end), self.last_layer, "drain")
        super().close(end, shift)
