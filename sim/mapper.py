"""The search over mappings: every candidate bounded at once in numpy, the best of them run by the engine.

A candidate is simulated only while its lower bound could still win, so the answer is that of an
exhaustive search: the least cycles, then the least energy, then the first in order. Candidates depend on
capacities only through what fits, so a chip with more memory has all candidates of the smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import arch as arch_module
from sim.arch import OPERANDS, Arch, MappingChoice, Systolic
from sim.dataflow import DATAFLOWS, Dim
from sim.engine import Engine, Read, Stage
from sim.errors import CapacityError, MappingError
from sim.hardware.array import tile_timing
from sim.kernel import Contraction
from sim.mapping import RELEVANT, Mapping, Tiling, check, flat, row_runs, runs, window
from sim.plan import Plan, TileWork
from sim.planner import ALONE, Surroundings, fold_count, plan_contraction

DIMS: tuple[Dim, Dim, Dim] = ("m", "n", "k")
Vectors = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Prices:
    """Picojoules a byte: off chip, and on chip by operand (read, write). Ties in cycles go to the cheapest."""

    off_chip: float = 1.0
    reads: dict[str, float] = field(default_factory=dict)
    writes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A mapping that the engine has run: its plan, its cycles alone, and how many others were run."""

    mapping: Mapping
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
) -> Choice:
    """Return the best mapping of `kernel` on `arch` within what the user fixed in `wish`.

    Raises MappingError or CapacityError (needed, available, the nearest that fits) where none is legal.
    """
    wish = wish or MappingChoice()
    if not arch.bounded:
        return _whole(kernel, arch, unit, around, wish)
    best: Choice | None = None
    least = (float("inf"), float("inf"))
    simulated = 0
    for bound, energy, mapping in _ranked(kernel, arch, around, wish, prices or Prices()):
        if (bound, energy) >= least:
            break
        plan = plan_contraction(Tiling(kernel, mapping), arch, unit, around)
        cycles = Engine(arch).run(lone_stage(plan, around)).cycles
        simulated += 1
        if (cycles, energy) < least:
            least, best = (cycles, energy), Choice(mapping, plan, cycles, 0)
    if best is None:
        raise _nothing_fits(kernel, arch, around, wish)
    return replace(best, simulated=simulated)


def lone_stage(plan: Plan, around: Surroundings) -> list[Stage]:
    """Return the plan as a run of its own, with nothing to wait for."""
    return [Stage(plan, 0, tuple(Read(o, o, True) for o in sorted(around.on_chip) if o != "output"))]


def _whole(kernel: Contraction, arch: Arch, unit: str, around: Surroundings, wish: MappingChoice) -> Choice:
    """Without limits one tile holds everything: choose only how groups and arrays share it."""
    array = _array(arch)
    trials = []
    for split, packed in product(_splits(array, wish), _packs(kernel, array, wish)):
        tile = Mapping(
            m=wish.tile.m or kernel.m, n=wish.tile.n or kernel.n, k=wish.tile.k or kernel.k, g=kernel.groups,
            order=_order(wish) or DIMS, hold=_held(_order(wish) or DIMS, wish), packed=packed,
            lowering=_lowering(wish), split=split,
        )  # fmt: skip
        tiling = Tiling(kernel, tile)
        check(tiling, arch)
        plan = plan_contraction(tiling, arch, unit, around)
        trials.append(Choice(tile, plan, Engine(arch).run(lone_stage(plan, around)).cycles, 1))
    return min(trials, key=lambda choice: choice.cycles)


def _array(arch: Arch) -> Systolic:
    arch.unit_name(Systolic)
    assert arch.array is not None  # unit_name has raised where there is none
    return arch.array


def _order(wish: MappingChoice) -> tuple[Dim, Dim, Dim] | None:
    return (wish.order[0], wish.order[1], wish.order[2]) if wish.order else None


def _lowering(wish: MappingChoice) -> str:
    return "im2col" if wish.lowering == "auto" else wish.lowering


def _splits(array: Systolic, wish: MappingChoice) -> Sequence[Dim | None]:
    if array.count == 1:
        return (None,)
    return DIMS if wish.split == "auto" else (wish.split,)


def _packs(kernel: Contraction, array: Systolic, wish: MappingChoice) -> list[int]:
    """Return how many groups may lie on the array at once, block-diagonally: 1, and as many as fit whole."""
    flow = DATAFLOWS[array.dataflow]
    fits = min(array.rows // getattr(kernel, flow.row), array.cols // getattr(kernel, flow.col), kernel.groups)
    if wish.groups == "serial" or fits <= 1:
        return [1]
    return [fits] if wish.groups == "packed" else [1, fits]


def _held(order: tuple[Dim, Dim, Dim], wish: MappingChoice) -> tuple[tuple[str, int], ...]:
    """Return the holds that keep each operand just as long as its tile does not change."""
    return tuple(
        (o, 0 if o in (wish.resident or ()) else max(order.index(d) for d in RELEVANT[o]) + 1) for o in OPERANDS
    )


def _hold_options(order: tuple[Dim, Dim, Dim], operand: str, wish: MappingChoice) -> list[int]:
    """Return the levels at which holding `operand` differs: 0, and below each loop that changes it."""
    if wish.resident and operand in wish.resident:
        return [0]
    return [0, *(i + 1 for i, dim in enumerate(order) if dim in RELEVANT[operand])]


def patterns(wish: MappingChoice) -> list[tuple[tuple[Dim, Dim, Dim], tuple[int, ...]]]:
    """Return every loop order with every level at which its operands may be held, equal reuse only once."""
    found: dict[tuple[Any, ...], tuple[tuple[Dim, Dim, Dim], tuple[int, ...]]] = {}
    orders = [_order(wish)] if wish.order else list(permutations(DIMS))
    for order in orders:
        assert order is not None  # a list of permutations, or the one wished for
        for levels in product(*(_hold_options(order, o, wish) for o in OPERANDS)):
            inside = tuple(frozenset(order[level:]) for level in levels)
            found.setdefault(inside, (order, levels))
    return list(found.values())


def sizes(total: int, step: int, align: int) -> list[int]:
    """Return tile sizes of a dimension: it halved again and again, and multiples of `align`, in units of `step`.

    Ascending, at most `total`, each a multiple of `step` (but `total` itself).
    """
    units = -(-total // step)
    halves = {-(-units // 2**i) for i in range(units.bit_length())}
    aligned = {a for i in range(units.bit_length()) if (a := align * 2**i) < units}
    return sorted(min(total, u * step) for u in _thin(sorted(halves | aligned)))


def _thin(units: list[int], most: int = 12) -> list[int]:
    """Keep the largest sizes: small tiles only cost more transfers and folds."""
    return units[-most:]


def row_sizes(kernel: Contraction, align: int) -> list[int]:
    """Return tile sizes of M: whole images, whole output rows of one, cuts of a row."""
    if not kernel.axes:
        return sizes(kernel.m, 1, align)
    inner = kernel.positions // kernel.axes[0].out
    found = {kernel.positions * b for b in sizes(kernel.batch, 1, 1)}
    found |= {inner * r for r in sizes(kernel.axes[0].out, 1, max(1, align // gcd(align, inner)))}
    return sorted(found | set(sizes(inner, 1, align)))[-16:]


def _axis_sizes(kernel: Contraction, array: Systolic, wish: MappingChoice, dim: Dim) -> list[int]:
    fixed = getattr(wish.tile, dim)
    if fixed is not None:
        return [min(fixed, getattr(kernel, dim))]
    flow = DATAFLOWS[array.dataflow]
    pes = array.rows if dim == flow.row else array.cols if dim == flow.col else 1
    if dim == "m":
        return row_sizes(kernel, pes)
    if dim == "k":
        return sizes(kernel.k, kernel.taps, pes // gcd(pes, kernel.taps))
    return sizes(kernel.n, 1, pes)


def _ranked(
    kernel: Contraction, arch: Arch, around: Surroundings, wish: MappingChoice, prices: Prices
) -> list[tuple[float, float, Mapping]]:
    """Return all candidates that fit as (bound, energy, mapping), the most promising first."""
    array, found = _array(arch), list[tuple[float, float, int, Mapping]]()
    grid = [_axis_sizes(kernel, array, wish, dim) for dim in DIMS]
    for split, packed in product(_splits(array, wish), _packs(kernel, array, wish)):
        groups = [g for g in sizes(kernel.groups, packed, 1) if g >= packed or g == kernel.groups]
        table = _Table(kernel, arch, around, split, packed, _lowering(wish), groups, grid, prices)
        for order, levels in patterns(wish):
            for bound, energy, index in table.bounds(order, levels):
                g, m, n, k = table.tile(index)
                hold = tuple(zip(OPERANDS, levels, strict=True))
                mapping = Mapping(m, n, k, g, order, hold, packed, _lowering(wish), split)
                found.append((bound, energy, len(found), mapping))
    found.sort(key=lambda entry: entry[:3])
    return [(bound, energy, mapping) for bound, energy, _, mapping in found]


class _Table:
    """All tile sizes of a contraction at once: what they cost, as vectors over the (g, m, n, k) grid."""

    def __init__(
        self, kernel: Contraction, arch: Arch, around: Surroundings, split: Dim | None, packed: int, lowering: str,
        groups: list[int], grid: list[list[int]], prices: Prices,
    ) -> None:  # fmt: skip
        self.kernel, self.arch, self.around, self.prices = kernel, arch, around, prices
        self.array = _array(arch)
        self.flow = DATAFLOWS[self.array.dataflow]
        self.split, self.packed, self.lowering = split, packed, lowering
        self.axes = [np.array(axis) for axis in (groups, *grid)]
        self.shape = tuple(len(axis) for axis in self.axes)
        self.size: dict[str, NDArray[np.float64]] = {
            d: self._spread(i, axis) for i, (d, axis) in enumerate(zip("gmnk", self.axes, strict=True))
        }
        self.full: dict[str, float] = {"g": kernel.groups, "m": kernel.m, "n": kernel.n, "k": kernel.k}
        self.count = {d: self._each(i, lambda t, d=d: sum(c for c, _, _ in self._tiles(d, t)))
                      for i, d in enumerate("gmnk")}  # fmt: skip
        self.window = self._each(1, lambda t: max(w for _, _, w in self._tiles("m", t)))
        self.windows = self._each(1, lambda t: sum(c * w for c, _, w in self._tiles("m", t)))
        self._compute()

    def _spread(self, axis: int, values: Any) -> NDArray[np.float64]:
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        return np.array(values, dtype=np.float64).reshape(shape)

    def _each(self, axis: int, function: Any) -> NDArray[np.float64]:
        return self._spread(axis, [function(int(t)) for t in self.axes[axis]])

    def _tiles(self, dim: str, size: int) -> list[tuple[int, int, int]]:
        if dim == "m":
            return flat(row_runs(self.kernel.batch, self.kernel.axes, size))
        return flat(runs(int(self.full[dim]), size))

    def tile(self, index: int) -> tuple[int, int, int, int]:
        """Return the tile sizes (g, m, n, k) at a flat index of the grid."""
        at = np.unravel_index(index, self.shape)
        g, m, n, k = (int(axis[i]) for axis, i in zip(self.axes, at, strict=True))
        return g, m, n, k

    def _compute(self) -> None:
        """Work out the array's cycles: folds on the sides times intervals of the stream, and one tile's."""
        busy, last = np.ones(self.shape), np.ones(self.shape)
        folds: dict[Dim, NDArray[np.float64]] = {}
        for i, dim in enumerate(DIMS):
            if dim == self.flow.stream:
                total = self._each(i + 1, lambda t, d=dim: self._over(d, t, self._interval))
                final = self._each(i + 1, lambda t, d=dim: self._interval(self._tiles(d, t)[-1][1]))
            else:
                total = self._each(i + 1, lambda t, d=dim: self._over(d, t, lambda s, d=d: self._folds(d, s)))
                final = self._each(i + 1, lambda t, d=dim: self._folds(d, self._tiles(d, t)[-1][1]))
                folds[dim] = total
            busy, last = busy * total, last * final
        packs = self._each(0, lambda t: sum(c * -(-s // self.packed) for c, s, _ in self._tiles("g", t)))
        final_packs = self._each(0, lambda t: -(-self._tiles("g", t)[-1][1] // self.packed))
        ends = self._each(1 + DIMS.index(self.flow.stream), self._tail_less_interval)
        self.busy, self.last = busy * packs + ends, last * final_packs + ends
        self.folds = folds

    def _share(self, dim: Dim, size: int) -> int:
        return -(-size // self.array.count) if dim == self.split else size

    def _folds(self, dim: Dim, size: int) -> int:
        pes = self.array.rows if dim == self.flow.row else self.array.cols
        return fold_count(self.kernel, self.lowering, dim, self._share(dim, size), pes)

    def _interval(self, size: int) -> int:
        return self._timing(size).interval

    def _timing(self, size: int) -> Any:
        work = TileWork(1, self._share(self.flow.stream, size), 0, 0, 1, (), ())
        return tile_timing(self.array, work)

    def _tail_less_interval(self, size: int) -> int:
        timing = self._timing(self._tiles(self.flow.stream, size)[-1][1])
        return timing.tail - timing.interval

    def _over(self, dim: Dim, size: int, cost: Any) -> int:
        return sum(count * cost(s) for count, s, _ in self._tiles(dim, size))

    def _held(self, operand: str, inside: Sequence[Dim]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (elements of the largest tile held, elements brought in over the layer) of an operand."""
        kernel, g = self.kernel, self.size["g"]
        outer = prod((self.count[d] for d in DIMS if d not in inside and d not in RELEVANT[operand]), start=1.0)
        if operand == "input":
            whole = kernel.batch * window(kernel.axes, 0, kernel.positions)
            depth = (self.full["k"] if "k" in inside else self.size["k"]) // kernel.taps
            read = whole if "m" in inside else self.window
            moved = kernel.groups * kernel.channels * (whole if "m" in inside else self.windows)
            return g * read * np.maximum(depth, 1), moved * outer
        held = prod((self.full[d] if d in inside else self.size[d] for d in RELEVANT[operand]), start=g)
        return held, prod(self.full[d] for d in ("g", *RELEVANT[operand])) * outer

    def bounds(self, order: tuple[Dim, Dim, Dim], levels: Sequence[int]) -> list[tuple[float, float, int]]:
        """Return (lower bound of cycles, energy, flat index) of each tile that fits with these loops."""
        arch, on_chip = self.arch, self.around.on_chip
        held, moved, used = {}, {}, dict.fromkeys(arch.buffers, np.zeros(self.shape))
        for operand, level in zip(OPERANDS, levels, strict=True):
            inside = order[level:]
            elements, moved[operand] = self._held(operand, inside)
            width = arch.bits("partial_sum" if operand == "output" else operand) / 8
            held[operand] = elements * width
            if operand in on_chip and operand != "output":
                continue
            loads = self.count["g"] * prod((self.count[d] for d in order[:level]), start=1.0)
            name = arch.buffer_of(operand)
            slots = np.minimum(arch.buffers[name].slots, loads)
            used[name] = used[name] + np.ceil(held[operand]) * slots
        fits = np.ones(self.shape, dtype=bool)
        for name, buffer in arch.buffers.items():
            fits &= used[name] <= buffer.tile_capacity
        index = np.flatnonzero(fits)
        if not index.size:
            return []
        bound, energy = self._bound(order, levels, held, moved)
        picked = (np.broadcast_to(v, self.shape).ravel()[index] for v in (bound, energy))
        return list(zip(*(v.tolist() for v in picked), index.tolist(), strict=True))

    def _bound(
        self, order: tuple[Dim, Dim, Dim], levels: Sequence[int], held: Vectors, moved: Vectors
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a lower bound of the cycles, and the energy of what is moved."""
        arch, on_chip = self.arch, self.around.on_chip
        channel = arch_module.channel(arch)
        assert channel is not None  # only bounded memory is searched
        per_byte = float(channel.cycles_per_burst) / channel.burst
        spilled = 0.0 if "k" in order[levels[2] :] else (self.count["k"] - 1)
        outputs = float(prod(self.full[d] for d in "gmn"))
        bytes_moved = 2 * spilled * outputs * arch.bits("partial_sum") / 8
        first = np.zeros(self.shape)
        for operand in ("weight", "input"):
            if operand not in on_chip:
                bytes_moved = bytes_moved + moved[operand] * arch.bits(operand) / 8
                first = first + held[operand] * per_byte * self._smallest(operand, order, levels)
        store = 0.0
        if "output" not in on_chip:
            bytes_moved = bytes_moved + outputs * arch.bits("output") / 8
        traffic = bytes_moved * per_byte
        lead = channel.latency if first.any() else 0
        compute = lead + first + self.busy + store
        memory = lead + traffic + np.where(traffic > 0, self.last, 0)
        bound = np.floor(np.maximum(compute, memory))
        return bound, bytes_moved * self.prices.off_chip + self._on_chip_energy()

    def _smallest(self, operand: str, order: tuple[Dim, Dim, Dim], levels: Sequence[int]) -> float:
        """Return the share of the largest tile that the first one has at least: windows differ at the edges."""
        if operand == "weight" or "m" in order[levels[1] :]:
            return 1.0
        return 0.0 if self.kernel.axes else 1.0

    def _on_chip_energy(self) -> NDArray[np.float64]:
        total: NDArray[np.float64] = np.zeros(self.shape)
        for operand in OPERANDS:
            width = self.arch.bits("partial_sum" if operand == "output" else operand) / 8
            again = prod((f for d, f in self.folds.items() if d not in RELEVANT[operand]), start=np.ones(self.shape))
            elements = prod(self.full[d] for d in ("g", *RELEVANT[operand])) * again
            price = self.prices.reads.get(operand, 0.0)
            price += self.prices.writes.get(operand, 0.0) if operand == "output" else 0.0
            total = total + elements * width * price
        return total


def _nothing_fits(kernel: Contraction, arch: Arch, around: Surroundings, wish: MappingChoice) -> Exception:
    """Return the error that says which operand of the wished (or smallest) tile needs too much, and where."""
    array = _array(arch)
    smallest = {dim: _axis_sizes(kernel, array, wish, dim)[0] for dim in DIMS}
    order = _order(wish) or DIMS
    mapping = Mapping(**smallest, g=1, order=order, hold=_held(order, wish), lowering=_lowering(wish))
    try:
        check(Tiling(kernel, mapping), arch, around.on_chip)
    except CapacityError as error:
        return error
    return MappingError(f"{kernel.name}: no mapping fits the buffers of '{arch.name}'")
