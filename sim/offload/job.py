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
    """What a layer does on its unit: events by (component, action), bytes on chip, MACs, the most MACs a cycle,
    PE-slots that hold work and all of them, how it is mapped."""

    counts: Mapping[Action, float]
    traffic: Traffic
    macs: int
    peak: int
    used: int
    slots: int
    mapping: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A layer, or a pipeline of them, on a unit: elements that come from memory and go there, and its time.

    `inputs` and `outputs` are elements; `held` bytes of weights are loaded before all else, `streamed` bytes come block
    by block. `cycles` is the time of the whole with its operands there, `blocks` into how many equal parts it is cut.
    `setup` cycles go before it.
    """

    name: str
    inputs: int
    outputs: int
    cycles: int
    blocks: int
    deeds: Deeds
    held: int = 0
    streamed: int = 0
    setup: int = 0

    def plan(self, view: Arch, unit: str) -> Plan:
        """Return the plan: weights first, then block after block, the next one loaded behind the one at work."""
        sizes = {"input": view.bytes_of("input", self.inputs), "parameter": self.streamed,
                 "output": view.bytes_of("output", self.outputs)}  # fmt: skip
        cuts = {0, self.blocks} | {self.blocks - total % self.blocks for total in (*sizes.values(), self.cycles)}
        body: list[Node] = [Process(self.setup, (), 0)] if self.setup else []
        body += [Load("weight", self.held, (1, 1, 1, 1))] if self.held and view.bounded else []
        body += [Loop("m", stop - start, start, 1, tuple(self._block(sizes, start, view.bounded)))
                 for start, stop in pairwise(sorted(cuts))]  # fmt: skip
        body += [Free("weight")] if self.held and view.bounded else []
        work = VectorWork(self.name, (self.inputs,), self.outputs)
        slots = (("input", 2), ("parameter", 2), ("output", 2), ("weight", 1))
        return Plan(self.name, work, unit, tuple(body), slots)

    def _block(self, sizes: Mapping[str, int], index: int, bounded: bool) -> list[Node]:
        def part(total: int) -> int:
            return total // self.blocks + (index >= self.blocks - total % self.blocks)

        work = Process(part(self.cycles), (), 0)
        if not bounded:
            return [work]
        extent = (1, part(self.outputs), 1, 1)
        loads = [Load(o, part(sizes[o]), extent) for o in ("input", "parameter") if sizes[o]]
        written = part(sizes["output"])
        free = [Free(load.operand) for load in loads]
        return [*loads, Claim("output", written), work, Store(written, extent), *free, Free("output")]

    def room(self, view: Arch) -> int:
        """Return the bytes on chip that the plan takes: weights, and two blocks of the rest."""
        moved = (view.bytes_of("input", self.inputs), self.streamed, view.bytes_of("output", self.outputs))
        return self.held + 2 * sum(-(-size // self.blocks) for size in moved)


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
