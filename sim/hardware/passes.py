"""The row-stationary array in time: a processing pass in closed form, waits between passes as events."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from math import ceil
from typing import Any

import simpy

from sim.arch import Systolic
from sim.dataflows.row_stationary import PassTiming, pass_timing
from sim.hardware.ports import Ports
from sim.hardware.unit import Job, Unit, Watcher
from sim.plan import Compute, PassShape, PassWork, Step


class PassUnit(Unit):
    """Runs processing passes in order. A pass has the PEs once the one before is through with them.

    A buffer port moves the words of one pass after the other, at its own pace: a pass begins no earlier than
    the port has done with the one before. What it and the buses between buffer and PEs cost is one cause.
    `pace` cycles of the chip are one of the array; the times of a pass are converted as they are, rounded up.
    """

    kind = "systolic"

    def __init__(
        self, env: simpy.Environment, name: str, engine: Watcher, array: Systolic, ports: Ports,
        pace: Fraction | int = 1,
    ) -> None:
        super().__init__(env, name, engine)
        self.array, self.ports, self.pace = array, ports, pace
        self.latency = ceil(array.sram_read_latency * pace)
        self.timings: dict[tuple[PassShape, int], PassTiming] = {}
        self.free_from = self.written = 0
        # The end of the last pass, and its last layer, as the ledger sees them.
        self.drained = self.last_layer = 0

    def timing(self, work: PassWork, lag: int = 0) -> PassTiming:
        """Return the timing of a pass whose sums may be fetched `lag` cycles after its start, computed once each."""
        key = (work.shape, lag)
        if key not in self.timings:
            own = pass_timing(self.array, work.shape, ceil(lag / self.pace))
            self.timings[key] = own if self.pace == 1 else _converted(own, self.pace)
        return self.timings[key]

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles for which a pass keeps the array busy, and by how much later its last sum is out."""
        work = _work(step)
        return self._busy(work), self._last(work) - self._busy(work)

    def _busy(self, work: PassWork, lag: int = 0) -> int:
        """Return the cycles from the start of a pass to that of the next, when nothing else waits."""
        return max(self.timing(work, lag).busy, port_cycles(self.ports, work))

    def _last(self, work: PassWork, lag: int = 0) -> int:
        """Return the cycles from the start of a pass to its last sum in the buffer."""
        return max(self.timing(work, lag).end + self.latency, port_cycles(self.ports, work))

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Wait for operands and PEs; leave when the next pass may have them."""
        work = _work(job.step)
        yield from self.wait(job.waits)
        start = max(int(self.env.now), self.free_from)
        lag = max(0, self.written - start)
        job.start = start
        if job.on_start:
            job.on_start(job, start)
        busy = self._busy(work, lag)
        for port, size in self.ports.demands(work.moves):
            if port.shared:
                share = (start, start + busy, Fraction(size, busy), size / busy)
                self.ports.hold(int(self.env.now), port, [share])
        self._book(job, work, start, lag)
        self.free_from = start + busy
        self.written = start + self.timing(work, lag).end + self.latency
        self.later(start + busy, self.release, job)
        self.finish(job, start + self._last(work, lag))
        if start > self.env.now:
            yield self.env.timeout(start - self.env.now)

    def _book(self, job: Job, work: PassWork, start: int, lag: int) -> None:
        """Book what came before the pass, then the pass: loading PEs, computing, adding sums, buses and port."""
        moved = self.catch_up(job.shift)
        self.drained += moved
        begin = start + job.shift
        timing = self.timing(work, lag)
        self.commit(job, begin, self._busy(work))
        if begin > self.ledger.until and job.waits:
            self.book(job, min(self.drained, begin), "drain", self.last_layer)
            self.book_wait(job, max(job.waits, key=lambda wait: wait[0].seen(job.shift)), begin)
        self.book(job, begin, "fill")
        for cause, amount in (
            ("fill", timing.first),
            ("compute", timing.computing),
            ("drain", timing.adding),
            ("wait_port", self._busy(work, lag) - timing.first - timing.computing - timing.adding),
        ):
            self.book(job, self.ledger.until + amount, cause)
        self.drained, self.last_layer = begin + self._last(work, lag), job.layer

    def rename(self, first: int, by: int) -> None:
        """Let a drain that is left belong to layers `by` further."""
        self.last_layer += by if self.last_layer >= first else 0

    def close(self, end: int, shift: int) -> None:
        """Book the last drain, then idle."""
        self.drained += self.catch_up(shift)
        self.ledger.advance(min(self.drained, end), self.last_layer, "drain")
        super().close(end, shift)


def port_cycles(ports: Ports, work: PassWork) -> int:
    """Return the least cycles in which the narrowest buffer port moves what a pass reads and writes."""
    return max((-(-size // port.bandwidth) for port, size in ports.demands(work.moves)), default=0)


def _converted(timing: PassTiming, pace: Fraction | int) -> PassTiming:
    """Return a timing in cycles of the chip: a pass as a whole is rounded up, its parts down."""
    first, computing, adding = (int(part * pace) for part in (timing.first, timing.computing, timing.adding))
    return PassTiming(first, ceil(timing.busy * pace), computing, adding, ceil(timing.end * pace))


def _work(step: Step) -> PassWork:
    assert isinstance(step, Compute) and isinstance(step.work, PassWork)  # the engine sends nothing else
    return step.work
