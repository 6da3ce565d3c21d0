"""FIFO sizing: the depths of the fewest bits found that lose no cycle, and what fewer bits cost.

More depth never makes a run longer: the firing rule is built of maxima and sums alone, and a slot less only adds to
them. So a depth that is too small for some depths of the others stays too small when those shrink: going through the
channels once, each down to the least depth that loses nothing, leaves depths of which none can lose a slot. Two things
break that rule: units that share a memory port may change places there, and a FIFO that is deep enough to be a memory
is slower than a shift register. There the channels are gone through until none has changed, from the depths that the
graph has where those are quicker than all the room there could be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from sim.errors import DeadlockError
from sim.streaming.graph import SHIFT_REGISTER, Graph
from sim.streaming.outcome import Outcome

Depths = dict[str, int]
BRAM18 = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""Words by bits of a RAMB18 (AMD UG573, UltraScale Architecture Memory Resources; 512 x 36 in simple dual port)."""
SHIFT_REGISTER_BITS = 1024
"""Up to either, Vitis HLS builds a FIFO from shift registers (UG1399, auto_srl_max_depth and auto_srl_max_bits)."""
CURVE_POINTS = 8


def bram18(depth: int, bits: int) -> int:
    """Return the RAMB18 of a FIFO of `depth` words of `bits`: those of the shape that needs the fewest."""
    if depth <= SHIFT_REGISTER or depth * bits <= SHIFT_REGISTER_BITS:
        return 0
    return min(ceil(depth / words) * ceil(bits / width) for words, width in BRAM18)


@dataclass(frozen=True)
class Choice:
    """Depths of all channels, what they cost, and the cycles of the run with them."""

    depths: Mapping[str, int]
    cycles: int
    bits: int
    bram18: int


@dataclass(frozen=True)
class Sizing:
    """`sized`: the fewest bits found at full throughput. `occupancy`: the peaks that a run without bounds shows.

    `proven`: no depths of fewer bits keep the throughput, as each channel is as shallow as it may be with all others
    unbounded. `curve`: from the fewest bits that run at all to `sized`, no point worse than another in both.
    """

    sized: Choice
    occupancy: Choice
    proven: bool
    curve: tuple[Choice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: by channel depth and occupancy, their costs, and the curve."""
        channels = {
            name: {"depth": depth, "peak_occupancy": self.occupancy.depths[name]}
            for name, depth in self.sized.depths.items()
        }
        both = {"depth": self.sized, "peak_occupancy": self.occupancy}
        costs = {key: {"bits": choice.bits, "bram18": choice.bram18} for key, choice in both.items()}
        curve = [asdict(choice) for choice in self.curve]
        return {"cycles": self.sized.cycles, "proven_fewest_bits": self.proven, "channels": channels,
                "cost": costs, "curve": curve}  # fmt: skip


class Sizer:
    """Tries depths on a graph, each combination once; `run` is the simulation."""

    def __init__(self, graph: Graph, run: Callable[[Graph], Outcome]) -> None:
        self.graph, self.run = graph, run
        self.names = list(graph.channels)
        self.memories = [name for name in self.names if graph.channels[name].deep_send is not None]
        self.monotone = not graph.ports and not self.memories
        self.least = {name: self._floor(name) for name in self.names}
        self._known: dict[tuple[int, ...], int | None] = {}

    def _floor(self, name: str) -> int:
        buffer = self.graph.buffer(name)
        return max(0 if buffer else 1, self.graph.channels[name].initial - buffer)

    def cycles(self, depths: Mapping[str, int]) -> int | None:
        """Return the cycles with these depths, None where they deadlock."""
        key = tuple(depths[name] for name in self.names)
        if key not in self._known:
            found = self.run(self.graph.with_depths(dict(depths)))
            self._known[key] = None if found.blocked else found.cycles
        return self._known[key]

    def choice(self, depths: Mapping[str, int]) -> Choice:
        """Return the depths with their cost; they must not deadlock."""
        sizes = [(depth, self.graph.channels[name].bits) for name, depth in depths.items()]
        cycles = self.cycles(depths)
        if cycles is None:
            raise ValueError(f"these depths deadlock: {depths}")
        return Choice(dict(depths), cycles, sum(d * b for d, b in sizes), sum(bram18(d, b) for d, b in sizes))

    def occupancy(self) -> Depths:
        """Return the peak of each channel in a run without bounds; with these depths it takes no longer.

        Raises DeadlockError where even that run blocks.
        """
        found = self.run(self.graph.with_depths(dict.fromkeys(self.names)))
        if found.blocked:
            units = list(self.graph.units)
            raise DeadlockError([f"{units[unit]} waits for a token that no depth can bring" for unit in found.blocked])
        depths = {
            name: max(self.least[name], peak - self.graph.buffer(name))
            for name, peak in zip(self.names, found.peak, strict=True)
        }
        at_once = [name for name in self.names if self.graph.channels[name].credit == 0]
        while at_once and not self._good(depths, found.cycles):  # a push before the pop of its cycle: no peak shows it
            depths |= {name: depths[name] + 1 for name in at_once}
        return depths

    def quickest(self, peaks: Depths) -> Depths:
        """Return `peaks`, or the graph's own depths where more room makes the run longer, as it may with ports."""
        if self.monotone:
            return peaks
        own = {name: peaks[name] if (depth := self.graph.channels[name].depth) is None else depth for name in peaks}
        found, enough = self.cycles(own), self.cycles(peaks)
        return own if found is not None and enough is not None and found < enough else peaks

    def shrink(self, start: Depths, order: Iterable[str], enough: int | None) -> Depths:
        """Return `start` with each channel in turn as shallow as it may be: within `enough` cycles, or running."""
        depths, before, order = dict(start), dict[str, int](), list(order)
        while depths != before:
            before = dict(depths)
            for name in order:
                depths[name] = self._shallowest(depths, name, enough)
            if self.monotone:
                break
        return depths

    def _shallowest(self, depths: Depths, name: str, enough: int | None) -> int:
        """Return the least depth of `name` beside the other depths, which are good with its own.

        Small depths are tried first: they are the likely ones, and the runs with them settle soonest.
        """
        low, high, reach = self.least[name], depths[name], 0
        if name in self.memories and low <= SHIFT_REGISTER < high:
            quick = self._good({**depths, name: SHIFT_REGISTER}, enough)
            low, high = (low, SHIFT_REGISTER) if quick else (SHIFT_REGISTER + 1, high)
        while low < high:
            tried = min(low + reach, (low + high) // 2)
            if self._good({**depths, name: tried}, enough):
                high = tried
            else:
                low, reach = tried + 1, 2 * reach + 1
        return high

    def _good(self, depths: Depths, enough: int | None) -> bool:
        cycles = self.cycles(depths)
        return cycles is not None and (enough is None or cycles <= enough)

    def is_least(self, depths: Depths, unbounded: Depths, enough: int | None) -> bool:
        """Return whether each channel needs its depth even with all others unbounded: then none may have less.

        Each FIFO is taken as fast as it is at any depth. Where units share ports this proves nothing: never there.
        """
        if self.memories:
            quick = self._quick()
            return quick.is_least(depths, quick.occupancy(), enough)
        deep = [name for name in self.names if depths[name] > self.least[name]]
        return self.monotone and not any(self._good({**unbounded, name: depths[name] - 1}, enough) for name in deep)

    def _quick(self) -> Sizer:
        channels = {name: replace(channel, deep_send=None) for name, channel in self.graph.channels.items()}
        return Sizer(replace(self.graph, channels=channels), self.run)


def size(graph: Graph, run: Callable[[Graph], Outcome]) -> Sizing:
    """Return the sizing of a graph that has passed the checks; DeadlockError where no depths let it run."""
    sizer = Sizer(graph, run)
    peaks = sizer.occupancy()
    start = sizer.quickest(peaks)
    enough = sizer.cycles(start)
    orders = _orders(sizer, start)
    sized = sizer.shrink(start, orders[0], enough)
    proven = sizer.is_least(sized, peaks, enough)
    if not proven:
        others = [sizer.shrink(start, order, enough) for order in orders[1:]]
        sized = min((sized, *others), key=lambda depths: sizer.choice(depths).bits)
    running = sizer.shrink(sized, _orders(sizer, sized)[0], None)
    return Sizing(sizer.choice(sized), sizer.choice(peaks), proven, _curve(sizer, running, sized))


def _orders(sizer: Sizer, high: Mapping[str, int]) -> list[list[str]]:
    """Return orders in which to shrink the channels: the most bits to save first, the fewest first, and as written."""
    saving = {name: (high[name] - sizer.least[name]) * sizer.graph.channels[name].bits for name in sizer.names}
    by_saving = sorted(sizer.names, key=lambda name: -saving[name])
    return [by_saving, by_saving[::-1], sizer.names, sizer.names[::-1]]


def _curve(sizer: Sizer, low: Depths, high: Depths) -> tuple[Choice, ...]:
    steps = [
        {name: low[name] + ceil((high[name] - low[name]) * step / CURVE_POINTS) for name in sizer.names}
        for step in range(CURVE_POINTS + 1)
    ]
    return tuple(_front([sizer.choice(depths) for depths in steps]))


def _front(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices in order of bits, without those that another equals or beats in both bits and cycles."""
    front: list[Choice] = []
    for choice in sorted(choices, key=lambda choice: (choice.bits, choice.cycles)):
        if not front or choice.cycles < front[-1].cycles:
            front.append(choice)
    return front
