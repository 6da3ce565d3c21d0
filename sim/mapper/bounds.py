"""Lower bounds of the cycles of candidates: what each unit, each port and each slot has to do at least."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from sim.arch import Arch
from sim.dataflow import Dim
from sim.frontend import LOOKAHEAD
from sim.mapper.grid import Grid, Vector
from sim.mapper.holding import Holding, Picked
from sim.mapper.times import ArrayTimes
from sim.planner import Surroundings


class Ends:
    """What is left when the last load of each loop pattern is made: array cycles, and whether it is one output."""

    def __init__(
        self, scopes: Sequence[frozenset[Dim]], remaining: dict[frozenset[Dim], Vector], single: Sequence[bool]
    ) -> None:
        self.remaining = np.stack([remaining[inside] for inside in scopes])
        self.single = np.array(single)[:, None]


def ports_of(arch: Arch) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Yield each port that has a limit: bytes a cycle, and the (operand, way) that pass it."""
    for buffer in arch.buffers.values():
        if buffer.bandwidth is not None:
            ways = [[(str(operand), way) for operand in buffer.holds] for way in ("read", "write")]
            for port in ways if buffer.ports > 1 else [[*ways[0], *ways[1]]]:
                yield buffer.bandwidth, port


class Bounds:
    """Bounds the candidates of a grid under loop patterns, given the ways in which these hold the operands."""

    def __init__(self, grid: Grid, times: ArrayTimes, holding: Holding, arch: Arch, around: Surroundings) -> None:
        self.grid, self.times, self.holding, self.arch, self.around = grid, times, holding, arch, around
        self.channel = holding.channel

    def bound(self, picked: dict[str, Picked], busy: Vector, ends: Ends) -> tuple[Vector, Vector]:
        """Return (lower bound of the cycles, bytes moved off chip).

        The array cannot stream before the parameters, first weights and inputs are there, then has all its
        folds to do, and the last output must be processed and stored. After the last load the tiles in its
        scope and the last store are to do; where that is one output, all but the LOOKAHEAD + 1 stores before came
        first. The channel has all transfers to do, the lanes all outputs.
        """
        bits, outputs = self.arch.bits, float(prod(self.grid.full[d] for d in "gmn"))
        operands = [o for o in picked if o != "output"]
        start, loads = (np.zeros(picked["output"].moved.shape) for _ in range(2))
        for operand in operands:
            start += picked[operand].first
            loads += picked[operand].loads
        loads += picked["output"].loads
        lane_cycles, latency = self._lanes()
        rest = picked["output"].last * lane_cycles + latency
        moved = sum(picked[o].moved for o in operands) + 2 * picked["output"].moved
        if "output" not in self.around.on_chip:
            moved = moved + outputs * bits("output") / 8
            rest = rest + self.holding.cycles(picked["output"].last * bits("output") / 8, "output")
        lead = self.channel.latency if operands else 0
        stores = picked["output"].stores
        early = np.maximum(0, stores - (LOOKAHEAD + 1) * picked["output"].first) * ends.single
        start += lead
        array, fetch = start + busy + rest, lead + loads + early + ends.remaining + rest
        lanes = start + self.times.last + outputs * lane_cycles + latency
        moving = np.maximum(np.maximum(loads + stores, self._link(picked)), self._passing(picked))
        least = np.maximum(np.maximum(array, fetch), np.maximum(lanes, moving))
        return np.floor(np.maximum(least, self._turns(picked, start, rest, stores))), moved

    def _turns(self, picked: dict[str, Picked], start: Vector, rest: Vector, stores: Vector) -> Vector:
        """Return the cycles in which tiles take turns in their slots: no more than these are held at any time.

        A tile of an operand holds its slot from its load to the end of its last stream, one of outputs from its
        first stream until it is processed and stored. The tiles of the last size leave the shortest tail. What stays
        in the PEs is shifted in before the first stream.
        """
        least: Vector = np.zeros(1)
        lane_cycles, latency = self._lanes()
        outputs, streams = float(prod(self.grid.full[d] for d in "gmn")), self.times.busy - self.times.ends
        stationary = self.times.flow.stationary
        for operand, held in picked.items():
            if operand == "parameter":
                continue
            slots = self.arch.buffers[self.arch.buffer_of(operand)].slots
            if operand == "output":
                lag = held.count * (self.times.ends + np.where(held.moved == 0, latency, 0))
                turns = start + (streams + outputs * lane_cycles + lag + stores) / slots
                turns = np.maximum(turns, start + self._beside(streams + lag + stores, slots))
            else:
                shifted = self.times.shift if operand == stationary else 0
                holding = held.loads + held.count * (self.channel.latency + shifted - self.times.gap)
                turns = (streams + holding) / slots + rest
            least = np.maximum(least, turns)
        return least

    def _beside(self, held: Vector, slots: int) -> Vector:
        """Return the cycles in which tiles of outputs take turns where lanes share a port with the array.

        Tiles are `held` for these cycles, and processed. In P cycles of processing the port passes all bytes of the
        lanes, and those of the array but what it moves in the T - P other cycles, at most at its rate r: with the
        bandwidth b, P (b - r) >= bytes - T r; and slots T >= held + P.
        """
        least: Vector = np.zeros(1)
        outputs = float(prod(self.grid.full[d] for d in "gmn")) * self.arch.bits("partial_sum") / 8
        for bandwidth, ways in ports_of(self.arch) if self._lanes()[0] else ():
            sums = [way for way in ways if way[0] == "output"]
            if sums:
                rate = np.minimum(bandwidth, self.times.rate() * len(sums))
                passed = sum((self.times.accesses(*way) + outputs for way in sums), start=np.zeros(1))
                left = bandwidth - rate
                least = np.maximum(least, (held * left + passed) / (slots * left + rate))
        return least

    def _passing(self, picked: dict[str, Picked]) -> Vector:
        """Return the cycles that the busiest port needs for all that passes it: of array, transfers and lanes."""
        slowest: Vector = np.zeros(1)
        for bandwidth, ways in ports_of(self.arch):
            moved = sum((self._transfers(picked, *way) + self.times.accesses(*way) for way in ways), start=np.zeros(1))
            slowest = np.maximum(slowest, moved / bandwidth)
        return slowest

    def _transfers(self, picked: dict[str, Picked], operand: str, way: str) -> Vector | float:
        """Return the bytes of an operand that transfers and lanes read or write on chip."""
        if operand not in picked or (operand != "output" and way == "read"):
            return 0.0
        moved: Vector | float = picked[operand].moved
        if operand == "output":
            outputs, bits = float(prod(self.grid.full[d] for d in "gmn")), self.arch.bits
            moved = moved + (outputs * bits("partial_sum") / 8 if self._lanes()[0] else 0.0)
            if way == "read" and "output" not in self.around.on_chip:
                moved = moved + outputs * bits("output") / 8
        return moved

    def _link(self, picked: dict[str, Picked]) -> Vector | float:
        """Return the cycles that the link needs: what all arrays share is sent to the others, partial sums added."""
        link, arrays = self.arch.link, self.times.array.count
        shared = {"m": "weight", "n": "input"}.get(self.times.split or "")
        if link is None or arrays == 1:
            return 0.0
        if self.times.split == "k":
            sums = float(prod(self.grid.full[d] for d in "gmn")) * self.arch.bits("partial_sum") / 8
            others = self.grid.each("k", lambda tiles: sum(count * (min(arrays, size) - 1) for count, size, _ in tiles))
            return sums * others / link.bandwidth
        return picked[shared].moved * (arrays - 1) / link.bandwidth if shared in picked else 0.0

    def _lanes(self) -> tuple[float, int]:
        """Return (lane cycles an output of the fused work at least, latency behind them)."""
        vector, epilogue = self.arch.vector, self.around.epilogue
        if vector is None or not epilogue:
            return 0.0, 0
        operations = sum(count * vector.cycles(kind) for work in epilogue for kind, count in work.operations)
        pace = float(vector.pace(self.arch.clock))
        lanes = max(1.0, operations / epilogue[0].outputs) / self.arch.lanes * pace
        size = self.arch.bits("partial_sum") / 8
        ports = [sum(size for o, _ in ways if o == "output") / width for width, ways in ports_of(self.arch)]
        return max([lanes, *ports]), int(vector.latency * pace)
