"""The engine: plans dispatched into the queues of the units, settled loops skipped, deadlock explained.

The front end turns the steps of the plans into jobs, in program order and in no time. The units run
decoupled, each through its own queue. Every order is static. So a loop whose iterations repeat with one shift
repeats for good, and where no buffer port is shared times are max-plus functions of the durations: nothing
that gets faster can make the whole slower.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any

import simpy

from sim import collector
from sim.arch import Arch, Dram, Systolic, Vector
from sim.dataflow import DATAFLOWS
from sim.errors import DeadlockError
from sim.frontend import FrontEnd, Stage
from sim.hardware.array import ArrayUnit
from sim.hardware.buffers import Buffers
from sim.hardware.dram import DramUnit
from sim.hardware.loops import book_skipped, period_of
from sim.hardware.movers import ChannelUnit, LinkUnit, TierUnit, VectorUnit
from sim.hardware.passes import PassUnit
from sim.hardware.ports import Ports
from sim.hardware.repeats import Blocks, Mark, book_blocks, left, rename, repeating
from sim.hardware.unit import Iteration, Job, Signal, Unit, Wait
from sim.layout import Geometry, Placement
from sim.plan import START, Loop, Node, Position, Step, steps
from sim.tiers import Fetching, Schedule
from sim.timeline import Timeline

AHEAD = 3
"""Iterations dispatched ahead of the last that all units have left: more than LOOKAHEAD, the most that anything
can start early; one less where an iteration has several work steps."""

AHEAD_BLOCKS = 2
"""Blocks of layers dispatched ahead: more than LOOKAHEAD tiles, as each has several."""
SETTLED = 3
"""Complete blocks that must agree, and what all dispatched since left in the buffers."""


class Engine:
    """One run of stages on a chip. `run` returns the Timeline; use a new Engine for each run.

    With `record` the ledgers of the units keep their cycles in order of time too, for pictures. `tiers` says what is
    fetched from slower memories.
    """

    def __init__(
        self, arch: Arch, fast_forward: bool = True, record: bool = False, tiers: Schedule | None = None
    ) -> None:
        self.arch, self.fast_forward, self.tiers = arch, fast_forward, tiers
        self.env = simpy.Environment()
        self.ports = Ports(arch)
        self.units = self.build()
        for unit in self.units.values() if record else ():
            unit.ledger.slices = []
        self.drams = {name: unit for name, unit in self.units.items() if isinstance(unit, DramUnit)}
        self.buffers = Buffers(arch)
        for occupancy in self.buffers.occupancy.values() if record else ():
            occupancy.clock = self.in_run
        self.repeats: list[tuple[int, int, int]] = []
        self.outstanding: deque[Job] = deque()
        self.iteration: Iteration | None = None
        self.shift = self.sequence = self.end = 0
        self.spans: dict[int, tuple[int, int]] = {}
        self.late: dict[int, tuple[int, int]] = {}
        """Layers whose jobs began before blocks were skipped: the shift since then, and by how much they are later."""
        self.dispatched = False
        self.all_done = self.env.event()
        self.front = FrontEnd(arch, self, self.buffers)

    def build(self) -> dict[str, Unit]:
        """Return the units of the chip, each with its queue, by name."""
        env, arch, ports = self.env, self.arch, self.ports
        units: dict[str, Unit] = {}
        for name, unit in arch.units.items():
            if isinstance(unit, Systolic):
                timed = PassUnit if DATAFLOWS[unit.dataflow].passes else ArrayUnit
                units[name] = timed(env, name, self, unit, ports, unit.pace(arch.clock))
            elif isinstance(unit, Vector):
                units[name] = VectorUnit(env, name, self, unit, ports, unit.pace(arch.clock))
        if arch.link is not None and arch.array is not None and arch.array.count > 1:
            units["link"] = LinkUnit(env, "link", self, arch.link)
        for name, tier in arch.tiers.items() if self.tiers else ():
            units[name] = TierUnit(env, name, self, tier, arch.clock)
        if isinstance(arch.memory, Dram):
            units["dram"] = DramUnit(env, "dram", self, arch, ports)
        elif arch.bounded:
            units["dram"] = ChannelUnit(env, "dram", self, arch, ports)
        return units

    def run(self, stages: Sequence[Stage], limit: int | None = None) -> Timeline:
        """Run all stages; DeadlockError with who waits on what where they cannot end.

        With a `limit` the run is given up (TooSlow) as soon as it cannot end by that cycle any more.
        """
        self.ports.watch(step for stage in stages for step, _ in steps(stage.plan.body))
        if limit is not None:
            self._set_deadlines(stages, limit)
        self._place(stages)
        if self.tiers is not None:
            self.front.behind = Fetching(self.front, self.tiers, len(stages) - 1)
        self.env.process(self._dispatch(stages))
        try:
            with collector.paused():
                self.env.run(until=self.all_done)
        except RuntimeError as error:
            if not str(error).startswith("No scheduled events left"):  # simpy's words where nothing can move
                raise
            raise DeadlockError(self._waiting()) from None
        for unit in self.units.values():
            unit.close(self.end, self.shift)
        ledgers = {name: unit.ledger for name, unit in self.units.items()}
        layers = max((stage.layer for stage in stages), default=-1) + 1
        spans = [self.spans.get(layer, (0, 0)) for layer in range(layers)]
        peaks = self.buffers.peaks()
        dram = {name: unit.activity(self.end) for name, unit in self.drams.items()}
        levels = {name: occupancy.samples for name, occupancy in self.buffers.occupancy.items() if occupancy.clock}
        return Timeline(self.end, ledgers, spans, peaks, dram, levels, self.repeats)

    def cycle(self) -> int:
        """Return the cycle of the run, skipped iterations included."""
        return self.in_run(int(self.env.now))

    def in_run(self, moment: int) -> int:
        """Return which cycle of the run a moment is."""
        return moment + self.shift

    def _place(self, stages: Sequence[Stage]) -> None:
        """Give every tensor its place where memory is DRAM; loops are not skipped there: every transfer is its own."""
        memory = self.arch.memory
        if isinstance(memory, Dram):
            device, layout = memory.open(), memory.layout
            layouts = {"weight": layout.weight, "input": layout.activation, "output": layout.activation}
            geometry = Geometry(device.burst, device.capacity, layouts, layout.tensors, self.arch)
            self.front.addresses = Placement(geometry, stages, self.tiers)
            unit = self.units["dram"]
            assert isinstance(unit, DramUnit)  # made for this memory
            unit.expect(stages)
            self.fast_forward = False

    def _set_deadlines(self, stages: Sequence[Stage], limit: int) -> None:
        mine: dict[str, list[tuple[Step, int]]] = {}
        for stage in stages:
            for step, times in steps(stage.plan.body):
                mine.setdefault(self.front.unit_of(step), []).append((step, times))
        for name, work in mine.items():
            if name:
                self.units[name].must_end_by(limit, work)

    def _waiting(self) -> list[str]:
        blocked = [(n, u.current, u.blocked_on) for n, u in self.units.items() if u.current is not None]
        return [f"{name}: {type(job.step).__name__} {cause or 'busy'}" for name, job, cause in blocked]

    def _dispatch(self, stages: Sequence[Stage]) -> Generator[simpy.Event, Any, None]:
        index = 0
        for blocks in repeating(stages) if self._skips_blocks else ():
            yield from self._some(stages, index, blocks.start)
            yield from self._blocks(stages, blocks)
            index = blocks.end
        yield from self._some(stages, index, len(stages))
        self.front.flush()
        self.dispatched = True
        if not self.outstanding:
            self.all_done.succeed()

    @property
    def _skips_blocks(self) -> bool:
        """Whether equal blocks of the network may be skipped: a record shows each, and tiers treat none as another."""
        recorded = any(unit.ledger.slices is not None for unit in self.units.values())
        return self.fast_forward and not recorded and self.tiers is None

    def _some(self, stages: Sequence[Stage], start: int, end: int) -> Generator[simpy.Event, Any, None]:
        """Dispatch the stages [start, end)."""
        for index in range(start, end):
            self.front.begin(index, stages[index])
            yield from self._nodes(stages[index].plan.body, START)
            self.front.finish()

    def _blocks(self, stages: Sequence[Stage], blocks: Blocks) -> Generator[simpy.Event, Any, None]:
        """Dispatch equal blocks, two ahead of the last that all units have left, until they repeat; skip the rest."""
        iterations, marks = deque[Iteration](), deque[Mark](maxlen=SETTLED + AHEAD_BLOCKS)
        for done in range(1, blocks.count + 1):
            self.iteration = Iteration(None, self.sequence)
            iterations.append(self.iteration)
            yield from self._some(stages, blocks.start + (done - 1) * blocks.size, blocks.start + done * blocks.size)
            self.iteration = None
            marks.append(left(self.front))
            if done > AHEAD_BLOCKS:
                yield from self._left(iterations[-AHEAD_BLOCKS - 1])
            if all(mark == marks[0] for mark in marks) and self._skip_blocks(stages, blocks, done, iterations):
                return
            if len(iterations) > SETTLED + AHEAD_BLOCKS:
                iterations.popleft()

    def _skip_blocks(self, stages: Sequence[Stage], blocks: Blocks, done: int, iterations: deque[Iteration]) -> bool:
        """Skip the blocks behind the first `done` if those that are complete repeat; return whether they do.

        As `_skip`, but every block has layers of its own: what those that are skipped do is booked there, and those
        under way become the last ones.
        """
        complete = next((i for i, iteration in enumerate(iterations) if iteration.pending), len(iterations))
        seen, remaining = list(iterations)[max(0, complete - SETTLED) : complete], blocks.count - done
        if len(seen) < SETTLED or not remaining or self.outstanding[0].sequence < seen[0].first:
            return False
        period = period_of(seen, blocks.layers)
        if period is None:
            return False
        jump, layers = period * remaining, blocks.layers
        self.shift += jump
        under_way = list(iterations)[complete:]
        first = stages[blocks.start].layer + (done - len(under_way)) * layers
        for unit in self.units.values():
            unit.rename(first - layers, layers * remaining)
        for iteration in under_way:
            rename(self.units, iteration, layers * remaining)
        book_blocks(self.units, seen[-1], remaining, layers)
        for name in {job.unit for job in seen[-1].jobs}:
            self.units[name].jumps.append((self.shift, jump))
        self._span_blocks(first, len(under_way), remaining, period, layers)
        for job in (job for iteration in iterations for job in iteration.jobs):
            job.done.shift += jump
            job.released.shift += jump
        for _, job in self.front.pending:
            job.shift = self.shift
        for job in (job for iteration in under_way for job in iteration.jobs if job.done.fired):
            self._reach(job)
        self._name_tensors(stages, blocks, done, len(iterations), remaining)
        return True

    def _span_blocks(self, first: int, under_way: int, remaining: int, period: int, layers: int) -> None:
        """Note the spans of the blocks that are skipped; those under way, from layer `first` on, span anew."""
        for layer in range(first, first + under_way * layers):
            self.spans.pop(layer, None)
            self.late[layer + remaining * layers] = self.shift, period * remaining
        for layer in range(first - layers, first):
            if layer in self.spans:
                start, end = self.spans[layer]
                for number in range(1, remaining + 1):
                    self.spans[layer + number * layers] = start + number * period, end + number * period

    def _name_tensors(self, stages: Sequence[Stage], blocks: Blocks, done: int, kept: int, remaining: int) -> None:
        """Let what the last blocks complete be what the last ones of all complete."""
        named = dict[str, list[Signal]]()
        for index in range(blocks.start + (done - kept) * blocks.size, blocks.start + done * blocks.size):
            last = stages[index + remaining * blocks.size]
            for here, there in zip(stages[index].completes, last.completes, strict=True):
                named[there] = self.front.tensors[here]
        self.front.tensors |= named

    def _nodes(self, nodes: Sequence[Node], at: Position) -> Generator[simpy.Event, Any, None]:
        for node in nodes:
            if not isinstance(node, Loop):
                self.front.step(node, at)
            elif node.count == 1:
                yield from self._nodes(node.body, self._at(node, 0, at))
            else:
                yield from self._loop(node, at)

    def _at(self, loop: Loop, index: int, around: Position) -> Position:
        """Return the position of an iteration, where anything asks for it."""
        asked = self.front.addresses is not None or self.front.behind is not None
        return loop.at(index, around) if asked else around

    def _loop(self, loop: Loop, around: Position) -> Generator[simpy.Event, Any, None]:
        """Dispatch the iterations, few ahead of those that the units have left, until they repeat; skip the rest."""
        ahead = AHEAD + self.front.stage.plan.ahead
        if loop.count <= ahead:
            for index in range(loop.count):
                yield from self._nodes(loop.body, self._at(loop, index, around))
            return
        iterations: deque[Iteration] = deque()
        work, settled, first = self.front.work, 0, self.sequence
        skips = self.fast_forward and not (self.front.behind and self.front.behind.varies(self.front.index, loop))
        for done in range(1, loop.count + 1):
            iterations.append(Iteration(self.iteration, self.sequence, left(self.front) if skips else None))
            self.iteration = iterations[-1]
            yield from self._nodes(loop.body, self._at(loop, done - 1, around))
            self.iteration = iterations[-1].parent
            if done == 1:
                work = self.front.work - work
                settled, ahead = self.front.reach(0 if self.drams else work), ahead - (work > 1 and ahead == AHEAD)
                skips = skips and loop.count > settled + ahead  # fewer have hardly settled before they end
            if len(iterations) > ahead:
                yield from self._left(iterations[-ahead - 1])
                if skips and self._skip(loop, iterations, settled, loop.count - done, first):
                    return

    def _left(self, iteration: Iteration) -> Generator[simpy.Event, Any, None]:
        """Wait until no unit works on an iteration any more; results may still be on their way.

        Where memory is ideal no buffer holds an array back from running away from slower lanes: there it is enough
        that one unit works on it no more, as its queue must not run dry.
        """
        while iteration.held and (self.arch.bounded or iteration.keeps_all):
            iteration.left = self.env.event()
            yield iteration.left

    def _skip(self, loop: Loop, iterations: deque[Iteration], settled: int, remaining: int, first: int) -> bool:
        """Skip the remaining iterations if `settled` of those that are complete repeat; return whether they do.

        `first` is the number of the loop's first job: jobs before it may have been queued among those of the loop.
        It is exact: the cycles of each unit are booked, and all that follows is shifted. The iterations still
        on their way stand for the last ones of the loop.
        """
        complete = next((i for i, iteration in enumerate(iterations) if iteration.pending), len(iterations))
        for _ in range(complete - settled - 1):
            iterations.popleft()
        seen = list(islice(iterations, settled + 1))
        if complete <= settled or self.outstanding[0].sequence < seen[0].first or not remaining:
            return False
        period = period_of(seen)
        if period is None or self.front.strays(first, seen[0].first, seen[0].jobs):
            return False
        mark = left(self.front)
        if any(iteration.mark != mark for iteration in islice(iterations, settled, None)):
            return False  # the last that is complete found other room than those to come
        self.buffers.settle(self.env.now)
        self.repeats.append((self.cycle(), self.cycle() + period * remaining, period))
        self.shift += period * remaining
        book_skipped(self.units, seen[-1], remaining, self.shift, period)
        for job in (job for iteration in iterations for job in iteration.jobs):
            job.at = job.at | {loop.dim: job.at[loop.dim] + remaining * loop.size} if job.at else job.at
            job.done.shift = job.released.shift = self.shift
            if job.done.fired:
                self._reach(job)
        for _, job in self.front.pending:
            job.shift = self.shift  # it will be queued behind what follows the loop
        for *_, job in self.front.delayed:
            job.shift = self.shift
        return True

    def submit(self, unit: str, job: Job) -> None:
        """Put a job into the queue of a unit."""
        self.units[unit].submit(job)

    def job(self, step: Step, layer: int, waits: list[Wait]) -> Job:
        """Return a new job, booked as outstanding."""
        iterations = [self.iteration, *self.iteration.around] if self.iteration else []
        job = Job(step, layer, waits, self.shift, self.sequence, iterations)
        self.sequence += 1
        self.outstanding.append(job)
        for iteration in iterations:
            iteration.jobs.append(job)
            iteration.pending += 1
            iteration.held += 1
        return job

    def _reach(self, job: Job) -> None:
        end = job.end + job.done.shift
        start = job.start + job.shift
        if job.layer in self.late:
            shift, jump = self.late[job.layer]
            start += jump if job.shift < shift else 0
        first, last = self.spans.get(job.layer, (start, end))
        self.spans[job.layer] = (min(first, start), max(last, end))
        self.end = max(self.end, end)

    def released(self, job: Job) -> None:
        """Note that a job holds its unit and operands no longer."""
        for iteration in job.iterations:
            iteration.held -= 1
            if iteration.left is not None and (not iteration.held or not self.arch.bounded):
                iteration.left.succeed()
                iteration.left = None

    def finished(self, job: Job) -> None:
        """Note that the result of a job is there."""
        self._reach(job)
        for iteration in job.iterations:
            iteration.pending -= 1
        if job.released.fired:
            job.iterations = []  # they hold the job: without the cycle both go as soon as their loop has ended
        while self.outstanding and self.outstanding[0].done.fired:
            self.outstanding.popleft()
        if self.dispatched and not self.outstanding:
            self.all_done.succeed()
