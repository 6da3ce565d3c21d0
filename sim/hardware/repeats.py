"""Blocks of layers that come again and again: where they are in a run, and what skipping some of them books.

A network of equal blocks is a loop whose body is the stages of a block. Its iterations are compared as those of a
loop of tiles are, layer by layer apart. What the plans do to the buffers does not depend on time; once the buffers
are left as the block before left them, and all times have shifted by one period, all that follows does the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sim.frontend import LOOKAHEAD, FrontEnd, Read, Stage
from sim.hardware.buffers import Buffers
from sim.hardware.unit import Iteration, Unit

LEAST = 6
"""Blocks that are worth it: five are simulated before any can be skipped."""
FAR = 64
"""Stages by which a tensor that is read may lie behind in the same place of every block; others are told by name."""
Mark = tuple[list[list[Hashable]], list[int], int, int]
"""How buffers and queues were left, to be compared with another."""
OLD = 2 * LOOKAHEAD + 2
"""Work steps after which a place that was freed keeps nobody waiting: what takes it begins LOOKAHEAD tiles early at
most, behind all stores that are older still."""


@dataclass(frozen=True)
class Blocks:
    """`count` equal blocks of `size` stages, the first at stage `start`; each has `layers` layers."""

    start: int
    size: int
    count: int
    layers: int

    @property
    def end(self) -> int:
        """The stage behind the last."""
        return self.start + self.size * self.count


def repeating(stages: Sequence[Stage]) -> Iterator[Blocks]:
    """Yield where equal blocks follow each other, first to last: the same plans, reading from the same places."""
    known: dict[Hashable, int] = {}
    keys = [known.setdefault(key, len(known)) for key in _keys(stages)]
    after = _next_equal(keys)
    start = 0
    while start < len(keys):
        whole = not start or stages[start].layer > stages[start - 1].layer  # no layer is in two blocks
        size = after[start] - start if after[start] and whole else 0
        count = _count(keys, start, size) if 0 < size < len(keys) // LEAST + 1 else 0
        if count >= LEAST and _near(stages, start + size, size):
            layers = stages[start + size].layer - stages[start].layer
            yield Blocks(start, size, count, layers)
            start += size * count
        else:
            start += 1


def _keys(stages: Sequence[Stage]) -> Iterator[Hashable]:
    """Yield for each stage what makes it equal to another: the plan, and how far behind the tensors were made."""
    made: dict[str, int] = {}
    layer = 0
    for index, stage in enumerate(stages):
        plan, places = stage.plan, [_place(read, index - made.get(read.tensor, index)) for read in stage.reads]
        yield (id(plan.body), plan.slots, plan.unit, plan.ahead, stage.layer - layer, stage.result,
               len(stage.completes), tuple(places))  # fmt: skip
        layer = stage.layer
        made |= dict.fromkeys(stage.completes, index)


def _place(read: Read, behind: int) -> Hashable:
    return read.operand, read.on_chip, behind if 0 < behind < FAR else read.tensor


def _next_equal(keys: Sequence[int]) -> list[int]:
    """Return for each place the next one with an equal key; 0 where there is none."""
    found, last = [0] * len(keys), dict[int, int]()
    for index in range(len(keys) - 1, -1, -1):
        found[index] = last.get(keys[index], 0)
        last[keys[index]] = index
    return found


def _count(keys: Sequence[int], start: int, size: int) -> int:
    """Return how many blocks of `size` from `start` are equal."""
    end = start + size
    while end < len(keys) and keys[end] == keys[end - size]:
        end += 1
    return (end - start) // size


def _near(stages: Sequence[Stage], start: int, size: int) -> bool:
    """Return whether a block reads nothing that was made before the block in front of it, but from outside."""
    since = {tensor for stage in stages[start - size : start + size] for tensor in stage.completes}
    near = {tensor for stage in stages[max(0, start - FAR) : start - size] for tensor in stage.completes} - since
    return not any(read.tensor in near for stage in stages[start : start + size] for read in stage.reads)


def left(front: FrontEnd) -> Mark:
    """Return how the plans left buffers and queues, counted from the last work step: times are not in it.

    Places that were freed OLD work steps ago are as good as free: nothing that takes them waits for that. So their
    bytes count together, wherever one ends and the next begins.
    """
    work, buffers = front.work, front.buffers
    held = [_places(buffers, name, work) for name in buffers.held]
    pending = [made - work for made, _ in front.pending]
    return held, pending, max(front.floor - work, -OLD), len(front.delayed)


def _places(buffers: Buffers, name: str, work: int) -> list[Hashable]:
    """Return the places of a buffer in the order in which they are taken, those that are as good as free as bytes."""
    found, old = list[Hashable](), work - OLD
    free = buffers.room[name] - buffers.used[name]
    for slot in buffers.held[name]:
        if slot.release is None:
            found += (free, slot.operand, slot.bytes, slot.left)
            free = 0
        elif slot.freed_at < old:
            free += slot.left
        elif slot.left:
            found += (free, slot.operand, slot.bytes, slot.left, slot.freed_at - work)
            free = 0
    found.append(free)
    return found


def book_blocks(units: Mapping[str, Unit], last: Iteration, times: int, layers: int) -> None:
    """Book what the blocks behind `last` do that are skipped, each in its own layers."""
    booked = [(job.unit, job.layer - back, cause, n) for job in last.jobs for cause, n, back in job.booked]
    for unit, layer, cause, amount in booked + last.skipped:
        for number in range(1, times + 1):
            units[unit].ledger.add(layer + number * layers, cause, amount)
    for unit, work in [(job.unit, job.work) for job in last.jobs] + last.worked:
        units[unit].ledger.work += work * times


def rename(units: Mapping[str, Unit], iteration: Iteration, layers: int) -> None:
    """Let a block that is under way be the one so many layers behind it: what it has booked goes there."""
    moved = [(job.unit, job.layer - back, cause, n) for job in iteration.jobs for cause, n, back in job.booked]
    for unit, layer, cause, amount in moved + iteration.skipped:
        cycles = units[unit].ledger.cycles
        cycles[layer, cause] -= amount
        if not cycles[layer, cause]:
            del cycles[layer, cause]
        units[unit].ledger.add(layer + layers, cause, amount)
    iteration.skipped = [(unit, layer + layers, cause, amount) for unit, layer, cause, amount in iteration.skipped]
    for job in iteration.jobs:
        job.layer += layers
