"""Memory reader and writer: a channel's tokens come from, or go to, a memory port in bursts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sim.streaming.graph import Bursts, Phase, Unit
from sim.streaming.kinds import UNITS, UnitFile, limited

Operand = Literal["weight", "input", "output", "kv", "index", "routing"]
BOUNDARY = 4096
"""Bytes whose multiples no burst may cross (AMBA AXI protocol, ARM IHI 0022, A3.4.1)."""


class Mover(UnitFile):
    """What a reader and a writer share.

    `burst` is the most words of a burst, 16 as Vitis HLS has it by default (UG1399, max_read_burst_length); the
    words lie one after another from `address`, and `passes` go over them again and again.
    """

    port: str
    words: int = Field(ge=1, description="words of a pass")
    passes: int = Field(1, ge=1, description="passes over the words")
    bytes: int = Field(4, ge=1, description="bytes of a word")
    burst: int = Field(16, ge=1, le=256, description="most words of a burst; AXI4 allows 256")
    address: int = Field(0, ge=0, description="byte at which the words begin")

    operand: Operand = Field("input", description="whose bytes they are, in the traffic of the result")

    def bursts(self, write: bool) -> Bursts:
        """Return the bursts of all passes; ValueError where a word does not divide a 4 KiB page."""
        if BOUNDARY % self.bytes or self.address % self.bytes:
            raise ValueError(f"words of {self.bytes} bytes at {self.address} cross a 4 KiB boundary; "
                             "'bytes' must divide 4096, and 'address' be a multiple of it")  # fmt: skip
        limited("bursts", -(-self.words // self.burst) * self.passes)
        sizes, addresses, done = list[int](), list[int](), 0
        while done < self.words:
            addresses.append(self.address + done * self.bytes)
            room = (BOUNDARY - addresses[-1] % BOUNDARY) // self.bytes
            sizes.append(min(self.burst, self.words - done, room))
            done += sizes[-1]
        return Bursts(self.port, tuple(sizes) * self.passes, write, tuple(addresses) * self.passes, self.bytes,
                      self.operand)  # fmt: skip


@UNITS.register("reader")
class Reader(Mover):
    """Reads words from a memory port and pushes each once it has come.

    A burst is requested as soon as there is room for it: `outstanding` bursts have a place in the port's buffer, and
    a place is free again once the burst's last word has been pushed.
    """

    kind: Literal["reader"] = "reader"
    push: str

    def build(self, name: str) -> Unit:
        """Return the unit."""
        phase = Phase.of(1, pushes=[self.push])
        return Unit(name, self.kind, (phase,), self.words * self.passes, self.latency, bursts=self.bursts(write=False))


@UNITS.register("writer")
class Writer(Mover):
    """Pops words, collects a burst, and writes it to a memory port; it ends when its last word has gone."""

    kind: Literal["writer"] = "writer"
    pop: str
    operand: Operand = Field("output", description="whose bytes they are, in the traffic of the result")

    def build(self, name: str) -> Unit:
        """Return the unit."""
        phase = Phase.of(1, pops=[self.pop])
        return Unit(name, self.kind, (phase,), self.words * self.passes, self.latency, bursts=self.bursts(write=True))
