"""The engine: plans dispatched into the queues of the units, settled loops skipped, deadlock explained.

The front end walks the plans in program order, in no time, and puts every step as a job into the queue
of its unit. Jobs carry the signals that they wait for: operands on chip, slots free, sums complete. The
units run decoupled. The off-chip channel serves transfers in a static order: a load goes ahead of a
store whenever its slot is freed no later than the store's data is computed, at most LOOKAHEAD tiles
early. As every order is static, times are max-plus functions of the durations: nothing that gets faster
can make the whole slower, and a loop whose iterations repeat with one shift repeats for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import simpy

from sim.arch import Arch, Simple, Systolic, Vector
from sim.errors import DeadlockError
from sim.hardware.array import ArrayUnit
from sim.hardware.buffers import Buffers, Slot
from sim.hardware.movers import ChannelUnit, LinkUnit, VectorUnit
from sim.hardware.unit import Job, Record, Signal, Unit, Wait
from sim.plan import Broadcast, Claim, Compute, Free, Load, Loop, Node, Plan, Process, Reduce, Step, Store
from sim.plan import steps as plan_steps
from sim.timeline import Timeline

LOOKAHEAD = 2
"""Tiles by which a load may overtake the stores before it: as deep as double buffering reaches."""
AHEAD = 3
"""Iterations dispatched ahead of the last complete one: more than the LOOKAHEAD that anything can start early."""
SETTLED = 4
"""Iterations that must repeat with one shift: a job depends on jobs at most LOOKAHEAD iterations before and after."""


@dataclass(frozen=True)
class Read:
    """A tensor that a stage needs complete: its loads of `operand` wait, or the work itself where it is on chip."""

    operand: str
    tensor: str
    on_chip: bool = False


@dataclass(frozen=True)
class Stage:
    """One kernel in the run: its plan, the layer it belongs to, the tensors it waits for and the one it completes."""

    plan: Plan
    layer: int
    reads: tuple[Read, ...] = ()
    writes: str = ""


class Engine:
    """One run of stages on a chip. `run` returns the Timeline; use a new Engine for each run."""

    def __init__(self, arch: Arch, fast_forward: bool = True) -> None:
        self.arch, self.fast_forward = arch, fast_forward
        self.env = simpy.Environment()
        self.units = _units(self.env, arch, self._finished)
        self.buffers = Buffers(arch)
        self.outstanding: deque[Job] = deque()
        self.record: Record | None = None
        self.shift = self.sequence = self.end = 0
        self.spans: dict[int, tuple[int, int]] = {}
        self.dispatched = False
        self.all_done = self.env.event()
        self.front = FrontEnd(self)

    def run(self, stages: Sequence[Stage], limit: int | None = None) -> Timeline:
        """Run all stages; DeadlockError with who waits on what where they cannot end.

        With a `limit` the run is given up (TooSlow) as soon as it cannot end by that cycle any more.
        """
        if limit is not None:
            self._set_deadlines(stages, limit)
        self.env.process(self._dispatch(stages))
        try:
            self.env.run(until=self.all_done)
        except RuntimeError:
            raise DeadlockError(self._waiting()) from None
        for unit in self.units.values():
            unit.close(self.end, self.shift)
        ledgers = {name: unit.ledger for name, unit in self.units.items()}
        layers = max((stage.layer for stage in stages), default=-1) + 1
        spans = [self.spans.get(layer, (0, 0)) for layer in range(layers)]
        peaks = {name: occupancy.peak for name, occupancy in self.buffers.occupancy.items()}
        return Timeline(self.end, ledgers, spans, peaks)

    def _set_deadlines(self, stages: Sequence[Stage], limit: int) -> None:
        mine: dict[str, list[tuple[Step, int]]] = {}
        for stage in stages:
            for step, times in plan_steps(stage.plan.body):
                mine.setdefault(self.front.unit_of(step), []).append((step, times))
        for name, steps in mine.items():
            if name:
                self.units[name].must_end_by(limit, steps)

    def _waiting(self) -> list[str]:
        blocked = [(n, u.current, u.blocked_on) for n, u in self.units.items() if u.current is not None]
        return [f"{name}: {type(job.step).__name__} {cause or 'busy'}" for name, job, cause in blocked]

    def _dispatch(self, stages: Sequence[Stage]) -> Generator[simpy.Event, Any, None]:
        for index, stage in enumerate(stages):
            self.front.begin(index, stage)
            yield from self._nodes(stage.plan.body)
            self.front.finish()
        self.front.flush()
        self.dispatched = True
        if not self.outstanding:
            self.all_done.succeed()

    def _nodes(self, nodes: Sequence[Node]) -> Generator[simpy.Event, Any, None]:
        for node in nodes:
            if isinstance(node, Loop):
                yield from self._loop(node)
            else:
                self.front.step(node)

    def _loop(self, loop: Loop) -> Generator[simpy.Event, Any, None]:
        """Dispatch the iterations, AHEAD of what is complete, until they repeat; skip the rest."""
        if loop.count <= AHEAD:
            for _ in range(loop.count):
                yield from self._nodes(loop.body)
            return
        records: deque[Record] = deque(maxlen=AHEAD + SETTLED + 1)
        for done in range(1, loop.count + 1):
            records.append(Record(self.record, self.sequence))
            self.record = records[-1]
            yield from self._nodes(loop.body)
            self.record = records[-1].parent
            if len(records) > AHEAD:
                yield from self._complete(records[-AHEAD - 1])
                if self.fast_forward and done < loop.count and self._skip(list(records), loop.count - done):
                    return

    def _complete(self, record: Record) -> Generator[simpy.Event, Any, None]:
        if record.pending:
            record.complete = self.env.event()
            yield record.complete

    def _skip(self, records: list[Record], remaining: int) -> bool:
        """Skip the remaining iterations if those seen repeat; return whether they do.

        Skipped iterations are exact: each unit's cycles by cause are added, and what follows is shifted.
        """
        seen = records[: -AHEAD]
        if len(seen) <= SETTLED or self.outstanding[0].sequence < seen[0].first:
            return False
        period = _shift_between(seen[-2], seen[-1])
        if period is None or any(_shift_between(a, b) != period for a, b in pairwise(seen)):
            return False
        self.shift += period * remaining
        entries = [(j.unit, j.layer, cause, n) for j in seen[-1].jobs for cause, n in j.booked] + seen[-1].skipped
        entries = [(unit, layer, cause, amount * remaining) for unit, layer, cause, amount in entries]
        for unit, layer, cause, amount in entries:
            self.units[unit].ledger.add(layer, cause, amount)
        worked = [(j.unit, j.work * remaining) for j in seen[-1].jobs]
        worked += [(unit, work * remaining) for unit, work in seen[-1].worked]
        for unit, work in worked:
            self.units[unit].ledger.work += work
        for record in self.record.chain if self.record else []:
            record.skipped += entries
            record.worked += worked
        for name in {job.unit for job in seen[-1].jobs}:
            self.units[name].jumps.append((self.shift, period * remaining))
        for job in (job for record in records for job in record.jobs):
            job.done.shift = job.released.shift = self.shift
            if job.done.fired:
                self._reach(job)
        for _, job in self.front.pending:
            job.shift = self.shift  # it will be queued behind what follows the loop
        return True

    def submit(self, unit: str, job: Job) -> None:
        """Put a job into the queue of a unit."""
        self.units[unit].submit(job)

    def job(self, step: Step, layer: int, waits: list[Wait]) -> Job:
        """Return a new job, booked as outstanding."""
        records = self.record.chain if self.record else []
        job = Job(step, layer, waits, self.shift, self.sequence, records)
        self.sequence += 1
        self.outstanding.append(job)
        for record in records:
            record.jobs.append(job)
            record.pending += 1
        return job

    def _reach(self, job: Job) -> None:
        end = job.end + job.done.shift
        first, last = self.spans.get(job.layer, (job.start + job.shift, end))
        self.spans[job.layer] = (min(first, job.start + job.shift), max(last, end))
        self.end = max(self.end, end)

    def _finished(self, job: Job) -> None:
        self._reach(job)
        for record in job.records:
            record.pending -= 1
            if not record.pending and record.complete is not None:
                record.complete.succeed()
                record.complete = None
        while self.outstanding and self.outstanding[0].done.fired:
            self.outstanding.popleft()
        if self.dispatched and not self.outstanding:
            self.all_done.succeed()


class FrontEnd:
    """Turns the steps of the plans into jobs: which signals they wait for, and their order on the channel."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.arch = engine, engine.arch
        self.array = next((n for n, u in self.arch.units.items() if isinstance(u, Systolic)), "")
        self.vector = next((n for n, u in self.arch.units.items() if isinstance(u, Vector)), "")
        self.tensors: dict[str, list[Signal]] = {}
        self.pending: deque[tuple[int, Job]] = deque()
        self.work = self.floor = -1
        self.ends: list[Signal] = []
        self.hoisted: Load | None = None
        self.claimed: Slot | None = None

    def begin(self, index: int, stage: Stage) -> None:
        """Start a stage: find what it depends on, and load its first weights ahead of everything else."""
        self.index, self.stage, self.slots = index, stage, dict(stage.plan.slots)
        self.fresh: list[Wait] = []
        self.waits: dict[str, list[Wait]] = {"weight": [], "input": [], "parameter": []}
        for read in stage.reads:
            direct = read.on_chip or not self.arch.bounded
            into = self.fresh if direct else self.waits[read.operand]
            into += [(signal, "wait_dependency") for signal in self.tensors.get(read.tensor, ())]
        if not self.arch.prefetch:
            for into in (*self.waits.values(), *(() if self.arch.bounded else (self.fresh,))):
                into += [(signal, "wait_dependency") for signal in self.ends]
        self.chain: Signal | None = None
        self.stored: Signal | None = None
        self.worked: Job | None = None
        self.ends = []
        self.hoisted = None
        if self.arch.bounded and (first := _first_weights(stage.plan.body)):
            self._load(first)
            self.hoisted = first

    def finish(self) -> None:
        """End a stage: its output is complete with its last result and its last store."""
        self.ends = [signal for signal in (self.chain, self.stored) if signal is not None]
        if self.stage.writes:
            self.tensors[self.stage.writes] = [*self.tensors.get(self.stage.writes, ()), *self.ends]

    def step(self, step: Step) -> None:
        """Send one step on its way."""
        if isinstance(step, Load):
            self._load(step)
        elif isinstance(step, Compute | Process):
            self._work(step)
        elif isinstance(step, Store):
            self._store(step)
        elif isinstance(step, Broadcast | Reduce):
            self._link(step)
        elif isinstance(step, Claim):
            self.stored = None
            self.claimed, waits, _ = self._take("output", step.bytes)
            self.fresh += waits
        else:
            self._free(step)

    def unit_of(self, step: Step) -> str:
        """Return the unit that does a step; empty where it takes no time."""
        if isinstance(step, Load | Store):
            return "dram"
        if isinstance(step, Compute | Process):
            return self.array if isinstance(step, Compute) else self.vector
        return "link" if isinstance(step, Broadcast | Reduce) else ""

    def _take(self, operand: str, size: int) -> tuple[Slot, list[Wait], int]:
        slots = self.slots.get(operand, LOOKAHEAD)
        slot, victims = self.engine.buffers.take(operand, size, self.index, slots)
        waits: list[Wait] = [(v.release, "wait_output_space") for v in victims if v.release is not None]
        return slot, waits, max((v.freed_at for v in victims), default=-1)

    def _load(self, step: Load) -> None:
        """Queue a load, behind all stores whose data is there before the load's slot is free."""
        if step is self.hoisted:
            self.hoisted = None
            return
        waits, at = list(self.waits.get(step.operand, ())), -1
        behind_stores, slot = step.partial or bool(waits), None
        if step.operand != "parameter" and not step.partial:
            slot, space, at = self._take(step.operand, step.bytes)
            waits += space
        self.floor = max(self.floor, at, self.work - LOOKAHEAD)
        self.flush(None if behind_stores else self.floor)
        job = self.engine.job(step, self.stage.layer, waits)
        if slot is not None:
            job.on_start = lambda: self.engine.buffers.fill(slot)
        self.engine.submit(self.unit_of(step), job)
        cause = {"input": "wait_input", "output": "wait_dependency"}.get(step.operand, "wait_weight")
        self.fresh.append((job.done, cause))

    def _work(self, step: Compute | Process) -> None:
        waits, self.fresh = self.fresh, []
        if isinstance(step, Process) and self.chain is not None:
            waits = [*waits, (self.chain, "wait_dependency")]
        job = self.engine.job(step, self.stage.layer, waits)
        claimed, self.claimed = self.claimed, None
        if claimed is not None:
            job.on_start = lambda: self.engine.buffers.fill(claimed)
        self.work += 1
        self.flush(self.work - LOOKAHEAD)
        self.engine.submit(self.unit_of(step), job)
        self.chain, self.worked = job.done, job

    def _store(self, step: Store) -> None:
        waits: list[Wait] = [(self.chain, "wait_dependency")] if self.chain is not None else []
        job = self.engine.job(step, self.stage.layer, waits)
        self.pending.append((self.work, job))
        self.stored = job.done

    def flush(self, before: int | None = None) -> None:
        """Queue the stores whose data is computed before work step `before` (None: all of them)."""
        while self.pending and (before is None or self.pending[0][0] < before):
            job = self.pending.popleft()[1]
            self.engine.submit(self.unit_of(job.step), job)

    def _link(self, step: Broadcast | Reduce) -> None:
        if isinstance(step, Reduce):
            job = self.engine.job(step, self.stage.layer, [(s, "wait_dependency") for s in (self.chain,) if s])
            self.chain = job.done
        else:
            cause = "wait_input" if step.operand == "input" else "wait_weight"
            job = self.engine.job(step, self.stage.layer, self.fresh[-1:])
            self.fresh = [*self.fresh[:-1], (job.done, cause)]
        self.engine.submit(self.unit_of(step), job)

    def _free(self, step: Free) -> None:
        release = self.worked.released if self.worked else None
        if step.operand == "output":
            release = self.stored or self.chain
        if release is not None:
            self.engine.buffers.free(step.operand, self.index, release, self.work)


def _units(env: simpy.Environment, arch: Arch, finished: Any) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for name, unit in arch.units.items():
        if isinstance(unit, Systolic):
            units[name] = ArrayUnit(env, name, finished, unit)
        else:
            units[name] = VectorUnit(env, name, finished, unit)
    if arch.link is not None and arch.array is not None and arch.array.count > 1:
        units["link"] = LinkUnit(env, "link", finished, arch.link)
    if isinstance(arch.memory, Simple):
        units["dram"] = ChannelUnit(env, "dram", finished, arch)
    return units


def _first_weights(nodes: Sequence[Node]) -> Load | None:
    """Return the first load of weights that the plan will make."""
    for node in nodes:
        found = _first_weights(node.body) if isinstance(node, Loop) else node
        if isinstance(found, Load) and found.operand == "weight":
            return found
    return None


def _shift_between(earlier: Record, later: Record) -> int | None:
    """Return by how much all times of two iterations differ; None where they differ by different amounts."""
    if len(earlier.jobs) != len(later.jobs) or not later.jobs or earlier.skipped != later.skipped:
        return None
    shift = later.jobs[0].start + later.jobs[0].shift - earlier.jobs[0].start - earlier.jobs[0].shift
    for a, b in zip(earlier.jobs, later.jobs, strict=True):
        if b.step is not a.step or any(y - x != shift for x, y in zip(a.times(), b.times(), strict=True)):
            return None
    return shift
