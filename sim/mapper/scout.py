"""What a plan takes alone where no two units ever want the same port: times carried along, no events.

Every order is static, so that a job starts as soon as its unit and all that it waits for are there: times are max-plus
functions of the durations. Where no port is shared this is what the engine finds; where one is, jobs only take longer
than supposed here, and the cycles found are a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sim.arch import Arch
from sim.engine import Engine
from sim.frontend import LOOKAHEAD, FrontEnd, Stage
from sim.hardware.array import ArrayUnit
from sim.hardware.buffers import Buffers
from sim.hardware.repeats import Mark, left
from sim.hardware.unit import Wait
from sim.mapper.queues import ArrayQueue, Moment, Queue, Task
from sim.plan import START, Loop, Node, Step, steps


class Scout:
    """Runs the plans of one chip, one after the other, each alone."""

    def __init__(self, arch: Arch) -> None:
        self.arch, self.engine = arch, Engine(arch)
        units = self.engine.units.items()
        self.queues = {n: ArrayQueue(u) if isinstance(u, ArrayUnit) else Queue(u) for n, u in units}  # type: ignore[arg-type]
        self.exact = False
        """Whether the last plan shares no port, so that its cycles are those that the engine finds."""

    def run(self, stage: Stage, limit: int | None = None) -> int:
        """Return the cycles of a plan alone, or a lower bound of them (see `exact`); TooSlow beyond `limit`."""
        body = list(steps(stage.plan.body))
        ports = self.engine.ports
        ports.watch(step for step, _ in body)
        self.exact = not any(port.shared for port in ports.by_operand.values())
        for port in ports.by_operand.values():
            port.shared = False
        self.buffers = Buffers(self.arch)
        self.front = FrontEnd(self.arch, self, self.buffers)  # type: ignore[arg-type]
        self.tasks: list[Task] = []
        self.known = 0
        """How many tasks at the beginning have known times."""
        self.skips: list[tuple[int, int, dict[Queue, int]]] = []
        """Where iterations were skipped: behind which task, how many cycles, how much work by queue."""
        self._reset(body, limit)
        try:
            self.front.begin(0, stage)
            self._nodes(stage.plan.body)
            self.front.finish()
            self.front.flush()
            return max((task.end for task in self.tasks), default=0)
        finally:  # what holds each other would stay until the garbage collector comes
            del self.front
            self.tasks = []

    def _reset(self, body: list[tuple[Step, int]], limit: int | None) -> None:
        for queue in self.queues.values():
            queue.reset()
        costs: dict[str, list[tuple[int, int, int]]] = {}
        for step, times in body if limit is not None else ():
            name = self.front.unit_of(step)
            if name:
                costs.setdefault(name, []).append((*self.queues[name].cost(step), times))
        for name, mine in costs.items():
            assert limit is not None
            latest = limit - sum(busy * times for busy, _, times in mine)
            self.queues[name].deadline = latest - min(late for _, late, _ in mine)

    def job(self, step: Step, layer: int, waits: list[Wait]) -> Task:
        """Return a new task."""
        task = Task(step, cast(list[tuple[Moment, str]], waits))  # the front end knows no other signals
        self.tasks.append(task)
        return task

    def submit(self, unit: str, job: Task) -> None:
        """Put a task into the queue of a unit."""
        self.queues[unit].submit(job)

    def _nodes(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, Loop):
                self._loop(node)
            else:
                self.front.step(node, START)

    def _loop(self, loop: Loop) -> None:
        """Run the iterations until they repeat with one shift; skip the rest."""
        if loop.count < LOOKAHEAD + 2:  # never settled with one more to come
            for _ in range(loop.count):
                self._nodes(loop.body)
            return
        begins: list[tuple[int, int]] = []
        marks: list[Mark] = []
        seen: list[Signature] = []
        settled, work, remaining = 0, self.front.work, loop.count
        while remaining:
            begins.append((len(self.tasks), len(self.skips)))
            self._nodes(loop.body)
            remaining -= 1
            if len(begins) == 1:
                settled = self.front.reach(self.front.work - work)
            if not remaining or loop.count < settled + 2:  # one more than must agree with the one before it
                continue
            marks.append(left(self.front))
            self._learn()
            while len(seen) < len(begins) and self._end(begins, len(seen)) <= self.known:
                seen.append(self._signature(begins, len(seen)))
            cycle = _cycle(seen, settled)
            if cycle and remaining >= cycle and _alike(marks[len(seen) - cycle - 1 :], cycle):
                period = seen[-1].base - seen[-1 - cycle].base
                self._skip(begins, len(seen), (settled, cycle), remaining // cycle, period)
                seen, begins, marks, remaining = [], [], [], remaining % cycle

    def _learn(self) -> None:
        tasks = self.tasks
        while self.known < len(tasks) and tasks[self.known].done.at is not None:
            self.known += 1

    def _end(self, begins: list[tuple[int, int]], index: int) -> int:
        return begins[index + 1][0] if index + 1 < len(begins) else len(self.tasks)

    def _signature(self, begins: list[tuple[int, int]], index: int) -> Signature:
        """Return the times of an iteration from its first start on."""
        tasks = self.tasks[begins[index][0] : self._end(begins, index)]
        base = tasks[0].start if tasks else 0
        times = [(id(t.step), t.start - base, t.end - base, t.released.known - base) for t in tasks]
        return Signature(base, times, [period for _, period, _ in self._skips(begins, index)])

    def _skips(self, begins: list[tuple[int, int]], index: int) -> list[tuple[int, int, dict[Queue, int]]]:
        last = begins[index + 1][1] if index + 1 < len(begins) else len(self.skips)
        return self.skips[begins[index][1] : last]

    def _skip(
        self, begins: list[tuple[int, int]], known: int, alike: tuple[int, int], times: int, period: int
    ) -> None:
        """Move on by iterations like the last `known` ones: those still under way stand for the last of the loop."""
        settled, cycle = alike
        work: dict[Queue, int] = {}
        for task in self.tasks[begins[known - cycle][0] : self._end(begins, known - 1)]:
            assert task.queue is not None  # it has run
            work[task.queue] = work.get(task.queue, 0) + task.work * times
        by, used = period * times, list(work)
        for index in range(known - cycle, known):
            for _, _, more in self._skips(begins, index):
                for queue, amount in more.items():
                    work[queue] = work.get(queue, 0) + amount * times
        for task in self.tasks[begins[known - settled - cycle][0] :]:
            if task.done.at is not None and task.released.at is not None:
                task.start, task.end = task.start + by, task.end + by
                task.done.at = task.done.known = task.end
                task.released.at = task.released.known = task.released.at + by
            if task.queue is not None:
                task.before += work.get(task.queue, 0)
        for queue in used:
            queue.shift(by)
            queue.work += work[queue]
        self.skips.append((len(self.tasks), by, work))


class Signature:
    """The times of an iteration relative to its first start, and what was skipped in it."""

    __slots__ = ("base", "skipped", "times")

    def __init__(self, base: int, times: list[tuple[int, int, int, int]], skipped: list[int]) -> None:
        self.base, self.times, self.skipped = base, times, skipped

    def alike(self, other: Signature) -> bool:
        """Tell whether the times of another iteration are the same from its first start on."""
        return self.times == other.times != [] and self.skipped == other.skipped


def _alike(marks: Sequence[Mark], cycle: int) -> bool:
    """Tell whether buffers and queues were left alike each `cycle` iterations: later ones find as much room."""
    return all(a == b for a, b in zip(marks, marks[cycle:], strict=False))


def _cycle(seen: Sequence[Signature], settled: int) -> int:
    """Return in which cycle the last iterations repeat, `settled` of them: each, or each second; 0 where they do not.

    An odd number of tiles takes two slots in turn, so that only each second iteration finds them alike.
    """
    for cycle in (1, 2):
        if len(seen) < settled + cycle:
            return 0
        pairs = list(zip(seen[-settled - cycle :], seen[-settled:], strict=False))
        period = seen[-1].base - seen[-1 - cycle].base
        if all(b.base - a.base == period and a.alike(b) for a, b in reversed(pairs)):
            return cycle
    return 0
