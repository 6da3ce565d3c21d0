"""What a layer is on a unit beside arrays and lanes: blocks through it, and what it does there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sim.arch import OPERANDS, Arch
from sim.arch.buffer import Buffer
from sim.energy import Cost
from sim.kernel import VectorWork
from sim.plan import Claim, Free, Load, Loop, Node, Plan, Process, Store
from sim.result import Traffic

Action = tuple[str, str]


@dataclass(frozen=True)
class Deeds:
    """What a layer does on its unit: events by (component, action), bytes on chip, the unit's most MACs a cycle,
    PE-slots that hold work and all of them, how it is mapped.

    Of what comes from memory, `cached` bytes are keys and values of earlier steps; of what goes there, `joining` ones
    join these.
    """

    counts: Mapping[Action, float]
    traffic: Traffic
    peak: int
    used: int
    slots: int
    mapping: Mapping[str, Any]
    cached: int = 0
    joining: int = 0


@dataclass(frozen=True)
class Job:
    """A layer, or a pipeline of them, on a unit: elements that come from memory and go there, and its time.

    `inputs` and `outputs` are elements; `held` weights are loaded before all else, `streamed` ones come block by block,
    all of them `passes` times. `cycles` is the time of the whole with its operands there, `blocks` the number of equal
    parts into which it is cut. `setup` cycles go before it.
    """

    name: str
    inputs: int
    outputs: int
    cycles: int
    blocks: int
    deeds: Deeds
    held: int = 0
    streamed: int = 0
    passes: int = 1
    setup: int = 0

    def plan(self, view: Arch, unit: str) -> Plan:
        """Return the plan: weights first, then block after block, the next one loaded behind the one at work."""
        sizes, held = self._sizes(view), view.bytes_of("weight", self.held)
        cuts = {0, self.blocks} | {self.blocks - total % self.blocks for total in (*sizes.values(), held, self.cycles)}
        loops = [(start, stop - start) for start, stop in pairwise(sorted(cuts))]
        body: list[Node] = [Process(self.setup, (), 0)] if self.setup else []
        if held and view.bounded:
            body += [Loop("m", count, start, 1, (Load("weight", self._part(held, start), (1, 1, 1, 1)),))
                     for start, count in loops]  # fmt: skip
        body += [Loop("m", count, start, 1, tuple(self._block(sizes, start, view.bounded))) for start, count in loops]
        body += [Loop("m", self.blocks, 0, 1, (Free("weight"),))] if held and view.bounded else []
        work = VectorWork(self.name, (self.inputs,), self.outputs, weights=self.held, streamed=self.streamed,
                          passes=self.passes)  # fmt: skip
        slots = (("input", 2), ("parameter", 2), ("output", 2), ("weight", self.blocks))
        return Plan(self.name, work, unit, tuple(body), slots)

    def _sizes(self, view: Arch) -> dict[str, int]:
        """Return the bytes of what moves block by block."""
        return {
            "input": view.bytes_of("input", self.inputs), "output": view.bytes_of("output", self.outputs),
            "parameter": view.bytes_of("weight", self.streamed) * self.passes,
        }  # fmt: skip

    def _part(self, total: int, index: int) -> int:
        """Return the share of block `index`; what cannot be divided goes to the last ones."""
        return total // self.blocks + (index >= self.blocks - total % self.blocks)

    def _block(self, sizes: Mapping[str, int], index: int, bounded: bool) -> list[Node]:
        work = Process(self._part(self.cycles, index), (), 0)
        if not bounded:
            return [work]
        extent = (1, self._part(self.outputs, index), 1, 1)
        loads = [Load(o, self._part(sizes[o], index), extent) for o in ("input", "parameter") if sizes[o]]
        written = self._part(sizes["output"], index)
        free = [Free(load.operand) for load in loads]
        return [*loads, Claim("output", written), work, Store(written, extent), *free, Free("output")]

    def room(self, view: Arch) -> int:
        """Return the bytes on chip that the plan takes: weights, and two blocks of the rest."""
        block = sum(-(-size // self.blocks) for size in self._sizes(view).values())
        return view.bytes_of("weight", self.held) + 2 * block


@dataclass
class Books:
    """What the events of a unit cost, and what leaks (watts by component)."""

    costs: dict[Action, Cost] = field(default_factory=dict)
    leakage: dict[str, float] = field(default_factory=dict)


def view_of(chip: Arch, room: int, port: int | None) -> Arch:
    """Return the chip as a unit with its own memory sees it: `room` bytes, `port` bytes a cycle in and out."""
    memory = Buffer.model_construct(**{
        **{name: f.default for name, f in Buffer.model_fields.items()},
        "capacity": max(1, room), "holds": list(OPERANDS), "bandwidth": port, "port_width": 8,
    })  # fmt: skip
    return chip.model_copy(update={"buffers": {"own": memory}, "prefetch": False})
