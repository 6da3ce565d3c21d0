"""What all timed units share: jobs in a queue, served in order, signals between them, and their ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.plan import Position, Step
from sim.timeline import Ledger

Wait = tuple["Signal", str]
"""A signal, and the cause under which waiting for it is booked."""


class Signal:
    """Something that happens once. `shift` moves its time where the engine has skipped loop iterations."""

    __slots__ = ("_then", "dependency_until", "fired", "held_up", "shift", "tier_until", "time")

    def __init__(self, shift: int = 0) -> None:
        self.fired = False
        self.time = 0
        self.shift = shift
        self.dependency_until = self.tier_until = self.held_up = 0
        self._then: list[Callable[[], object]] | None = None

    def fire(self, now: int) -> None:
        """Let it happen now."""
        self.fired, self.time = True, now
        if self._then is not None:
            calls, self._then = self._then, None  # who called holds this: neither outlives its use without the cycle
            for call in calls:
                call()

    def then(self, call: Callable[[], object]) -> None:
        """Call back when it happens, at once if it has."""
        if self.fired:
            call()
        elif self._then is None:
            self._then = [call]
        else:
            self._then.append(call)

    def seen(self, shift: int) -> int:
        """Return its time as a job with `shift` sees it."""
        return self.time + min(self.shift, shift)


class Iteration:
    """The jobs of one iteration of a loop, so that it can be told when iterations repeat.

    `mark` says how it found buffers and queues (see `sim.hardware.repeats.left`).
    """

    __slots__ = ("around", "first", "held", "jobs", "left", "mark", "parent", "pending", "skipped", "worked")

    def __init__(self, parent: Iteration | None, first: int, mark: object = None) -> None:
        self.parent, self.first, self.mark = parent, first, mark
        self.around: list[Iteration] = [parent, *parent.around] if parent else []
        self.jobs: list[Job] = []
        self.skipped: list[tuple[str, int, str, int]] = []
        self.worked: list[tuple[str, int]] = []
        self.pending = self.held = 0
        """Jobs that are not done, and jobs that still hold their unit or their operands."""
        self.left: simpy.Event | None = None

    @property
    def keeps_all(self) -> bool:
        """Whether none of its units has let go of all its jobs yet."""
        return {job.unit for job in self.jobs} == {job.unit for job in self.jobs if not job.released.fired}


class Job:
    """One step on one unit: what it waits for, when it started, ended and let go of its operands."""

    __slots__ = (
        "at",
        "booked",
        "done",
        "end",
        "iterations",
        "layer",
        "on_start",
        "released",
        "sequence",
        "shift",
        "start",
        "step",
        "stream",
        "unit",
        "waits",
        "work",
    )  # fmt: skip

    def __init__(
        self, step: Step, layer: int, waits: list[Wait], shift: int, sequence: int, iterations: list[Iteration]
    ) -> None:
        self.step, self.layer, self.waits, self.shift = step, layer, waits, shift
        self.sequence, self.iterations = sequence, iterations
        self.done, self.released = Signal(shift), Signal(shift)
        self.start = self.end = self.work = 0
        self.unit = ""
        self.booked: list[tuple[str, int, int]] = []
        """Cause, cycles, and how many layers before its own they belong to."""
        self.on_start: Callable[[Job, int], None] | None = None
        """Told of it when it starts (on an array: streams), and in which cycle of the run."""
        self.stream: Callable[[Position], NDArray[np.int64]] | None = None
        self.at: Position = {}
        """Where the loops around it stand, and from that the addresses of a transfer; for memory that asks for them."""


class TooSlow(Exception):
    """The run cannot end before its limit any more."""


class Watcher(Protocol):
    """Who wants to know of every job when it lets go of its unit and operands, and when its result is there."""

    def released(self, job: Job) -> None:
        """The job holds its unit and operands no longer."""

    def finished(self, job: Job) -> None:
        """The job's result is there."""


class Unit:
    """A queue of jobs, served in order. Subclasses say in `serve` what a job takes."""

    kind = "unit"

    def __init__(self, env: simpy.Environment, name: str, engine: Watcher) -> None:
        self.env, self.name, self.engine = env, name, engine
        self.queue: deque[Job] = deque()
        self.ledger = Ledger()
        self.jumps: list[tuple[int, int]] = []
        self._jumped = 0
        self.current: Job | None = None
        self.blocked_on: str = ""
        self.deadline: int | None = None
        self._shift = 0
        self._wake: simpy.Event | None = None
        env.process(self._run())

    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        job.unit = self.name
        self.queue.append(job)
        if self._wake is not None:
            self._wake.succeed()
            self._wake = None

    def serve(self, job: Job) -> Generator[simpy.Event, Any, None]:
        """Take a job from its start to the moment at which the next one may begin."""
        raise NotImplementedError

    def least(self, step: Step) -> tuple[int, int]:
        """Return the cycles for which a step keeps the unit busy, and by how many its end is later (or earlier)."""
        raise NotImplementedError

    def must_end_by(self, end: int, steps: Iterable[tuple[Step, int]]) -> None:
        """Give up (TooSlow) as soon as `steps`, each so many times, cannot all end by `end`."""
        costs = [(*self.least(step), times) for step, times in steps]
        if costs:
            self.deadline = end - sum(busy * times for busy, _, times in costs) - min(late for _, late, _ in costs)

    def _run(self) -> Generator[simpy.Event, Any, None]:
        while True:
            while not self.queue:
                self._wake = self.env.event()
                yield self._wake
            self.current = job = self.queue.popleft()
            yield from self.serve(job)
            self.current = None

    def wait(self, waits: list[Wait]) -> Generator[simpy.Event, Any, None]:
        """Wait until all signals have fired, in order."""
        for signal, cause in waits:
            if not signal.fired:
                event = self.env.event()
                signal.then(event.succeed)
                self.blocked_on = cause
                yield event
        self.blocked_on = ""

    def catch_up(self, shift: int) -> int:
        """Move the ledger over iterations that the engine skipped up to `shift`; return by how much it moved."""
        if shift <= self._shift:
            return 0
        moved = 0
        while self._jumped < len(self.jumps) and self.jumps[self._jumped][0] <= shift:
            moved += self.jumps[self._jumped][1]
            self._jumped += 1
        self.ledger.skip(moved)
        self._shift = shift
        return moved

    def commit(self, job: Job, begin: int, work: int) -> None:
        """Note that a job begins that keeps the unit busy for `work` cycles.

        Raises TooSlow where what is left of the unit's work cannot be done by its deadline: the least start
        of all that is to come.
        """
        if self.deadline is not None and begin - self.ledger.work > self.deadline:
            raise TooSlow
        job.work = work
        self.ledger.work += work

    def book(self, job: Job, until: int, cause: str, layer: int | None = None) -> None:
        """Give the cycles up to `until` (seen with the job's shift) to a cause."""
        if until > self.ledger.until:
            amount = self.ledger.advance(until, job.layer if layer is None else layer, cause)
            job.booked.append((cause, amount, 0 if layer is None else job.layer - layer))

    def book_wait(self, job: Job, wait: Wait, limit: int) -> None:
        """Book the time up to `limit` to one wait, told apart where it was held up by a layer, a tier or a port."""
        signal, cause = wait
        if signal.dependency_until:
            until = min(signal.dependency_until + min(signal.shift, job.shift), limit - signal.held_up)
            self.book(job, until, "wait_dependency")
        if signal.tier_until:
            until = min(signal.tier_until + min(signal.shift, job.shift), limit - signal.held_up)
            self.book(job, until, "wait_tier")
        self.book(job, limit - signal.held_up, cause)
        self.book(job, limit, "wait_port")

    def later(self, at: int, call: Callable[[Job], None], job: Job) -> None:
        """Call back with the job at cycle `at`, at once if that is now."""
        delay = at - int(self.env.now)
        if delay <= 0:
            call(job)
            return
        timeout = self.env.timeout(delay)
        assert timeout.callbacks is not None  # a fresh timeout has them
        timeout.callbacks.append(lambda _: call(job))

    def release(self, job: Job) -> None:
        """Let the job give its unit and operands back now."""
        job.released.fire(int(self.env.now))
        self.engine.released(job)

    def finish(self, job: Job, at: int) -> None:
        """Let the job be done at cycle `at`."""
        self.later(at, self._end, job)

    def _end(self, job: Job) -> None:
        job.end = int(self.env.now)
        job.done.fire(job.end)
        self.engine.finished(job)

    def rename(self, first: int, by: int) -> None:
        """Let what is still to be booked on layer `first`, or one behind it, be booked `by` layers further."""

    def close(self, end: int, shift: int) -> None:
        """Book the rest of the run as idle."""
        self.catch_up(shift)
        self.ledger.advance(end, -1, "idle")
