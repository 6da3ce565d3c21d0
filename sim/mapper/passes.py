"""The search over mappings of a row-stationary array: candidates counted, the best of them run by the engine.

Candidates are what fits the PEs, their scratchpads and the buffers. Each is ranked by a count of its passes, all
taken as large as the largest; the engine judges the best of that ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

from sim.arch import Arch, MappingChoice, PassChoice, Systolic, channel
from sim.dataflows.row_stationary import pass_timing
from sim.errors import CapacityError, MappingError
from sim.hardware.passes import port_cycles
from sim.hardware.ports import Ports
from sim.kernel import Contraction
from sim.mapper.table import Prices
from sim.passes import Passes, Planes, check, most_sets
from sim.plan import Plan
from sim.planner import Surroundings, plan_passes
from sim.planner.passes import Region, pass_work

JUDGED = 6
"""Candidates that the engine runs."""

Run = Callable[[Plan], int]


@dataclass(frozen=True)
class Found:
    """A mapping of passes with its plan and its cycles alone, and how many candidates were run."""

    mapping: Passes
    plan: Plan
    cycles: int
    simulated: int


def search_passes(
    kernel: Contraction, arch: Arch, unit: str, around: Surroundings, wish: MappingChoice, prices: Prices, run: Run
) -> Found:
    """Return the best mapping within what the user fixed: the least cycles, then the least energy.

    Raises MappingError or CapacityError where none is legal.
    """
    array = _array(kernel, arch)
    planes, ports = Planes(kernel), Ports(arch)
    ranked = sorted(
        ((_estimate(planes, passes, arch, ports, prices), index, passes)
         for index, passes in enumerate(_candidates(planes, arch, array, wish, around.parameters))),
        key=lambda entry: entry[:2],
    )  # fmt: skip
    if not ranked:
        raise _nothing_fits(planes, arch, array, wish, around.parameters)
    best, least = None, 0.0
    judged = ranked[:JUDGED]
    for (_, energy), _, passes in judged:
        plan = plan_passes(kernel, passes, arch, unit, around)
        cycles = run(plan)
        if best is None or (cycles, energy) < (best.cycles, least):
            best, least = Found(passes, plan, cycles, len(judged)), energy
    assert best is not None  # there is one at least
    return best


def _array(kernel: Contraction, arch: Arch) -> Systolic:
    array = arch.array
    assert array is not None  # its caller has looked
    if array.count > 1:
        raise MappingError(f"{kernel.name}: a row-stationary array works alone; set {array.count} arrays to count: 1")
    if array.convention != "rtl":
        raise MappingError(f"{kernel.name}: SCALE-Sim has no row-stationary dataflow; set convention: rtl")
    return array


def _candidates(
    planes: Planes, arch: Arch, array: Systolic, wish: MappingChoice, parameters: int
) -> Iterator[Passes]:
    """Yield the mappings that fit, each size as equal shares of the whole, the largest first."""
    rows, columns = planes.axes
    fixed, kernel = wish.passes, planes.kernel
    kernel_rows, taps = min(rows.kernel, array.rows), _taps(planes, array)
    widest = array.cols * (array.rows // kernel_rows)
    most_images = 1 if planes.outside else planes.images
    for e in _shares(rows.out, widest, fixed.e, wish.effort):
        for (r, t), q in product(_sets(array, fixed, kernel_rows, e), _channels(planes, array, taps, fixed)):
            if r > 1 and q * (r - 1) >= kernel.channels and fixed.r is None:
                continue
            for p in _filters(kernel, array, taps, q, t, fixed):
                for f, n in product(
                    _shares(columns.out, columns.out, fixed.f, wish.effort if arch.bounded else 1),
                    _shares(planes.images, most_images, fixed.n, wish.effort if arch.bounded else 1),
                ):
                    passes = Passes(0, n, e, f, p, q, r, t, kernel_rows, taps)
                    yield from _blocks(planes, arch, passes, fixed, parameters)


def _blocks(
    planes: Planes, arch: Arch, passes: Passes, fixed: PassChoice, parameters: int
) -> Iterator[Passes]:
    """Yield the mapping with the most filters kept in the buffer that fit, and with half as many."""
    together = passes.p * passes.t
    whole = planes.kernel.filters
    found = 0
    for m in [fixed.m] if fixed.m else _multiples(together, whole):
        trial = Passes(m, *list(vars(passes).values())[1:])
        try:
            check(planes, trial, arch, parameters)
        except MappingError:
            continue
        yield trial
        found += 1
        if found == 2:
            return


def _multiples(step: int, whole: int) -> list[int]:
    """Return multiples of `step` from the first that reaches `whole` down, halved each time."""
    units = -(-whole // step)
    return sorted({step * -(-units // 2**i) for i in range(units.bit_length())}, reverse=True)


def _shares(total: int, most: int, fixed: int | None, effort: int) -> list[int]:
    """Return `total` in the fewest equal shares of at most `most`, in twice as many, and so on."""
    if fixed is not None:
        return [min(fixed, total)]
    parts = -(-total // most)
    found = {-(-total // (parts * 2**i)) for i in range(effort)} | {-(-total // (parts + i)) for i in range(3)}
    return sorted(found, reverse=True)[:effort]


def _sets(array: Systolic, fixed: PassChoice, rows: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield (r, t) of the PE sets."""
    for r, t in most_sets(array, rows, width):
        if fixed.r is None or fixed.r == r:
            yield r, fixed.t or t


def _taps(planes: Planes, array: Systolic) -> int:
    """Return as many taps of a kernel row as a PE has room for."""
    columns = planes.axes[1]
    reach = (array.scratchpads.inputs - 1) // columns.dilation + 1
    return min(columns.kernel, reach, array.scratchpads.weights)


def _channels(planes: Planes, array: Systolic, taps: int, fixed: PassChoice) -> list[int]:
    most = min(array.scratchpads.inputs // planes.span(1, 1, taps), array.scratchpads.weights // taps)
    return _shares(planes.kernel.channels, max(1, most), fixed.q, 3)


def _filters(
    kernel: Contraction, array: Systolic, taps: int, channels: int, sets: int, fixed: PassChoice
) -> list[int]:
    if fixed.p is not None:
        return [min(fixed.p, kernel.filters)]
    most = min(array.scratchpads.sums, array.scratchpads.weights // (channels * taps))
    return _shares(-(-kernel.filters // sets), max(1, most), None, 3)


def _estimate(
    planes: Planes, passes: Passes, arch: Arch, ports: Ports, prices: Prices
) -> tuple[float, float]:
    """Return about how many cycles and picojoules a layer takes, all passes as large as the largest."""
    kernel, array, (rows, columns) = planes.kernel, arch.array, planes.axes
    assert array is not None  # its caller has looked
    pieces = planes.pieces(passes)
    region = Region(
        pieces[0], 0, min(passes.n, planes.images), 0, passes.e, 0, passes.f,
        min(passes.p * passes.t, kernel.filters), min(passes.q * passes.r, kernel.channels),
    )  # fmt: skip
    work = pass_work(planes, passes, arch, region)
    tiles = prod(-(-whole // part) for whole, part in (
        (planes.images, passes.n), (rows.out, passes.e), (columns.out, passes.f)))  # fmt: skip
    blocks, each = -(-kernel.filters // passes.m), -(-min(passes.m, kernel.filters) // (passes.p * passes.t))
    depth = -(-kernel.channels // (passes.q * passes.r)) * len(pieces)
    count = kernel.groups * tiles * blocks * each * depth
    cycles = count * max(pass_timing(array, work.shape).interval, port_cycles(ports, work))
    moved = dict(work.reads)
    inputs = arch.bytes_of("input", moved["input"]) * kernel.groups * tiles * depth * (1 if depth == 1 else blocks)
    once = blocks * each * depth == 1
    weights = arch.bytes_of("weight", moved["weight"]) * (kernel.groups if once else count)
    off_chip = inputs + weights + arch.bytes_of("output", kernel.output_elements)
    on_chip = sum(
        arch.bytes_of("partial_sum" if o == "output" else o, elements) * price.get(o, 0.0)
        for ways, price in ((work.reads, prices.reads), (work.writes, prices.writes)) for o, elements in ways
    )  # fmt: skip
    road = channel(arch)
    busy = ceil(off_chip / road.burst * road.cycles_per_burst) if road else 0
    return max(cycles, busy), off_chip * prices.off_chip + on_chip * count


def _nothing_fits(
    planes: Planes, arch: Arch, array: Systolic, wish: MappingChoice, parameters: int
) -> Exception:
    """Return the error that says what of the wished (or smallest) pass needs too much, and where."""
    fixed = wish.passes
    smallest = {key: getattr(fixed, key) or 1 for key in ("n", "e", "f", "p", "q", "r", "t")}
    rows = min(planes.axes[0].kernel, array.rows)
    passes = Passes(fixed.m or smallest["p"] * smallest["t"], **smallest, rows=rows, taps=_taps(planes, array))
    try:
        check(planes, passes, arch, parameters)
    except CapacityError as error:
        return error
    except MappingError as error:
        return error
    return MappingError(f"{planes.kernel.name}: no pass fits the PEs and buffers of '{arch.name}'")
