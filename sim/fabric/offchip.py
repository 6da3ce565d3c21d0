"""The memory behind a fabric's port: weights that are loaded before each part, and what DRAM did in all of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, fsum
from typing import Any

from sim.accounting import share_out
from sim.arch import Arch, Dram, Fabric
from sim.arch import channel as off_chip
from sim.energy.memory import dram_costs, dram_counts
from sim.fabric.execute import PartRun
from sim.fabric.wiring import PORT, Places, ports, weights_of, word
from sim.result import Layer
from sim.streaming.graph import Channel, Graph, Phase, Unit
from sim.streaming.outcome import Outcome
from sim.streaming.simulate import outcome
from sim.streaming.units.memory import Reader


@dataclass
class OffChip:
    """The port and the memory of a run. Every part, and every loading of weights, finds the controllers idle."""

    chip: Arch
    fabric: Fabric
    runs: Sequence[PartRun]
    places: Places

    @cached_property
    def loads(self) -> list[int]:
        """The words of weights that are loaded before each part; a single part has them from its configuration."""
        if len(self.runs) == 1 or off_chip(self.chip) is None:
            return [0] * len(self.runs)
        return [ceil(sum(self._weights(run).values()) / word(self.chip, self.fabric)) for run in self.runs]

    @cached_property
    def load_cycles(self) -> list[int]:
        """The cycles of each loading: the latency and a word a cycle, or what the DRAM's controllers need."""
        line, port = off_chip(self.chip), self.fabric.port
        wait = (line.latency if line else 0) + port.read_latency
        return [
            found.cycles if found else words + wait if words else 0
            for words, found in zip(self.loads, self._loading, strict=True)
        ]

    @cached_property
    def _loading(self) -> list[Outcome | None]:
        dram = isinstance(self.chip.memory, Dram)
        return [self._load(run) if dram and words else None for run, words in zip(self.runs, self.loads, strict=True)]

    def _weights(self, run: PartRun) -> dict[str, float]:
        """Return the bytes of the weights that a part keeps on chip, by tensor."""
        pairs = zip(run.part.stages, run.part.plan.folds, strict=True)
        bits = self.chip.bits("weight")
        return {weights_of(s): s.matrix * bits / 8 for s, fold in pairs if s.matrix and not fold.streamed}

    def _load(self, run: PartRun) -> Outcome:
        """Return the run of readers that bring a part's weights, all at once."""
        units, channels, size = list[Unit](), list[Channel](), word(self.chip, self.fabric)
        for name, count in self._weights(run).items():
            words = ceil(count / size)
            reader = Reader(port=PORT, words=words, bytes=size, burst=self.fabric.port.burst, push=name,
                            address=self.places.base(name, words * size))  # fmt: skip
            units += [reader.build(name), Unit(f"{name}.kept", "sink", (Phase.of(1, [name], interval=0),), words, 0)]
            channels.append(Channel(name))
        memory = self.chip.memory
        assert isinstance(memory, Dram)  # a simple memory has a closed form
        return outcome(Graph.of("load", units, channels, ports(self.chip, self.fabric), {PORT: memory.open()},
                                self.chip.clock))  # fmt: skip

    @cached_property
    def did(self) -> dict[str, Any]:
        """What the DRAM did in all parts, by name; nothing where there is none."""
        total: dict[str, Any] = {}
        for found in [*(run.outcome for run in self.runs), *self._loading]:
            for each in found.memory.statistics(found.cycles).values() if found and found.memory else ():
                for name, count in each.items():
                    total[name] = total.get(name, 0) + count
        return {name: count for name, count in total.items() if not name.startswith("bandwidth")}

    def share_out(self, layers: Sequence[Layer], counts: dict[tuple[str, str], float],
                  seconds: float) -> list[Layer]:  # fmt: skip
        """Return the layers with the energy that DRAM takes beside their bytes, and put its events into `counts`."""
        memory = self.chip.memory
        if not isinstance(memory, Dram):
            return list(layers)
        costs = dram_costs(memory)
        events = dram_counts(memory, _events(self.did), seconds)
        layered = fsum(counts.get(key, 0.0) * cost.pj for key, cost in costs.items())
        whole = fsum(count * costs[key].pj for key, count in events.items())
        counts |= events
        return share_out(layers, whole - layered)

    def statistics(self, moved: int, seconds: float) -> dict[str, dict[str, Any]]:
        """Return the result's `dram`: what the controllers did, and the rate at which useful bytes moved."""
        line = off_chip(self.chip)
        if line is None or not seconds:
            return {}
        peak, rate = float(line.burst * self.chip.clock / line.cycles_per_burst), moved / seconds
        return {PORT: {**self.did, "bandwidth_utilization": rate / peak, "bandwidth_gbps": rate / 1e9}}


def _events(did: dict[str, Any]) -> dict[str, Any]:
    return {name: did.get(name, 0) for name in ("activates", "reads", "writes", "refreshes")}
