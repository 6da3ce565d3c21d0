"""Attention behind a cache of keys and values in the banks: where they lie, what multiplies and what appends them.

Keys are laid out head by head behind each other (as in PIM-GPT, Wu et al., arXiv 2310.09385): a row of a bank holds
one key of as many heads as the global buffer holds queries, so that one open row serves them all, and a new token is
written into the next bank's row. Of values, a bank holds one element of all tokens behind each other; the weights of a
head go to the channels among which it is spread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sim.pim.device import Device
from sim.pim.gemv import begin, blocks, reads
from sim.pim.program import Instruction


@dataclass(frozen=True)
class Keys:
    """Keys of `count` tokens, `heads` of `size` elements each; a head must not be longer than the global buffer."""

    device: Device
    heads: int
    size: int
    count: int

    @cached_property
    def bursts(self) -> int:
        """Bursts of a head."""
        return -(-self.size // self.device.lanes)

    @cached_property
    def together(self) -> int:
        """Heads that share a row, and the global buffer."""
        return min(self.heads, blocks(self.device, self.bursts), self.device.spec.buffer // self.device.spec.burst
                   // self.bursts)  # fmt: skip

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """The heads of each part."""
        return tuple(min(self.together, self.heads - at) for at in range(0, self.heads, self.together))

    @cached_property
    def width(self) -> int:
        """Tokens of a group: one for each accumulator of each unit of each channel."""
        return self.device.units * self.device.spec.accumulators * self.device.spec.channels

    @cached_property
    def groups(self) -> int:
        """Groups of tokens."""
        return -(-self.count // self.width)

    @cached_property
    def span(self) -> int:
        """Rows of a unit that a part takes for a group."""
        return -(-self.device.spec.accumulators * self.together // blocks(self.device, self.bursts))

    @cached_property
    def rows(self) -> int:
        """Rows of every unit that the keys take."""
        return self.groups * len(self.parts) * self.span

    def row(self, group: int, part: int, head: int, accumulator: int) -> int:
        """Return the row of a token's key; later tokens lie behind earlier ones. `head` counts within its part."""
        at = head * self.device.spec.accumulators + accumulator
        return (group * len(self.parts) + part) * self.span + at // blocks(self.device, self.bursts)

    def column(self, head: int, accumulator: int) -> int:
        """Return the first burst in its row of a token's key; `head` counts within its part."""
        at = head * self.device.spec.accumulators + accumulator
        return at % blocks(self.device, self.bursts) * self.bursts

    def place(self, token: int) -> tuple[int, int, int, int]:
        """Return group, channel, unit in it, and accumulator of a token."""
        group, rest = divmod(token, self.width)
        channel, rest = divmod(rest, self.device.units * self.device.spec.accumulators)
        return group, channel, *divmod(rest, self.device.spec.accumulators)

    def program(self) -> Iterator[Instruction]:
        """Yield the operations that multiply all keys by one query of each head."""
        device = self.device
        start, read = begin(device), Instruction(device.operation("read_registers"), reads(device))
        write, multiply = device.operation("write_buffer"), device.operation("multiply")
        for part, heads in enumerate(self.parts):
            yield Instruction(write, heads * self.bursts)
            for group in range(self.groups):
                for head in range(heads):
                    yield from start
                    for each in range(device.spec.accumulators):
                        yield Instruction(multiply, self.bursts, self.row(group, part, head, each))
                    yield read

    def append(self, past: int) -> list[tuple[list[Instruction], int]]:
        """Return the programs that write the keys behind `past` tokens, and on how many channels each runs."""
        device = self.device
        apart = dict[int, list[Instruction]]()
        for token in range(past, self.count):
            group, channel, unit, accumulator = self.place(token)
            for part, heads in enumerate(self.parts):
                for head in range(heads):
                    row = self.row(group, part, head, accumulator)
                    apart.setdefault(channel, []).append(_write(device, unit, row, self.bursts))
        return _alike(apart)


@dataclass(frozen=True)
class Cached:
    """Values of `count` tokens, `heads` of `size` elements each, a head spread over `spread` channels."""

    device: Device
    heads: int
    size: int
    count: int
    spread: int = 1

    @cached_property
    def needed(self) -> int:
        """Runs of all units of a channel that the elements of a head take."""
        return -(-self.size // (self.device.units * self.device.spec.accumulators))

    @cached_property
    def rounds(self) -> int:
        """How often the channels take up new heads."""
        return -(-self.heads // (self.device.spec.channels // self.spread))

    @cached_property
    def runs(self) -> int:
        """Runs of all units of a channel for each head that it takes up."""
        return -(-self.needed // self.spread)

    @cached_property
    def length(self) -> int:
        """Tokens of a part: what the global buffer holds of weights."""
        return self.device.spec.buffer // self.device.element

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """The tokens of each part."""
        return tuple(min(self.length, self.count - at) for at in range(0, self.count, self.length))

    @cached_property
    def span(self) -> int:
        """Rows of a unit that a run takes for a part."""
        return -(-self.device.spec.accumulators // self._whole)

    @cached_property
    def rows(self) -> int:
        """Rows of every unit that the values take."""
        return len(self.parts) * self.rounds * self.runs * self.span

    def row(self, part: int, turn: int, run: int, accumulator: int) -> int:
        """Return the row of a run in a round; later tokens lie behind earlier ones."""
        at = accumulator // self._whole
        return ((part * self.rounds + turn) * self.runs + run) * self.span + at

    def column(self, accumulator: int) -> int:
        """Return the first burst in its row of the elements of an accumulator."""
        return accumulator % self._whole * (self.device.spec.buffer // self.device.spec.burst)

    def place(self, head: int, element: int) -> tuple[int, int, int, int, int]:
        """Return channel, round, run, unit and accumulator of an element of a head."""
        turn, rest = divmod(head, self.device.spec.channels // self.spread)
        which, rest_of_it = divmod(element, self.device.units * self.device.spec.accumulators)
        channel, run = divmod(which, self.runs)
        unit, accumulator = divmod(rest_of_it, self.device.spec.accumulators)
        return rest * self.spread + channel, turn, run, unit, accumulator

    @property
    def _whole(self) -> int:
        """Accumulators whose full parts lie in one row."""
        return blocks(self.device, self.device.spec.buffer // self.device.spec.burst)

    def program(self) -> Iterator[Instruction]:
        """Yield the operations that add up the values with the weights of one query of each head."""
        if len(self.parts) == 1 or self.device.spec.order == "kouter":
            for turn in range(self.rounds):
                for part in range(len(self.parts)):
                    yield self._weights(part)
                    for run in range(self.runs):
                        yield from begin(self.device)
                        yield from self._multiplies(part, turn, run)
                        yield self._read()
            return
        for turn in range(self.rounds):
            for run in range(self.runs):
                yield from begin(self.device)
                for part in range(len(self.parts)):
                    yield self._weights(part)
                    yield from self._multiplies(part, turn, run)
                yield self._read()

    def _read(self) -> Instruction:
        return Instruction(self.device.operation("read_registers"), reads(self.device))

    def _weights(self, part: int) -> Instruction:
        return Instruction(self.device.operation("write_buffer"), -(-self.parts[part] // self.device.lanes))

    def _multiplies(self, part: int, turn: int, run: int) -> Iterator[Instruction]:
        multiply, bursts = self.device.operation("multiply"), -(-self.parts[part] // self.device.lanes)
        for each in range(self.device.spec.accumulators):
            yield Instruction(multiply, bursts, self.row(part, turn, run, each))

    def append(self, past: int) -> list[tuple[list[Instruction], int]]:
        """Return the program that writes the values behind `past` tokens, and on how many channels it runs.

        In each row a burst (of a single token, an element of it: the others are masked) goes to all banks in turn.
        """
        device, write = self.device, self.device.operation("write")
        found = list[Instruction]()
        for part in range(past // self.length, len(self.parts)):
            first, last = max(0, past - part * self.length), self.parts[part] - 1
            bursts = last // device.lanes - first // device.lanes + 1
            for turn in range(self.rounds):
                for run in range(self.runs):
                    for each in range(device.spec.accumulators):
                        row = self.row(part, turn, run, each) % device.spec.organization["Row"]
                        found.append(Instruction(write, device.units * bursts, row))
        return [(found, device.spec.channels)] if found else []


def _write(device: Device, unit: int, row: int, bursts: int) -> Instruction:
    """Return what writes bursts of one unit: into the bank of it that has the row."""
    which, row = divmod(row, device.spec.organization["Row"])
    return Instruction(device.operation("write"), bursts, row, bank=unit * device.spec.banks_per_unit + which)


def _alike(apart: dict[int, list[Instruction]]) -> list[tuple[list[Instruction], int]]:
    counted = Counter(tuple(program) for program in apart.values())
    return [(list(program), count) for program, count in counted.items()]
