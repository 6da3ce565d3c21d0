"""The systolic array in time: folds in closed form, waits and overlap between tiles as events."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import simpy

from sim.arch import Systolic
from sim.dataflow import DATAFLOWS, FoldTiming
from sim.hardware.unit import Job, Unit
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
        self, env: simpy.Environment, name: str, finish: Callable[[Job], None], array: Systolic
    ) -> None:
        super().__init__(env, name, finish)
        self.array = array
        self.stationary = f"wait_{DATAFLOWS[array.dataflow].stationary}"
        self.timings: dict[tuple[int, int, int], FoldTiming] = {}
        self.load_from = 0
        self.stream_from = 0
        self.drained = 0
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
        self._book(job, timing, loading, stream, first, rest)
        self.load_from, self.stream_from = last + timing.after_load, last + timing.after_stream
        self.later(last + max(work.stream, work.port_cycles), lambda: job.released.fire(int(env.now)))
        self.finish(job, last + timing.tail)
        if last > env.now:
            yield env.timeout(last - env.now)

    def _book(self, job: Job, timing: FoldTiming, loading: int, stream: int, first: Any, rest: Any) -> None:
        """Book what came before the stream (the drain has first claim), then the stream itself."""
        work, shift = job.step.work, job.shift  # type: ignore[union-attr]
        self.drained += self.catch_up(shift)
        begin = stream + shift
        self.commit(job, begin, work.folds * timing.interval)
        self.book(job, min(self.drained, begin), "drain", self.last_layer)
        self.book_waits(job, first, begin)
        self.book(job, min(loading + timing.load + shift, begin), "fill")
        self.book_waits(job, rest, begin)
        self.book(job, begin, "fill")
        streamed = max(work.stream, work.port_cycles)
        between = timing.interval - streamed
        drain = min(timing.tail - streamed, between)
        for cause, amount in (
            ("compute", work.folds * work.stream),
            (f"wait_{work.port}" if work.port != "output" else "wait_output_space",
             work.folds * (streamed - work.stream)),
            ("drain", (work.folds - 1) * drain),
            ("fill", (work.folds - 1) * (between - drain)),
        ):  # fmt: skip
            self.book(job, self.ledger.until + amount, cause)
        self.drained = begin + (work.folds - 1) * timing.interval + timing.tail
        self.last_layer = job.layer

    def close(self, end: int, shift: int) -> None:
        """Book the last drain, then idle."""
        self.drained += self.catch_up(shift)
        self.ledger.advance(min(self.drained, end), self.last_layer, "drain")
        super().close(end, shift)
