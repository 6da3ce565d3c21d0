"""The front end: the steps of the plans, in program order, as jobs with the signals that they wait for.

Jobs wait for operands on chip, for slots that are free, for sums that are complete. Nothing runs more than
LOOKAHEAD work steps (tiles) ahead of the oldest one that is not over. The off-chip channel serves transfers
in a static order: a load goes ahead of a store whenever its slot is freed no later than the store's data is
computed, at most LOOKAHEAD tiles early.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.arch import Arch, Systolic, Vector
from sim.hardware.buffers import SPACE, Buffers, Slot
from sim.hardware.unit import Job, Signal, Wait
from sim.plan import (
    START,
    Broadcast,
    Claim,
    Compute,
    Free,
    Load,
    Loop,
    Node,
    Order,
    Plan,
    Position,
    Process,
    Reduce,
    Step,
    Store,
)  # fmt: skip

RECALL = 4
"""Steps of one name that ordered steps can wait for: the latest, and those before it."""
RECENT = 256
"""Ordered jobs queued last that are remembered: more than come behind others at once."""
LOOKAHEAD = 2
"""Tiles by which loads and work may run ahead: as deep as double buffering reaches."""


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
    result: str = "output"
    """What its output is in the accounts: "output", or "kv" and the like in a format of their own."""
    also: tuple[str, ...] = ()
    """More tensors that it completes: those of a pipeline of several layers."""

    @property
    def completes(self) -> tuple[str, ...]:
        """The tensors that it completes."""
        return (*((self.writes,) if self.writes else ()), *self.also)


class Queues(Protocol):
    """What the front end feeds: it makes jobs and puts them into the queues of the units."""

    def job(self, step: Step, layer: int, waits: list[Wait]) -> Job:
        """Return a new job."""

    def submit(self, unit: str, job: Job) -> None:
        """Put a job into the queue of a unit."""


class Addresses(Protocol):
    """Where the tensors lie in memory."""

    def held(self, index: int, group: int, size: int) -> NDArray[np.int64]:
        """Return the addresses of the bursts that hold `size` bytes, the weights of a group of stage `index`."""

    def stream(self, index: int, stage: Stage, step: Load | Store, at: Position) -> NDArray[np.int64]:
        """Return the addresses of the bursts that a step of stage `index` moves with the loops at `at`, in order."""


class Behind(Protocol):
    """What comes from slower memories behind the off-chip one, see `sim.tiers`."""

    def begin(self, index: int, stage: Stage) -> None:
        """Queue the fetches that go out with a stage."""

    def due(self, index: int, step: Load, at: Position) -> bool:
        """Tell whether a load waits for a fetch of this run."""

    def before(self, index: int, step: Load, at: Position) -> list[Wait]:
        """Return what a load waits for; queue what comes before it."""

    def loaded(self, index: int, step: Load, at: Position, job: Job) -> None:
        """Note that a job loads what may be overwritten when it is done."""

    def varies(self, index: int, loop: Loop) -> bool:
        """Tell whether the iterations of a loop wait for different fetches."""


class FrontEnd:
    """Turns the steps of the plans into jobs: which signals they wait for, and their order on the channel."""

    def __init__(self, arch: Arch, queues: Queues, buffers: Buffers, addresses: Addresses | None = None) -> None:
        self.arch, self.queues, self.buffers, self.addresses = arch, queues, buffers, addresses
        self.array = next((n for n, u in self.arch.units.items() if isinstance(u, Systolic)), "")
        self.vector = next((n for n, u in self.arch.units.items() if isinstance(u, Vector)), "")
        self._units: dict[type, str] = {
            Load: "dram", Store: "dram", Compute: self.array, Process: self.vector, Broadcast: "link", Reduce: "link"
        }  # fmt: skip
        self.behind: Behind | None = None
        self.tensors: dict[str, list[Signal]] = {}
        self.pending: deque[tuple[int, Job]] = deque()
        self.work = self.floor = -1
        self.recent: deque[Signal] = deque(maxlen=LOOKAHEAD + 1)
        self.ends: list[Signal] = []
        self.hoisted: Load | None = None
        self.claimed: list[Slot] = []
        self.overtaken: deque[tuple[int, int, Step]] = deque(maxlen=RECENT)
        """Of ordered jobs that were queued late: the latest job made by then, their own number, their step."""
        self.delayed: list[tuple[int, int, str, Job]] = []
        """Ordered jobs that come behind others: the turn whose end they wait for, how far behind, their unit."""

    def begin(self, index: int, stage: Stage) -> None:
        """Start a stage: find what it depends on, and load its first weights ahead of everything else."""
        self.index, self.stage, self.slots = index, stage, dict(stage.plan.slots)
        self.began = self.work + 1
        self.fresh: list[Wait] = []
        self.arrives: dict[str, list[Wait]] = {}
        self.waits: dict[str, list[Wait]] = {"weight": [], "input": [], "parameter": []}
        for read in stage.reads:
            direct = read.on_chip or not self.arch.bounded
            into = self.fresh if direct else self.waits[read.operand]
            made: list[Wait] = [(signal, "wait_dependency") for signal in self.tensors.get(read.tensor, ())]
            into += made
            if direct:
                self.arrives[read.operand] = self.arrives.get(read.operand, []) + made
        if not self.arch.prefetch:
            for into in (*self.waits.values(), *(() if self.arch.bounded else (self.fresh,))):
                into += [(signal, "wait_dependency") for signal in self.ends]
        self.chain: Signal | None = None
        self.added: Signal | None = None
        self.stored: Signal | None = None
        self.worked: Job | None = None
        self.ends = []
        self.made: dict[str, deque[list[Wait]]] = {}
        self.room: dict[str, tuple[list[Wait], int]] = {}
        self.turn = 0
        self.hoisted = None
        if self.behind is not None:
            self.behind.begin(index, stage)
        if self.arch.bounded and (first := _first_weights(stage.plan.body)):
            self._load(first, START)
            self.hoisted = first

    def finish(self) -> None:
        """End a stage: its output is complete with its last result and its last store."""
        self._take_turns(None)
        self.ends = [signal for signal in (self.chain, self.added, self.stored) if signal is not None]
        for tensor in self.stage.completes:
            self.tensors[tensor] = [*self.tensors.get(tensor, ()), *self.ends]

    def step(self, step: Step, at: Position) -> None:
        """Send one step on its way."""
        _SEND[type(step)](self, step, at)

    def unit_of(self, step: Step) -> str:
        """Return the unit that does a step; empty where it takes no time."""
        return self._units.get(type(step), "")

    def reach(self, work: int) -> int:
        """Return how many iterations of so many work steps a job depends on at most, none of them before the last.

        It depends on the tile whose slot it takes, on the work step LOOKAHEAD + 1 before it, and on the transfer queued
        before it, which may be a store one step older still; and on loads that went ahead, which depend on no more.
        Where places are short a tile takes those freed longest ago: nothing is known then but that it looks no
        further back than loads run ahead, in iterations of one step.
        """
        if self.buffers.short or not work or self.stage.plan.ahead:
            return 2 * LOOKAHEAD + self.stage.plan.ahead
        return max(-(-(LOOKAHEAD + 2) // work), *self.slots.values(), LOOKAHEAD)

    def _take(self, operand: str, size: int) -> tuple[Slot, list[Wait], int]:
        slots = self.slots.get(operand, LOOKAHEAD)
        slot, victims = self.buffers.take(operand, size, self.index, slots)
        if not victims:
            return slot, [], -1
        waits: list[Wait] = [(v.release, SPACE) for v in victims if v.release is not None]
        return slot, waits, _freed(victims)

    def _window(self, cause: str) -> list[Wait]:
        """Return the wait for the work step that must be over before anything this far ahead of it begins."""
        if len(self.recent) <= LOOKAHEAD or self.recent[0].fired:
            return []
        return [(self.recent[0], cause)]

    def _load(self, step: Load, at: Position) -> None:
        """Queue a load, behind all stores whose data is there before the load's slot is free."""
        if step is self.hoisted:
            self.hoisted = None
            return
        waits, freed = [*self.waits.get(step.operand, ())], -1
        if step.after:
            waits += self._after(step.after)
        if waits or (self.behind is not None and self.behind.due(self.index, step, at)):
            self.floor = max(self.floor, self.began)  # behind the stores of the stages before, which it depends on
        slot = None
        if step.claimed:
            space, freed = self.room[step.operand]
            waits += space
        elif not step.partial:
            slot, space, freed = self._take(step.operand, max(step.bytes, step.room))
            waits += space
            if slot.taken and _freed(slot.taken) > max(self.floor, self.work - LOOKAHEAD):
                self.buffers.doubt(slot)  # stores go ahead of it that would not with more room
        waits += self._window("wait_output_space")
        self.floor = max(self.floor, freed, self.work - LOOKAHEAD)
        self.flush(None if step.partial else self.floor)
        if self.behind is not None:
            waits += self.behind.before(self.index, step, at)
        job = self._transfer(step, waits, at)
        if self.behind is not None:
            self.behind.loaded(self.index, step, at, job)
        if slot is not None:
            job.on_start = partial(_begin, self.buffers, [slot])
        self.queues.submit(self.unit_of(step), job)
        cause = {"input": "wait_input", "output": "wait_dependency"}.get(step.operand, "wait_weight")
        if step.makes:
            self._make(step.makes, [(job.done, cause)])
            return
        self.fresh.append((job.done, cause))
        self.arrives[step.operand] = [(job.done, cause)]

    def _claim(self, step: Claim, at: Position) -> None:
        self.stored = None
        slot, waits, freed = self._take(step.operand, step.bytes)
        self.claimed.append(slot)
        self.room[step.operand] = waits, freed
        if slot.taken and step.makes:
            self.buffers.doubt(slot)  # loads into it wait later
        if step.makes:
            self._make(step.makes, waits)
        else:
            self.fresh += waits

    def _make(self, name: str, waits: list[Wait]) -> None:
        self.made.setdefault(name, deque(maxlen=RECALL)).append(waits)

    def _after(self, names: Sequence[tuple[str, int]]) -> list[Wait]:
        """Return the waits for what ordered steps made, as far as they have made it."""
        found = [(self.made.get(name, ()), back) for name, back in names]
        return [wait for made, back in found if len(made) > back for wait in made[-1 - back]]

    def _ordered(self, step: Compute | Process | Broadcast | Reduce, order: Order) -> None:
        """Send an ordered step on its way: its turn in the queue of its unit comes later than in the plan."""
        waits, self.fresh = self.fresh + self._after(order.after), []
        job = self.queues.job(step, self.stage.layer, waits)
        self._fill(job)
        self._make(order.makes, [(job.done, "wait_dependency")])
        self._delay(job, self.unit_of(step), order)
        self.chain, self.worked = job.done, job

    def strays(self, first: int, since: int, own: Sequence[Job]) -> bool:
        """Tell whether jobs older than `first` were queued since job `since` whose steps are none of those of `own`."""
        steps: list[Step] = []
        for made, number, step in self.overtaken:
            if number < first and made >= since:
                steps = steps or list({id(job.step): job.step for job in own}.values())
                if not any(step is mine or step == mine for mine in steps):
                    return True
        return False

    def _fill(self, job: Job) -> None:
        """Let a job that begins count what was claimed before it as filled."""
        if self.claimed:
            job.on_start, self.claimed = partial(_begin, self.buffers, self.claimed), []

    def _delay(self, job: Job, unit: str, order: Order) -> None:
        """Queue a job behind the turns that it lets go first, and those that have waited for this turn to end."""
        self.delayed.append((self.turn + order.behind, order.behind, unit, job))
        if order.turn:
            self._take_turns(self.turn)
            self.turn += 1

    def _take_turns(self, turn: int | None) -> None:
        """Queue the jobs whose turn is over by the end of `turn` (None: all), those that come behind others last."""
        due = [entry for entry in self.delayed if turn is None or entry[0] <= turn]
        newest = self.delayed[-1][3].sequence if self.delayed else 0
        self.overtaken.extend((newest, entry[3].sequence, entry[3].step) for entry in due)
        self.delayed = [entry for entry in self.delayed if turn is not None and entry[0] > turn]
        for _, _, unit, job in sorted(due, key=itemgetter(0, 1)):
            self.queues.submit(unit, job)

    def _work(self, step: Compute | Process, at: Position) -> None:
        if step.order is not None:
            self._ordered(step, step.order)
            return
        waits, self.fresh = self.fresh + self._window("wait_dependency"), []
        if isinstance(step, Process):
            waits = [*waits, *self._sums()]
        elif step.first:
            self.added = None
        job = self.queues.job(step, self.stage.layer, waits)
        self._fill(job)
        self.work += 1
        self.flush(self.work - LOOKAHEAD)
        self.queues.submit(self.unit_of(step), job)
        self.chain, self.worked = job.done, job
        self.recent.append(job.released)

    def _store(self, step: Store, at: Position) -> None:
        job = self._transfer(step, self._sums(), at)
        if step.order is not None:
            self._make(step.order.makes, [(job.done, "wait_dependency")])
            self._delay(job, self.unit_of(step), step.order)
        else:
            self.pending.append((self.work, job))
        self.stored = job.done

    def _sums(self) -> list[Wait]:
        """Return the waits for an output: its last step, and sums of several arrays if the last came from one alone."""
        last = (self.chain,) if self.chain is self.added else (self.chain, self.added)
        return [(signal, "wait_dependency") for signal in last if signal is not None]

    def _transfer(self, step: Load | Store, waits: list[Wait], at: Position) -> Job:
        """Return the job of a transfer, which knows its addresses where memory asks for them."""
        job = self.queues.job(step, self.stage.layer, waits)
        if self.addresses is not None:
            job.stream, job.at = partial(self.addresses.stream, self.index, self.stage, step), at
        return job

    def flush(self, before: int | None = None) -> None:
        """Queue the stores whose data is computed before work step `before` (None: all of them)."""
        while self.pending and (before is None or self.pending[0][0] < before):
            job = self.pending.popleft()[1]
            self.queues.submit(self.unit_of(job.step), job)

    def _link(self, step: Broadcast | Reduce, at: Position) -> None:
        if step.order is not None:
            self._ordered(step, step.order)
            return
        if isinstance(step, Reduce):
            job = self.queues.job(step, self.stage.layer, [(s, "wait_dependency") for s in (self.chain,) if s])
            self.chain = self.added = job.done
            self.recent[-1] = job.released  # the work step is over when its sums have left the arrays
        else:
            cause = "wait_input" if step.operand == "input" else "wait_weight"
            waits = self.arrives.get(step.operand, []) + self._window(cause)
            job = self.queues.job(step, self.stage.layer, waits)
            self.fresh.append((job.done, cause))
        self.queues.submit(self.unit_of(step), job)

    def _free(self, step: Free, at: Position) -> None:
        release = self.worked.released if self.worked else None
        if step.operand == "output":
            release = self.stored or self.chain
        if step.after in self.made:
            release = self.made[step.after][-1][0][0]
        if release is not None:
            self.buffers.free(step.operand, self.index, release, self.work)


def _begin(buffers: Buffers, slots: list[Slot], job: Job, start: int) -> None:
    """Count what begins to be filled as a job starts. No method: jobs do not hold the front end, which holds them."""
    for slot in slots:
        buffers.fill(slot, job.waits, job.shift, start)


_SEND: dict[type, Callable[..., None]] = {
    Load: FrontEnd._load, Compute: FrontEnd._work, Process: FrontEnd._work, Store: FrontEnd._store,
    Broadcast: FrontEnd._link, Reduce: FrontEnd._link, Claim: FrontEnd._claim, Free: FrontEnd._free,
}  # fmt: skip


def _freed(slots: Sequence[Slot]) -> int:
    """Return the work step that must be over before all places are free: an output's when it is stored too."""
    return max((slot.freed_at + (slot.operand == "output") for slot in slots), default=-1)


def _first_weights(nodes: Sequence[Node]) -> Load | None:
    """Return the first load of weights that the plan will make."""
    for node in nodes:
        found = _first_weights(node.body) if isinstance(node, Loop) else node
        if isinstance(found, Load) and found.operand == "weight":
            return found
    return None
