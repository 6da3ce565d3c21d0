"""Queues that carry time: when the jobs of a unit start and end, worked out as soon as what they wait for is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sim.hardware.array import ArrayUnit
from sim.hardware.folds import TileTiming
from sim.hardware.movers import Mover
from sim.hardware.unit import Signal, TooSlow
from sim.plan import Process, Step, moves_of


class Moment(Signal):
    """When something happens, `at`, as soon as that is known; queues that cannot go on before are told.

    It never counts as fired: what is known may be still to come.
    """

    __slots__ = ("at", "known", "waiting")

    def __init__(self) -> None:
        self.fired = False
        self.at: int | None = None
        self.known = 0
        """The same time, for who has seen that it is known."""
        self.waiting: list[Queue] = []

    def set(self, at: int) -> None:
        """Let its time be known."""
        self.at = self.known = at
        for queue in self.waiting:
            queue.advance()

    def then(self, call: Callable[[], object]) -> None:
        """Call nobody back: who asks is told the time."""


class Task:
    """One step on one unit, with its times once they are known; `before` is the unit's work before it."""

    __slots__ = ("before", "done", "end", "on_start", "queue", "released", "start", "step", "waits", "work")

    def __init__(self, step: Step, waits: Sequence[tuple[Moment, str]]) -> None:
        self.step, self.waits = step, waits
        self.done, self.released = Moment(), Moment()
        self.start = self.end = self.work = self.before = 0
        self.queue: Queue | None = None
        self.on_start: Callable[[Task, int], None] | None = None


class Queue:
    """The jobs of a unit that takes each for a known number of cycles."""

    def __init__(self, unit: Mover) -> None:
        self.unit = unit
        self.known: dict[object, tuple[int, int]] = {}
        self.reset()

    def reset(self) -> None:
        """Start anew, before any step of the next plan is asked for: it may be where one of the last plan was."""
        self.costs: dict[int, tuple[int, int]] = {}
        self.tasks: deque[Task] = deque()
        self.now = self.work = 0
        self.deadline: int | None = None
        self.blocked = False

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles of a step with its ports to itself, and the latency behind them."""
        found = self.costs.get(id(step))  # the plan outlives the run
        if found is None:
            key = _key(step)
            if key not in self.known:
                self.known[key] = self._measure(step)
            found = self.costs[id(step)] = self.known[key]
        return found

    def _measure(self, step: Step) -> tuple[int, int]:
        cycles, latency = self.unit.cost(step)
        ports = self.unit.ports
        for port, size in ports.demands(moves_of(step)) if ports else ():
            cycles = max(cycles, -(-size // port.bandwidth))
        return cycles, latency

    def submit(self, task: Task) -> None:
        """Put a task at the end of the queue."""
        task.queue, task.before = self, self.work
        task.work = self.cost(task.step)[0]
        self.work += task.work
        self.tasks.append(task)
        if not self.blocked:
            self._go()

    def advance(self) -> None:
        """Go on, as what the first task waited for is known now."""
        self.blocked = False
        self._go()

    def _go(self) -> None:
        tasks = self.tasks
        while tasks and not self.blocked:
            task = tasks[0]
            for moment, _ in task.waits:
                if moment.at is None:
                    moment.waiting.append(self)
                    self.blocked = True
                    return
            tasks.popleft()
            self.serve(task)

    def begin(self, task: Task, at: int) -> None:
        """Note the start of a task; TooSlow where what is left cannot end by the deadline."""
        task.start = at
        if self.deadline is not None and at - task.before > self.deadline:
            raise TooSlow

    def serve(self, task: Task) -> None:
        """Work out the times of a task."""
        at = self.now
        for moment, _ in task.waits:
            if moment.known > at:
                at = moment.known
        self.begin(task, at)
        busy, latency = self.cost(task.step)
        self.now = at + busy
        task.end = self.now + latency
        task.released.set(self.now)
        task.done.set(task.end)

    def shift(self, by: int) -> None:
        """Move on by skipped iterations."""
        self.now += by


class ArrayQueue(Queue):
    """The tiles of a systolic array: as ArrayUnit serves them."""

    unit: ArrayUnit  # type: ignore[assignment]

    def reset(self) -> None:
        """Start anew."""
        super().reset()
        self.timings: dict[int, TileTiming] = {}
        self.unit.load_from = self.unit.stream_from = self.unit.streaming_until = 0
        self.unit.before = None

    def cost(self, step: Step) -> tuple[int, int]:
        """Return the cycles of the folds of a tile, and how much later they end."""
        found = self.costs.get(id(step))
        if found is None:
            found = self.costs[id(step)] = self.unit.least(step)
            self.timings[id(step)] = self.unit.timing(step.work)  # type: ignore[union-attr, arg-type]
        return found

    def serve(self, task: Task) -> None:
        """Work out when a tile is loaded and streams."""
        unit, timing = self.unit, self.timings[id(task.step)]
        now = rest = self.now
        for moment, cause in task.waits:
            if cause == unit.stationary:
                now = max(now, moment.known)
            else:
                rest = max(rest, moment.known)
        loading = max(now, unit.load_from)
        stream = max(rest, loading + unit.load(timing, loading), unit.stream_from)
        last = stream + task.work - timing.interval
        unit.stream(timing, stream, last)
        unit.load_from, unit.stream_from = last + timing.after_load, last + timing.after_stream
        self.begin(task, stream)
        task.start = loading if timing.load else stream
        self.now = last
        task.end = last + timing.tail
        task.released.set(unit.streaming_until)
        task.done.set(task.end)

    def shift(self, by: int) -> None:
        """Move on by skipped iterations."""
        super().shift(by)
        self.unit.load_from += by
        self.unit.stream_from += by
        self.unit.streaming_until += by


def _key(step: Step) -> object:
    """Return what the cycles of a step depend on."""
    if isinstance(step, Process):
        return step.cycles, step.moves
    return type(step), getattr(step, "operand", ""), step.bytes  # type: ignore[union-attr]
