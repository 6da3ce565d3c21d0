"""The search over mappings of a row-stationary array: candidates counted, the best of them run by the engine.

Candidates are what fits the PEs, their scratchpads and the buffers. Each is ranked by a count of its passes, all
taken as large as the largest; the engine judges the best of that ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil, prod

from sim.arch import Arch, MappingChoice, PassChoice, Systolic, channel
from sim.dataflows.row_stationary import pass_interval
from sim.errors import MappingError
from sim.kernel import Contraction
from sim.mapper.table import Prices
from sim.passes import Passes, Planes, check, check_pes, most_filters, most_sets
from sim.plan import PassShape, Plan
from sim.planner import Surroundings, plan_passes

JUDGED = 8
"""Candidates that the engine runs."""
SCARCE = 64
"""Candidates in equal shares, beside which smaller ones are tried where there are fewer."""
FEW = 3
"""Shares tried of what a PE holds, where more only cost passes."""

Run = Callable[[Plan, int | None], int | None]
"""The cycles of a plan; None where they are more than a limit."""


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
    array, planes = _array(kernel, arch), Planes(kernel)
    count = _Count(planes, arch, array, prices)
    fitting = list(_candidates(planes, arch, array, wish, around.parameters))
    if len(fitting) < SCARCE:
        fitting += _small(planes, arch, array, wish.passes, around.parameters)
    ranked = sorted(
        ((count.of(passes), index, passes) for index, passes in enumerate(fitting)), key=lambda entry: entry[:2]
    )
    best, least = None, 0.0
    judged = ranked[:JUDGED]
    for (_, energy), _, passes in judged:
        plan = plan_passes(kernel, passes, arch, unit, around)
        cycles = run(plan, best.cycles if best else None)
        if cycles is not None and (best is None or (cycles, energy) < (best.cycles, least)):
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
    columns, fixed = planes.axes[1], wish.passes
    tried = wish.effort if arch.bounded else 1
    across = _shares(columns.out, columns.out, fixed.f, tried)
    images = _shares(planes.images, 1 if planes.outside else planes.images, fixed.n, tried)
    for sets in _sets(planes, array, wish):
        for f in across:
            for n in images if not planes.outside else [n for n in images if n == 1]:
                passes = replace(sets, n=n, f=f)
                yield from _blocks(planes, passes, fixed, most_filters(planes, passes, arch, parameters))


def _sets(planes: Planes, array: Systolic, wish: MappingChoice) -> Iterator[Passes]:
    """Yield what may lie on the PEs: e, p, q, r and t; one image and column, no filters kept yet."""
    rows, fixed, kernel = planes.axes[0], wish.passes, planes.kernel
    kernel_rows, taps = min(rows.kernel, array.rows), _taps(planes, array)
    for e in _shares(rows.out, array.cols * (array.rows // kernel_rows), fixed.e, wish.effort):
        for r, most in most_sets(array, kernel_rows, e):
            if fixed.r not in (None, r):
                continue
            t = fixed.t or most
            for q in _channels(planes, array, taps, fixed):
                if q * (r - 1) >= kernel.channels and fixed.r is None:
                    continue  # sets without a channel
                for p in _filters(kernel, array, q * taps, t, fixed):
                    passes = Passes(0, 1, e, 1, p, q, r, t, kernel_rows, taps)
                    if _lies(planes, passes, array):
                        yield passes


def _lies(planes: Planes, passes: Passes, array: Systolic) -> bool:
    try:
        check_pes(planes, passes, array)
    except MappingError:
        return False
    return True


def _blocks(planes: Planes, passes: Passes, fixed: PassChoice, room: int) -> Iterator[Passes]:
    """Yield the mapping with the most filters kept in the buffer for which there is room, and with half as many."""
    together = passes.p * passes.t
    units = -(-planes.kernel.filters // together)
    choices = [fixed.m] if fixed.m else [together * -(-units // 2**i) for i in range(units.bit_length())]
    fitting = [m for m in dict.fromkeys(choices) if min(m, planes.kernel.filters) <= room]
    for m in fitting[:2]:
        yield replace(passes, m=m)


def _shares(total: int, most: int, fixed: int | None, effort: int) -> list[int]:
    """Return `total` in the fewest equal shares of at most `most`, in twice as many, and so on."""
    if fixed is not None:
        return [min(fixed, total)]
    parts = -(-total // most)
    found = {-(-total // (parts * 2**i)) for i in range(effort)} | {-(-total // (parts + i)) for i in range(3)}
    return sorted(found, reverse=True)[:effort]


def _taps(planes: Planes, array: Systolic) -> int:
    """Return as many taps of a kernel row as a PE has room for."""
    columns = planes.axes[1]
    reach = (array.scratchpads.inputs - 1) // columns.dilation + 1
    return min(columns.kernel, reach, array.scratchpads.weights)


def _channels(planes: Planes, array: Systolic, taps: int, fixed: PassChoice) -> list[int]:
    most = min(array.scratchpads.inputs // planes.span(1, 1, taps), array.scratchpads.weights // taps)
    return _shares(planes.kernel.channels, max(1, most), fixed.q, FEW)


def _filters(kernel: Contraction, array: Systolic, depth: int, sets: int, fixed: PassChoice) -> list[int]:
    if fixed.p is not None:
        return [min(fixed.p, kernel.filters)]
    most = min(array.scratchpads.sums, array.scratchpads.weights // depth)
    return _shares(-(-kernel.filters // sets), max(1, most), None, FEW)


class _Count:
    """Counts passes: about how many cycles and picojoules a layer takes, all passes as large as the largest."""

    def __init__(self, planes: Planes, arch: Arch, array: Systolic, prices: Prices) -> None:
        self.planes, self.kernel, self.arch, self.array = planes, planes.kernel, arch, array
        self.prices, self.road, self.pace = prices, channel(arch), array.pace(arch.clock)
        self.rows: dict[int, int] = {}
        self.pieces = 0
        self.ports = [
            (buffer.bandwidth, buffer.ports, frozenset(buffer.holds))
            for buffer in arch.buffers.values()
            if buffer.bandwidth is not None and arch.bounded
        ]
        self.outputs = arch.bytes_of("output", self.kernel.output_elements)

    def of(self, passes: Passes) -> tuple[float, float]:
        """Return (cycles, picojoules)."""
        kernel, shape = self.kernel, self._shape(passes)
        tiles, blocks, each, depth = self._times(passes)
        count = kernel.groups * tiles * blocks * each * depth
        sums = shape.sum_words * shape.images * shape.outputs
        columns = shape.images * (shape.window + (shape.outputs - 1) * shape.step)
        size = {
            "weight": self.arch.bytes_of("weight", shape.weight_words),
            "input": self.arch.bytes_of("input", columns * shape.column_words),
            "output": self.arch.bytes_of("partial_sum", sums),
        }
        cycles = count * max(ceil(pass_interval(self.array, shape) * self.pace), self._port(size))
        inputs = size["input"] * kernel.groups * tiles * depth * (1 if depth == 1 else blocks)
        weights = size["weight"] * (kernel.groups if blocks * each * depth == 1 else count)
        off_chip = inputs + weights + self.outputs
        busy = ceil(off_chip / self.road.burst * self.road.cycles_per_burst) if self.road else 0
        prices = self.prices
        on_chip = sum(size[o] * prices.reads.get(o, 0.0) for o in size)
        on_chip += size["output"] * prices.writes.get("output", 0.0)
        return max(cycles, busy), off_chip * prices.off_chip + on_chip * count

    def _shape(self, passes: Passes) -> PassShape:
        """Return the shape of the largest pass."""
        planes, kernel = self.planes, self.kernel
        if passes.e not in self.rows:
            self.rows[passes.e] = planes.span(0, passes.e, passes.rows)
            self.pieces, self.window = len(planes.pieces(passes)), planes.span(1, 1, passes.taps)
        filters, channels = min(passes.p * passes.t, kernel.filters), min(passes.q * passes.r, kernel.channels)
        return PassShape(
            -(-filters // passes.t), -(-channels // passes.r), passes.taps, self.window,
            min(self.window, planes.axes[1].stride), passes.rows, passes.e, (passes.r, passes.t), passes.n, passes.f,
            filters * channels * passes.rows * passes.taps, channels * self.rows[passes.e], filters * passes.e,
        )  # fmt: skip

    def _times(self, passes: Passes) -> tuple[int, int, int, int]:
        """Return how often: tiles of outputs, blocks of filters, filters in a block, channels and kernel pieces."""
        kernel, (rows, columns) = self.kernel, self.planes.axes
        tiles = prod(
            -(-whole // part)
            for whole, part in ((self.planes.images, passes.n), (rows.out, passes.e), (columns.out, passes.f))
        )
        each = -(-min(passes.m, kernel.filters) // (passes.p * passes.t))
        return (
            tiles, -(-kernel.filters // passes.m), each,
            -(-kernel.channels // (passes.q * passes.r)) * self.pieces,
        )  # fmt: skip

    def _port(self, size: dict[str, int]) -> int:
        """Return the least cycles of a pass at the narrowest port."""
        slowest = 0
        for bandwidth, ports, holds in self.ports:
            read, written = sum(size[o] for o in size if o in holds), size["output"] if "output" in holds else 0
            slowest = max(slowest, -(-(max(read, written) if ports > 1 else read + written) // bandwidth))
        return slowest


def _small(planes: Planes, arch: Arch, array: Systolic, fixed: PassChoice, parameters: int) -> list[Passes]:
    """Return the smallest mapping, and all that fit with parts doubled: for chips with less room than shares need.

    Raises MappingError or CapacityError where not even the smallest fits.
    """
    kernel, (rows, columns) = planes.kernel, planes.axes
    most = {"e": rows.out, "f": columns.out, "n": 1 if planes.outside else planes.images, "p": kernel.filters,
            "q": kernel.channels, "r": kernel.channels, "t": kernel.filters}  # fmt: skip
    least = {key: getattr(fixed, key) or 1 for key in most}
    first = Passes(fixed.m or least["p"] * least["t"], **least, rows=min(rows.kernel, array.rows),
                   taps=_taps(planes, array))  # fmt: skip
    check(planes, first, arch, parameters)
    found = [first]
    for key in (key for key in most if getattr(fixed, key) is None):
        for passes in found[:]:
            while (size := getattr(passes, key)) < most[key]:
                passes = replace(passes, **{key: min(2 * size, most[key])})
                passes = replace(passes, m=fixed.m or passes.p * passes.t)
                if not _fits(planes, passes, arch, parameters):
                    break
                found.append(passes)
    return found


def _fits(planes: Planes, passes: Passes, arch: Arch, parameters: int) -> bool:
    try:
        check(planes, passes, arch, parameters)
    except MappingError:
        return False
    return True
