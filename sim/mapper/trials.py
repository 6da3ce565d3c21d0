"""What is known from runs on other chips, remembered for chips to come that differ in capacities alone.

A run takes the same cycles on every chip with the same units, memory, link and buffers, however large those are,
as long as no buffer is ever short: room is granted in the order of the plan, and capacity enters nowhere else. So
it holds for every capacity that is no smaller than the most it claimed. Where places of others were taken as room was
short, it holds for the same capacity, and for all larger ones if nothing ever waited for such a place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from sim.arch import Arch, Dram
from sim.engine import Engine
from sim.frontend import Read, Stage
from sim.hardware.buffers import Buffers
from sim.hardware.unit import TooSlow
from sim.kernel import Contraction, VectorWork
from sim.mapper.scout import Scout
from sim.mapping import Mapping, Tiling
from sim.plan import Plan
from sim.planner import Surroundings, Works, chunk_counts, plan_contraction
from sim.timeline import Timeline

if TYPE_CHECKING:
    from sim.mapper.table import Table

MOST = 50_000
"""Runs remembered at most, some 55 MB; then the older half is forgotten, which costs time and changes no result."""
NETWORKS = 16
"""Whole networks remembered at most, about a megabyte each: chips of other capacities come close to each other."""
TABLES = 96
"""Tables of candidates remembered at most, about 500 KB to 1 MB each: more than most networks have shapes, twice."""

PLANS = 256
"""Plans of mappings that were chosen remembered at most, about 20 KB each."""

_WORDS = {"name", "description", "source", "technology", "mapping"}
"""Keys of a chip that say nothing about the time of a given plan."""


Run = tuple[int, Mapping, bool]
"""The number of all that a run depends on but the mapping, the mapping, and whether the engine ran it."""


@dataclass(frozen=True)
class Room:
    """The most that a run claimed of each buffer, and those that were short."""

    claimed: tuple[tuple[str, int], ...]
    short: frozenset[str]

    @classmethod
    def of(cls, buffers: Buffers) -> Room:
        """Return the room that a run took; of a short buffer, all there is."""
        arch = buffers.arch
        claimed = buffers.claimed | {name: arch.buffers[name].tile_capacity for name in buffers.short}
        # With DRAM controllers it is of effect what a queue waits for, not only for how long.
        short = buffers.short if isinstance(arch.memory, Dram) else buffers.binding
        return cls(tuple(claimed.items()), frozenset(short))

    def holds(self, arch: Arch) -> bool:
        """Return whether a run on `arch` would go the same way."""
        room = [(name, arch.buffers[name].tile_capacity, claimed) for name, claimed in self.claimed]
        return all(there == claimed if name in self.short else there >= claimed for name, there, claimed in room)


@dataclass(frozen=True)
class Trial:
    """The cycles of a candidate alone, or the limit at which it was given up, and the room that it took.

    Where it is not `exact`, the cycles are a lower bound.
    """

    cycles: int
    ended: bool
    room: Room
    exact: bool = True

    def answers(self, arch: Arch, limit: int | None) -> bool:
        """Return whether a run on `arch` up to `limit` would go the same way."""
        return (self.ended or (limit is not None and limit <= self.cycles)) and self.room.holds(arch)


class Trials:
    """What is known. One object serves any number of searches and runs in a process."""

    def __init__(self, most: int = MOST) -> None:
        self.most, self.made, self.reused = most, 0, 0
        self.known: dict[Run, tuple[Trial, ...]] = {}
        self.chips: dict[str, int] = {}
        self.numbers: dict[tuple[Hashable, ...], int] = {}
        self.tables: dict[Hashable, Table] = {}
        self.chunks: dict[Hashable, Plan] = {}
        self.works: dict[int, Works] = {}
        self.plans: dict[Hashable, Plan] = {}
        self.networks: dict[Hashable, list[tuple[Room, Timeline]]] = {}

    def number(self, arch: Arch, *about: Hashable) -> int:
        """Return a number for a chip without its capacities, and for what else a run depends on."""
        chip = arch.model_dump(exclude=_WORDS)
        for buffer in chip["buffers"].values():
            del buffer["capacity"], buffer["keep"]
        device = arch.memory.open().digest if isinstance(arch.memory, Dram) else ""
        same = self.chips.setdefault(f"{chip} {device}", len(self.chips))
        return self.numbers.setdefault((same, *about), len(self.numbers))

    def remember(self, key: Run, trial: Trial) -> None:
        """Know one more run."""
        if len(self.known) >= self.most:
            _forget(self.known, self.most // 2)
        others = tuple(known for known in self.known.get(key, ()) if known.room != trial.room)
        self.known[key] = (trial, *others)
        self.made += 1

    def find(self, key: Run, arch: Arch, limit: int | None) -> Trial | None:
        """Return a known run of a candidate that goes as it would on `arch`."""
        found = next((trial for trial in self.known.get(key, ()) if trial.answers(arch, limit)), None)
        self.reused += found is not None
        return found

    def table(self, key: Hashable, make: Callable[[], Table]) -> Table:
        """Return the candidates that a table of this key has on any chip, made where they are not known."""
        if key not in self.tables:
            self.tables[key] = make()
            _forget(self.tables, TABLES)
        return self.tables[key]

    def worked(self, number: int, make: Callable[[], Works]) -> Works:
        """Return what units do for tiles of a contraction, whatever the capacities."""
        if number not in self.works:
            self.works[number] = make()
            _forget(self.works, TABLES)
        return self.works[number]

    def plan(self, key: Hashable, make: Callable[[], Plan]) -> Plan:
        """Return the plan of a mapping that was chosen."""
        if key not in self.plans:
            self.plans[key] = make()
            _forget(self.plans, PLANS)
        return self.plans[key]

    def chunk(self, work: VectorWork, arch: Arch, on_chip: frozenset[str], search: Callable[[], Plan]) -> Plan:
        """Return the plan of vector work; the chunks to choose from all fit, none is ever short of room."""
        counts = tuple(chunk_counts(work, arch, on_chip))
        key = (self.number(arch), replace(work, name=""), on_chip, counts)
        if key not in self.chunks:
            self.chunks[key] = search()
            _forget(self.chunks, self.most)
        return self.chunks[key]

    def network(self, arch: Arch, stages: Sequence[Stage]) -> Timeline:
        """Return what a run of all stages finds."""
        key = (self.number(arch), tuple(stages))
        runs = self.networks.setdefault(key, [])
        found = next((timeline for room, timeline in runs if room.holds(arch)), None)
        if found is None:
            engine = Engine(arch)
            found = engine.run(stages)
            runs.append((Room.of(engine.buffers), found))
            _forget(self.networks, NETWORKS)
        return found


def _forget(known: dict[Any, Any], most: int) -> None:
    """Forget what has been known for longest, down to so many."""
    for key in list(islice(known, max(0, len(known) - most))):
        del known[key]


class Bench:
    """Runs the candidates of one search, each only where no known run answers."""

    def __init__(
        self, kernel: Contraction, arch: Arch, unit: str, around: Surroundings, trials: Trials | None
    ) -> None:
        self.kernel, self.arch, self.unit, self.around, self.trials = kernel, arch, unit, around, trials
        self.number = trials.number(arch, *bare(kernel, around)) if trials else 0
        self.scout = Scout(arch)
        make = partial(Works, arch, kernel, around)
        self.works = trials.worked(self.number, make) if trials else make()

    def plan(self, mapping: Mapping) -> Plan:
        """Return the plan of a candidate."""
        return plan_contraction(Tiling(self.kernel, mapping), self.arch, self.unit, self.around, self.works)

    def chosen(self, mapping: Mapping) -> Plan:
        """Return the plan of the best."""
        if self.trials is None:
            return self.plan(mapping)
        plan = self.trials.plan((self.number, mapping), partial(self.plan, mapping))
        return replace(plan, name=self.kernel.name, kernel=self.kernel)

    def least(self, mapping: Mapping, limit: int | None) -> Trial | None:
        """Return a lower bound of the cycles of a candidate alone, mostly exact; None where it exceeds `limit`."""
        return self._trial(mapping, limit, engine=False)

    def cycles(self, mapping: Mapping, limit: int | None) -> int | None:
        """Return the cycles of a candidate alone; None where they exceed `limit`."""
        trial = self._trial(mapping, limit, engine=True)
        return trial.cycles if trial else None

    def _trial(self, mapping: Mapping, limit: int | None, engine: bool) -> Trial | None:
        key = (self.number, mapping, engine)
        trial = self.trials.find(key, self.arch, limit) if self.trials else None
        if trial is None:
            trial = (self._run if engine else self._scouted)(mapping, limit)
            if self.trials:
                self.trials.remember(key, trial)
        return trial if trial.ended and (limit is None or trial.cycles <= limit) else None

    def _scouted(self, mapping: Mapping, limit: int | None) -> Trial:
        scout = self.scout
        try:
            cycles, ended = scout.run(alone(self.plan(mapping), self.around)[0], limit), True
        except TooSlow:
            cycles, ended = int(limit or 0), False
        return Trial(cycles, ended, Room.of(scout.buffers), scout.exact)

    def _run(self, mapping: Mapping, limit: int | None) -> Trial:
        engine = Engine(self.arch)
        try:
            cycles, ended = engine.run(alone(self.plan(mapping), self.around), limit=limit).cycles, True
        except TooSlow:
            cycles, ended = int(limit or 0), False
        return Trial(cycles, ended, Room.of(engine.buffers))


def bare(kernel: Contraction, around: Surroundings) -> tuple[Contraction, Surroundings]:
    """Return a kernel and its surroundings without names."""
    epilogue = tuple(replace(work, name="") for work in around.epilogue)
    return replace(kernel, name=""), replace(around, epilogue=epilogue)


def alone(plan: Plan, around: Surroundings) -> list[Stage]:
    """Return the plan as a run of its own, with nothing to wait for."""
    return [Stage(plan, 0, tuple(Read(o, o, True) for o in sorted(around.on_chip) if o != "output"))]
