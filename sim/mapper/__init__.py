"""The search over mappings: every candidate bounded at once in numpy, the best of them run by the engine.

A candidate is simulated only while its lower bound could still win, so the answer is that of an
exhaustive search: the least cycles, then the least energy, then the first in order. Candidates depend on
capacities only through what fits, so a chip with more memory has all candidates of the smaller one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from itertools import product

from sim.arch import Arch, Ideal, MappingChoice
from sim.dataflow import DATAFLOWS
from sim.engine import Engine
from sim.errors import CapacityError, MappingError
from sim.fits import check
from sim.hardware.unit import TooSlow
from sim.kernel import Contraction
from sim.mapper.candidates import (
    array_of,
    axis_sizes,
    lowering_of,
    order_of,
    packs,
    patterns,
    shortest_holds,
    sizes,
    splits,
)
from sim.mapper.chunks import search_chunks
from sim.mapper.passes import search_passes
from sim.mapper.table import Prices, Table, ranked
from sim.mapper.trials import Bench, Trial, Trials, alone, bare
from sim.mapping import DIMS, Mapping, Tiling
from sim.passes import Passes
from sim.plan import Plan
from sim.planner import ALONE, Surroundings, plan_contraction

__all__ = ["Choice", "Prices", "Trials", "search", "search_chunks"]


@dataclass(frozen=True)
class Choice:
    """A mapping that the engine has run: its plan, its cycles alone, and how many candidates were run."""

    mapping: Mapping | Passes
    plan: Plan
    cycles: int
    simulated: int


def search(
    kernel: Contraction,
    arch: Arch,
    unit: str,
    around: Surroundings = ALONE,
    wish: MappingChoice | None = None,
    prices: Prices | None = None,
    trials: Trials | None = None,
) -> Choice:
    """Return the best mapping of `kernel` on `arch` within what the user fixed in `wish`.

    `trials` knows runs of other searches, which changes the time this one takes and not what it finds.

    Raises MappingError or CapacityError (needed, available, the nearest that fits) where none is legal.
    """
    wish = wish or MappingChoice()
    if DATAFLOWS[array_of(arch).dataflow].passes:
        return _passes(kernel, arch, unit, around, wish, prices or Prices())
    if not arch.bounded:
        return _unlimited(kernel, arch, unit, around, wish)
    bench = Bench(kernel, arch, unit, around, trials)
    candidates = ranked(_tables(kernel, arch, around, wish, prices or Prices(), trials))
    best, simulated = _best(bench, candidates)
    if best is None:
        raise _nothing_fits(kernel, arch, around, wish)
    return Choice(best.mapping, bench.chosen(best.mapping), int(best.cycles), simulated)


@dataclass(frozen=True, order=True)
class _Candidate:
    """A mapping with what its cycles are at least; the number tells those apart that are as good."""

    cycles: float
    energy: float
    number: int
    mapping: Mapping = field(compare=False)
    scouted: Trial | None = field(default=None, compare=False)

    def limit(self, best: _Candidate | None) -> int | None:
        """Return the last cycle at which it may end to be better than `best`."""
        if best is None:
            return None
        return int(best.cycles) - ((self.energy, self.number) > (best.energy, best.number))


def _best(bench: Bench, ranked: Iterator[tuple[float, float, Mapping]]) -> tuple[_Candidate | None, int]:
    """Return the best of all candidates, and how many were run: always the one that is best by what is known of it.

    It is scouted first, which raises what is known, and run by the engine where that was not exact.
    """
    best: _Candidate | None = None
    known: list[_Candidate] = []
    simulated = 0
    numbered = (_Candidate(*found[:2], number, found[2]) for number, found in enumerate(ranked))
    for candidate in _by_promise(numbered, known):
        if best is not None and candidate > best:
            break
        limit, done = candidate.limit(best), candidate.scouted
        if done is None:
            simulated += 1
            trial = bench.least(candidate.mapping, limit)
            if trial is not None:
                heappush(known, replace(candidate, cycles=max(candidate.cycles, trial.cycles), scouted=trial))
            continue
        cycles = done.cycles if done.exact else bench.cycles(candidate.mapping, limit)
        if cycles is not None:
            best = replace(candidate, cycles=cycles)
    return best, simulated


def _by_promise(ranked: Iterator[_Candidate], known: list[_Candidate]) -> Iterator[_Candidate]:
    """Yield the candidates of a rising sequence and those of the heap `known`, which grows meanwhile, best first."""
    for candidate in ranked:
        while known and known[0] < candidate:
            yield heappop(known)
        yield candidate
    while known:
        yield heappop(known)


def _passes(
    kernel: Contraction, arch: Arch, unit: str, around: Surroundings, wish: MappingChoice, prices: Prices
) -> Choice:
    def cycles(plan: Plan, limit: int | None) -> int | None:
        try:
            return Engine(arch).run(alone(plan, around), limit=limit).cycles
        except TooSlow:
            return None

    found = search_passes(kernel, arch, unit, around, wish, prices, cycles)
    return Choice(found.mapping, found.plan, found.cycles, found.simulated)


def _tables(
    kernel: Contraction, arch: Arch, around: Surroundings, wish: MappingChoice, prices: Prices,
    trials: Trials | None = None,
) -> list[Table]:  # fmt: skip
    array, choices = array_of(arch), patterns(wish)
    grid = [axis_sizes(kernel, arch, wish, dim) for dim in DIMS]
    for size, dim in zip(grid, DIMS, strict=True):
        if getattr(wish.tile, dim):
            check(Tiling(kernel, _mapping(kernel, wish, {dim: size[0]})), _without_limits(arch))
    tables = []
    for split, packed in product(splits(array, wish), packs(kernel, arch, wish)):
        axes = [_groups(kernel, packed, wish.effort), *grid]
        make = partial(Table, kernel, arch, around, split, packed, lowering_of(wish), axes, choices, prices)
        if trials:
            number = trials.number(arch, *bare(kernel, around))
            tables.append(trials.table((number, wish.model_dump_json(), split, packed), make).on(arch, prices))
        else:
            tables.append(make())
    return tables


def _without_limits(arch: Arch) -> Arch:
    """Return the chip without limits, to check what is wrong with a tile apart from its size."""
    return arch.model_copy(update={"memory": Ideal(kind="ideal")})


def _groups(kernel: Contraction, packed: int, effort: int) -> list[int]:
    return [g for g in sizes(kernel.groups, packed, 1, effort) if g >= packed or g == kernel.groups]


def _mapping(kernel: Contraction, wish: MappingChoice, tile: dict[str, int]) -> Mapping:
    whole = {"m": kernel.m, "n": kernel.n, "k": kernel.k, "g": kernel.groups} | tile
    order = order_of(wish) or DIMS
    hold = shortest_holds(order, wish)
    return Mapping(whole["m"], whole["n"], whole["k"], whole["g"], order, hold, lowering=lowering_of(wish))


def _unlimited(kernel: Contraction, arch: Arch, unit: str, around: Surroundings, wish: MappingChoice) -> Choice:
    """Without limits one tile holds everything: choose only how groups and arrays share it."""
    array, trials = array_of(arch), []
    tile: dict[str, int] = {d: min(size, getattr(kernel, d)) for d in DIMS if (size := getattr(wish.tile, d))}
    for split, packed in product(splits(array, wish), packs(kernel, arch, wish)):
        mapping = replace(_mapping(kernel, wish, tile), split=split, packed=packed)
        tiling = Tiling(kernel, mapping)
        check(tiling, arch)
        plan = plan_contraction(tiling, arch, unit, around)
        trials.append(Choice(mapping, plan, Engine(arch).run(alone(plan, around)).cycles, 1))
    return min(trials, key=lambda choice: choice.cycles)


def _nothing_fits(kernel: Contraction, arch: Arch, around: Surroundings, wish: MappingChoice) -> Exception:
    """Return the error that says which operand of the wished (or smallest) tile needs too much, and where."""
    smallest: dict[str, int] = {dim: axis_sizes(kernel, arch, wish, dim)[0] for dim in DIMS}
    try:
        check(Tiling(kernel, _mapping(kernel, wish, smallest | {"g": 1})), arch, around.on_chip, around.parameters)
    except CapacityError as error:
        return error
    return MappingError(f"{kernel.name}: no mapping fits the buffers of '{arch.name}'")
