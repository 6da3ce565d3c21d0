"""How wide each stage is: the shortest interval between images for which the cheapest widths fit the budget.

A stage is as slow as it may be and as cheap as it can be: for an interval, each takes the fewest multiplier blocks that
keep it (then memory blocks, then look-up tables), so that all are balanced. Multipliers only fall as the interval
grows: bisection finds the shortest that they allow. Memory blocks do not (a wide, shallow memory wastes them): from
there on every interval that the stages can have is tried until one fits. The folding of FINN (Umuroglu et al.,
FPGA 2017): SIMD divides the inputs of a vector, PE its outputs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

from sim.arch import Arch, Fabric
from sim.fabric.cost import BRAM18_BITS, NOTHING, URAM_BITS, URAM_WORDS, Cost, Formats, lanes, large, memory, multiply
from sim.fabric.stages import Product, Stage, windows


@dataclass(frozen=True)
class Fold:
    """A width of a stage: `pe` outputs by `simd` inputs a cycle, or `pe` lanes; cycles of an image, and blocks.

    `streamed`: its weights come from off chip. `uram` is what its weights would take there instead of `bram18`.
    """

    pe: int
    simd: int
    cycles: int
    cost: Cost
    weights: Cost = NOTHING
    uram: int = 0
    streamed: bool = False

    @property
    def macs(self) -> int:
        """Products, or lanes, at work in a cycle."""
        return self.pe * self.simd


@dataclass(frozen=True)
class Plan:
    """The width of every stage, what all of it takes, and which stages keep their weights in UltraRAM."""

    folds: tuple[Fold, ...]
    cost: Cost
    uram: frozenset[int]

    @property
    def interval(self) -> int:
        """Cycles from an image to the next that no stage can go below."""
        return max(fold.cycles for fold in self.folds)


@dataclass(frozen=True)
class Need:
    """Why no widths fit: the block of which there are too few, what the least widths take, and what there is."""

    block: str
    needed: int
    available: int


class Folder:
    """Finds the widths of stages on a fabric."""

    def __init__(self, chip: Arch, fabric: Fabric) -> None:
        self.chip, self.fabric = chip, fabric
        self.formats = Formats.of(chip, fabric)
        self.sums = ceil(chip.bits("partial_sum"))
        self.bounded = chip.bounded
        self._buffers: dict[tuple[str, int, int], Cost] = {}
        self._ladders: dict[tuple[str, bool], list[Fold]] = {}

    def choose(self, stages: Sequence[Stage], streamed: frozenset[str], taken: Cost = NOTHING) -> Plan | Need:
        """Return the fastest widths beside what is `taken`, or what even the least widths lack."""
        ladders = [self.ladder(stage, stage.name in streamed) for stage in stages]
        slowest = max(ladder[-1].cycles for ladder in ladders)
        hopeless = self._hopeless(stages, ladders, taken)
        fastest = slowest if hopeless else max(ladder[0].cycles for ladder in ladders)
        intervals = sorted({f.cycles for ladder in ladders for f in ladder if fastest <= f.cycles <= slowest})
        room = self.fabric.dsp - taken.dsp
        first = bisect_left(intervals, True, key=lambda cycles: _multipliers(ladders, cycles) <= room)
        need = hopeless
        for interval in intervals[first:] or [slowest]:
            plan = self._plan(stages, ladders, interval, taken)
            lacking = self._need(plan.cost + taken)
            if lacking is None:
                return plan
            need = min(need or lacking, lacking, key=lambda n: n.needed)
        assert need is not None  # at least one interval was tried
        return need

    def _hopeless(self, stages: Sequence[Stage], ladders: Sequence[Sequence[Fold]], taken: Cost) -> Need | None:
        """Return the blocks that weights and buffers need at least, bit by bit, where there are not as many."""
        there = self.fabric.bram18
        if there is None or not self.bounded:
            return None
        buffers = sum(min(self.buffers(stage, fold).bram18 for fold in ladder)
                      for stage, ladder in zip(stages, ladders, strict=True))  # fmt: skip
        bits = sum(stage.matrix * self.formats.weight for stage, ladder in zip(stages, ladders, strict=True)
                   if min(fold.weights.bram18 for fold in ladder))  # fmt: skip
        left = max(0, bits - (self.fabric.uram - taken.uram) * URAM_WORDS * URAM_BITS)
        needed = buffers + ceil(left / BRAM18_BITS) + taken.bram18
        return Need("bram18", needed, there) if needed > there else None

    def ladder(self, stage: Stage, streamed: bool) -> list[Fold]:
        """Return the widths of a stage from the fastest to the slowest, each cheaper than all before it."""
        key = (stage.name, streamed)
        if key not in self._ladders:
            self._ladders[key] = self._ladder(stage, streamed)
        return self._ladders[key]

    def _ladder(self, stage: Stage, streamed: bool) -> list[Fold]:
        options = self._products(stage, streamed) if stage.products else self._lanes(stage)
        best: list[Fold] = []
        for fold in sorted(options, key=_price):
            if not best or fold.cycles < best[-1].cycles:
                best.append(fold)
        return best[::-1]

    def _products(self, stage: Stage, streamed: bool) -> list[Fold]:
        """Return PE by SIMD of all sizes; with streamed weights those that take a word of the port a cycle."""
        first = stage.products[0]
        stored = stage.matrix
        word = self.fabric.port.width * 8
        found = []
        for pe in divisors(first.columns * first.groups):
            for simd in divisors(first.depth):
                away = streamed and stored > 0
                if away and pe * simd * self.formats.weight > word:
                    continue
                cost = multiply(pe, simd, first.depth, self.formats.packed, self.formats.weight, self.formats.input,
                                stage.operations)  # fmt: skip
                words = 0 if away else ceil(stored / (pe * simd))
                bits = pe * simd * self.formats.weight
                cycles = sum(_cycles(product, pe, simd) for product in stage.products)
                found.append(Fold(pe, simd, cycles, cost, memory(words, bits), large(words, bits), away))
        widest = max((fold.macs for fold in found if fold.streamed), default=0)
        return [fold for fold in found if fold.macs >= widest]

    def _lanes(self, stage: Stage) -> list[Fold]:
        channels = stage.width
        return [
            Fold(count, 1, ceil(stage.elements / count), lanes(count, stage.operations, self.sums))
            for count in divisors(channels)
        ]

    def buffers(self, stage: Stage, fold: Fold) -> Cost:
        """Return the memories of a stage's inputs: line buffers, images that it waits for, the vector it replays."""
        key = (stage.name, fold.pe, fold.simd)
        if key not in self._buffers:
            self._buffers[key] = self._inputs(stage, fold)
        return self._buffers[key]

    def _inputs(self, stage: Stage, fold: Fold) -> Cost:
        bits, total = self.formats.input, Cost()
        for source in stage.sources:
            across = max(1, min(fold.simd if stage.products else fold.pe, source.width))
            words = ceil(source.width / across)
            if source.flow == "window":
                total += memory(held(stage) * words, across * bits)
            elif source.flow == "whole":
                total += memory(source.tokens * words, across * bits)
        for product in stage.products[:1]:
            if product.columns * product.groups > fold.pe:
                total += memory(product.depth // fold.simd, fold.simd * bits)
        return total

    def _plan(self, stages: Sequence[Stage], ladders: Sequence[Sequence[Fold]], interval: int, taken: Cost) -> Plan:
        """Return the cheapest widths that keep an interval; the weights that gain most go to UltraRAM."""
        folds = tuple(_slowest(ladder, interval) for ladder in ladders)
        room, there = self.fabric.uram - taken.uram, set[int]()
        gain = sorted(range(len(folds)), key=lambda i: (-folds[i].weights.bram18 / max(1, folds[i].uram), i))
        for index in gain:
            if folds[index].weights.bram18 and folds[index].uram <= room:
                room -= folds[index].uram
                there.add(index)
        cost = Cost()
        for index, (stage, fold) in enumerate(zip(stages, folds, strict=True)):
            weights = replace(fold.weights, bram18=0, uram=fold.uram) if index in there else fold.weights
            cost += fold.cost + weights + self.buffers(stage, fold)
        return Plan(folds, cost, frozenset(there))

    def _need(self, cost: Cost) -> Need | None:
        """Return the block of which `cost` takes more than there is; memories are unlimited where memory is ideal."""
        for block in ("dsp", "lut", "bram18"):
            there = getattr(self.fabric, block)
            memory_block = block == "bram18" and not self.bounded
            if there is not None and not memory_block and getattr(cost, block) > there:
                return Need(block, getattr(cost, block), there)
        return None


def _slowest(ladder: Sequence[Fold], interval: int) -> Fold:
    """Return the slowest width that keeps an interval."""
    return ladder[bisect_right(ladder, interval, key=lambda fold: fold.cycles) - 1]


def _multipliers(ladders: Sequence[Sequence[Fold]], interval: int) -> int:
    return sum(_slowest(ladder, interval).cost.dsp for ladder in ladders)


def _price(fold: Fold) -> tuple[int, ...]:
    return fold.cost.dsp, fold.weights.bram18, fold.cost.lut + fold.weights.lut, fold.cycles


def held(stage: Stage) -> int:
    """Return the tokens that the line buffer of a stage with a window holds."""
    return max(last + 1 - first for first, last in windows(stage.axes))


def _cycles(product: Product, pe: int, simd: int) -> int:
    return product.rows * ceil(product.depth / simd) * ceil(product.columns * product.groups / pe)


@lru_cache(maxsize=4096)
def divisors(size: int) -> tuple[int, ...]:
    """Return the divisors of a size, ascending."""
    small = [d for d in range(1, int(size**0.5) + 1) if size % d == 0]
    return tuple(sorted({*small, *(size // d for d in small)}))
