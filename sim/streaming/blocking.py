"""The run-to-block engine: each unit runs as far as its inputs and its output slots allow, carrying timestamps.

Which unit runs first does not matter: a unit depends on tokens and slots alone, whose times are fixed by those who
sent them. When no unit can go on and work is left, that is a deadlock.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from sim.streaming.net import Net, Step

Blocked = Generator[int, None, None]
"""A unit at work: it yields the channel whose token it waits for, ~channel where it waits for a slot, or PORT."""
PORT = 1 << 60
"""What a unit yields that waits for its memory port."""
Wait = tuple[int, int, int]
"""Cycles [from, to) in which a unit waited, and at what: a code as it yields them."""


@dataclass
class Window:
    """A part of a run: what it begins with, filled with what comes out of it.

    Before: `times` (each unit's local time), `ready` (cycles at which tokens already in a channel can be taken),
    `credits` (cycles at which slots are free that were given back before). After: the local times, and by channel
    the cycles of all pushes, of all arrivals, and of all slots freed; `full` and `empty` are the cycles in which the
    producer waited for a slot and the consumer for a token; `blocked` holds who never finished, and on what. `waits`:
    each unit's, in order, where the window begins with a list for each.
    """

    times: list[int]
    ready: list[deque[int]]
    credits: list[deque[int]]
    pushed: list[array[int]] = field(default_factory=list)
    arrived: list[array[int]] = field(default_factory=list)
    freed: list[array[int]] = field(default_factory=list)
    full: list[int] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    blocked: dict[int, int] = field(default_factory=dict)
    waits: list[list[Wait]] | None = None

    def __post_init__(self) -> None:
        count = len(self.ready)
        self.pushed, self.arrived, self.freed = ([array("q") for _ in range(count)] for _ in range(3))
        self.full, self.empty = [0] * count, [0] * count

    def pop(self, net: Net, channel: int, t: int, release: bool) -> int:
        """Take the token that is there, at local time `t`; return the local time after it."""
        at = self.ready[channel].popleft()
        self.empty[channel] += max(0, at - t)
        self.note(net.consumer[channel], t, at, channel)
        t = max(t, at)
        if release:
            self.free(net, channel, t)
        return t

    def note(self, unit: int, t: int, at: int, code: int) -> None:
        """Keep a wait from `t` to `at`, if it is one and waits are kept."""
        if self.waits is not None and at > t:
            self.waits[unit].append((t, at, code))

    def free(self, net: Net, channel: int, t: int) -> None:
        """Give a slot back at local time `t`."""
        self.credits[channel].append(t + net.credit[channel])
        self.freed[channel].append(t + net.credit[channel])

    def push(self, net: Net, channel: int, t: int, done: int) -> int:
        """Push a token, computed at `done`, into the slot that is there; return the local time after it."""
        at = self.credits[channel].popleft()
        self.full[channel] += max(0, at - t)
        self.note(net.producer[channel], t, at, ~channel)
        t = max(t, at)
        at = max(done, t + net.send[channel])
        self.pushed[channel].append(t)
        self.ready[channel].append(at)
        self.arrived[channel].append(at)
        return t


def begin(net: Net, iterations: int = 1) -> Window:
    """Return the window of the first of `iterations` equal parts of the run, from cycle 0."""
    tokens = [count // iterations for count in net.tokens]
    room = [count if reach is None else min(reach, count) for reach, count in zip(net.reach, tokens, strict=True)]
    return Window(
        times=[0] * len(net.units),
        ready=[deque([0] * initial) for initial in net.initial],
        credits=[deque([0] * slots) for slots in room],
    )


def run(net: Net, window: Window, repeats: Sequence[int]) -> None:
    """Carry the window out: unit u goes through its phases `repeats[u]` times."""
    drive(net, window, [static(net, unit, window, repeats[unit]) for unit in range(len(net.units))])


def drive(net: Net, window: Window, programs: Sequence[Blocked], begin: Sequence[int] | None = None) -> None:
    """Resume programs whenever what they wait for is there, first those that `begin`, until none can go on."""
    neighbours = _neighbours(net, window)
    waits = window.blocked
    ready = deque(net.order if begin is None else begin)
    while ready:
        unit = ready.popleft()
        at = next(programs[unit], None)
        if at is not None:
            waits[unit] = at
        for other, code, queue in neighbours[unit]:
            if queue and waits.get(other) == code:
                del waits[other]
                ready.append(other)


def _neighbours(net: Net, window: Window) -> list[list[tuple[int, int, deque[int]]]]:
    """Return who may wait for each unit: (that unit, the code it waits with, the queue that must not be empty)."""
    found: list[list[tuple[int, int, deque[int]]]] = [[] for _ in net.units]
    for channel, (producer, consumer) in enumerate(zip(net.producer, net.consumer, strict=True)):
        found[producer].append((consumer, channel, window.ready[channel]))
        found[consumer].append((producer, ~channel, window.credits[channel]))
    return found


def static(net: Net, unit: int, window: Window, repeat: int) -> Blocked:
    """Run the phases of a unit whose operations do not depend on values (the firing rule of the design)."""
    steps = [_bound(net, step, window) for step in net.steps[unit]]
    if len(steps) == 1:
        steps, repeat = [(steps[0][0] * repeat, *steps[0][1:])], 1
    latency, t = net.units[unit].latency, window.times[unit]
    full, empty = window.full, window.empty
    waits = None if window.waits is None else window.waits[unit]
    for _ in range(repeat):
        for count, interval, takes, frees, pushes in steps:
            for _ in range(count):
                for channel, ready, release, credits, freed, credit in takes:
                    while not ready:
                        window.times[unit] = t
                        yield channel
                    at = ready.popleft()
                    if at > t:
                        empty[channel] += at - t
                        if waits is not None:
                            waits.append((t, at, channel))
                        t = at
                    if release:
                        credits.append(t + credit)
                        freed.append(t + credit)
                for credits, freed, credit in frees:
                    credits.append(t + credit)
                    freed.append(t + credit)
                done = t + latency
                for channel, credits, ready, pushed, arrived, send in pushes:
                    while not credits:
                        window.times[unit] = t
                        yield ~channel
                    at = credits.popleft()
                    if at > t:
                        full[channel] += at - t
                        if waits is not None:
                            waits.append((t, at, ~channel))
                        t = at
                    pushed.append(t)
                    at = t + send if t + send > done else done
                    ready.append(at)
                    arrived.append(at)
                t += interval
    window.times[unit] = t


Takes = tuple[int, deque[int], bool, deque[int], "array[int]", int]
Frees = tuple[deque[int], "array[int]", int]
Pushes = tuple[int, deque[int], deque[int], "array[int]", "array[int]", int]


def _bound(net: Net, step: Step, window: Window) -> tuple[int, int, list[Takes], list[Frees], list[Pushes]]:
    """Return the step with the queues and records that it works on."""
    takes: list[Takes] = [
        (c, window.ready[c], release, window.credits[c], window.freed[c], net.credit[c]) for c, release in step.takes
    ]
    frees: list[Frees] = [(window.credits[c], window.freed[c], net.credit[c]) for c in step.frees]
    pushes: list[Pushes] = [
        (c, window.credits[c], window.ready[c], window.pushed[c], window.arrived[c], net.send[c]) for c in step.pushes
    ]
    return step.count, step.interval, takes, frees, pushes
