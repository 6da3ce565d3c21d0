"""When banks and companion get to each job: both work in the order of the network, each waiting for what it needs.

Programs wait until the one before has ended and its rows are closed. Refreshes that have become due go before the
next program, or into the time in which the banks wait anyway; within a program they are part of what it takes. So none
is late by more than one interval, but where a product has several rows: its programs count as one, and what they owe
follows behind them. The companion takes results while they are read: it begins with the first and
ends a share of its work after the last; so do the banks with the heads of attention.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from sim.arch import Arch
from sim.inmemory.jobs import Job, Jobs, Program, kind_cycles, lane_cycles
from sim.layers import KeptRoom, Task
from sim.pim.device import Device

WAIT, CLOSE, REFRESH, WORK = "wait", "row_switch", "refresh", "work"
"""What clocks of the banks between two programs go to, and those of the companion."""


@dataclass(frozen=True)
class Ready:
    """When the first and the last part of a tensor are there, and how many parts come evenly in between."""

    first: int = 0
    last: int = 0
    parts: int = 1


Turn = tuple[Mapping[str, int], int]
"""Clocks of a unit by what they go to, and in how many parts, all alike, these come one after the other."""


@dataclass
class Done:
    """What became of a job: its programs, clocks of the banks by cause, and the companion's time for it."""

    job: Job
    ran: list[Program] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    """Commands between programs."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    banks: list[Turn] = field(default_factory=list)
    """What clocks of the banks go to, in order of time."""
    lanes: list[Turn] = field(default_factory=list)
    """The same of the companion."""

    @property
    def clocks(self) -> Counter[str]:
        """What clocks of the banks go to, those before its programs included."""
        return _summed(self.banks)

    @property
    def working(self) -> int:
        """Cycles in which the companion works for it, on partial sums too."""
        return _summed(self.lanes)[WORK]

    @property
    def waiting(self) -> int:
        """Cycles for which the companion waits before it has all that it needs."""
        return _summed(self.lanes)[WAIT]

    @property
    def start(self) -> int:
        """The first cycle of the job."""
        return min((start for start, _ in self.spans), default=0)

    @property
    def end(self) -> int:
        """The cycle behind its last."""
        return max((end for _, end in self.spans), default=0)


class Banks:
    """All channels, which run one program at a time."""

    def __init__(self, device: Device) -> None:
        self.device, self.free = device, 0
        self._closing, self._refreshed = 0, 0
        self._interval = 0 if device.spec.refresh == "off" else device.spec.timing["tREFI"].cycles
        self._refresh = device.gap("refresh", "activate")

    def run(self, program: Program, ready: Ready, done: Done) -> tuple[int, int]:
        """Run a program when its first operands are ready and the banks are; return when it begins and ends.

        It waits inside for operands that come later: what is left behind the last takes a share of its time.
        """
        cost = program.cost
        begin = self._begin(ready.first, done)
        end = max(begin + cost.cycles, ready.last + ceil(cost.cycles / max(ready.parts, cost.chunks)))
        done.banks += [(cost.clocks, cost.chunks), ({WAIT: end - begin - cost.cycles}, 1)]
        self.free, self._closing, self._refreshed = end, cost.closing, self._refreshed + cost.refreshes
        done.ran.append(program)
        done.spans.append((begin, end))
        return begin, end

    def _begin(self, ready: int, done: Done) -> int:
        at = self.free + self._closing
        done.banks.append(({CLOSE: self._closing}, 1))
        while self._interval and (self._refreshed + 1) * self._interval <= max(at, ready):
            due = max(at, (self._refreshed + 1) * self._interval)
            done.banks += [({WAIT: due - at}, 1), ({REFRESH: self._refresh}, 1)]
            done.commands[self.device.command("refresh")] += self.device.spec.channels
            at, self._refreshed = due + self._refresh, self._refreshed + 1
        done.banks.append(({WAIT: max(0, ready - at)}, 1))
        return max(at, ready)


class Schedule:
    """Runs jobs in order on banks and companion, tensors in the SRAM as far as it holds them."""

    def __init__(self, chip: Arch, device: Device, tasks: Sequence[Task], jobs: Jobs) -> None:
        self.chip, self.banks, self.jobs = chip, Banks(device), jobs
        self.free = 0
        """When the companion has done all so far."""
        self._there = dict[str, Ready]()
        self._sizes = {task.writes: task.elements for task in tasks}
        self._read = {tensor for task in tasks for _, tensor in task.reads}
        self._kept, self.live = _kept(tasks, chip)

    def run(self, jobs: Iterable[Job]) -> list[Done]:
        """Return what became of each job."""
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Done:
        done = Done(job)
        parameters = max((self.banks.run(program, Ready(), done)[1] for program in job.before), default=0)
        ready = self._inputs(job, done)
        made = ready if job.product is None else self._product(job, job.product, ready, done)
        if job.work or job.product is None:
            made = self._lanes(job, made, parameters, done)
        for tensor in job.writes:
            self._there[tensor] = self._kept_or_spilled(job, tensor, made, done)
        return done

    def _inputs(self, job: Job, done: Done) -> Ready:
        """Return when the inputs are there, brought back from the banks where the SRAM did not hold them."""
        found = []
        for tensor in dict.fromkeys(job.reads):
            ready = self._there.get(tensor, Ready())
            if tensor in self._there and tensor not in self._kept:
                program = self.jobs.move(self._sizes[tensor], "read", "input")
                ready = Ready(*self.banks.run(program, Ready(ready.last, ready.last), done))
            found.append(ready)
        last = max((ready.last for ready in found), default=0)
        first = max((ready.first for ready in found), default=0) if job.streams else last
        return Ready(first, last, max((ready.parts for ready in found if ready.last == last), default=1))

    def _product(self, job: Job, product: Program, ready: Ready, done: Done) -> Ready:
        for store in job.stores:
            when = self._there.get(job.reads[-1], Ready()).last
            self.banks.run(store, Ready(when, when), done)
        begin, end = self.banks.run(product, ready, done)
        made = Ready(begin + ceil(product.cost.cycles / product.cost.chunks), end, product.cost.chunks)
        if job.adds and self.chip.companion is not None:
            made = self._companion(made, kind_cycles("add", job.adds, self.chip, self.chip.companion), done)
        return made

    def _lanes(self, job: Job, ready: Ready, parameters: int, done: Done) -> Ready:
        """Return when lane work is done, whose last kind of step needs `parameters` that are there at that time."""
        companion = self.chip.companion
        cycles = sum(lane_cycles(work, self.chip, companion) for work in job.work) if companion else 0
        kinds = sum(len(work.operations) for work in job.work)
        made = self._companion(ready, cycles, done, parameters + ceil(cycles / max(1, kinds)))
        if cycles:
            done.spans.append((min(ready.last, made.last - cycles) if job.product else made.last - cycles, made.last))
        elif not done.spans:
            done.spans.append((made.last, made.last))
        return made

    def _companion(self, ready: Ready, cycles: int, done: Done, earliest: int = 0) -> Ready:
        """Return when the companion has worked so long on what comes part by part, at the `earliest` then."""
        share = ceil(cycles / ready.parts)
        begin = max(self.free, ready.first)
        end = max(begin + cycles, ready.last + share, earliest)
        if cycles:
            done.lanes += [({WAIT: end - self.free - cycles}, 1), ({WORK: cycles}, 1)]
            self.free = end
        return Ready(min(end, begin + share), end, ready.parts)

    def _kept_or_spilled(self, job: Job, tensor: str, made: Ready, done: Done) -> Ready:
        if tensor in self._kept or tensor not in self._read:
            return made
        program = self.jobs.move(self._sizes[tensor], "write", "output")
        _, end = self.banks.run(program, Ready(made.last, made.last), done)
        return Ready(end, end)


def _summed(turns: Iterable[Turn]) -> Counter[str]:
    total = Counter[str]()
    for clocks, _ in turns:
        total.update(clocks)
    return total


def _kept(tasks: Sequence[Task], chip: Arch) -> tuple[frozenset[str], dict[str, int]]:
    """Return the tensors that the SRAM holds from when they are made to when they are read last.

    And the bytes in it when each tensor is made.
    """
    sram = next(iter(chip.buffers.values()), None)
    if sram is None or not chip.bounded:
        return frozenset(task.writes for task in tasks), {}
    place, kept = KeptRoom(tasks, chip), set[str]()
    for task in tasks:
        if place.fits(task, sram.capacity):
            place.keep(task)
            kept.add(task.writes)
    return frozenset(kept), {task.writes: live for task, live in zip(tasks, place.live, strict=False)}
