"""A channel and its controller: first-ready, first-come-first-served over banks, jumping from command to command.

The rules are those of Ramulator 2.1's controller (CMU-SAFARI, 2026), to which results are equal: in each clock, the
oldest ready request among those whose row was opened for them (active); else maintenance that is due; else, with
none due, the oldest ready command of the queue that is served, reads or writes. A precharge waits while a request
is active in its bank. Writes are served above the high watermark or while no read waits, reads again below the low
watermark. Nothing happens between two commands, so the clock jumps.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from sim.dram.bank import ARRIVAL, BANK, BURST, COLUMN, KIND, NUMBER, READ, ROW, SHARE, WRITE, Order, Request
from sim.dram.device import Device
from sim.dram.maintenance import Logged, Maintained
from sim.dram.stream import Stream
from sim.dram.timing import NEVER, SHIFT

Pick = tuple[int, Request | None, int]
"""Clock, request and slot of what comes next."""


def _relative(request: Request, since: int) -> tuple[int, ...]:
    return request[BANK], request[ROW], request[COLUMN], request[ARRIVAL] - since, request[BURST], request[KIND]


class Channel(Maintained):
    """One channel: its banks, queues, timing and what it counted."""

    def __init__(self, device: Device, per_clock: int = 1, log: list[Logged] | None = None) -> None:
        """Make an idle channel that takes up to `per_clock` requests a clock; commands are appended to `log`."""
        super().__init__(device, log)
        spec = device.spec
        self.streams: deque[Stream] = deque()
        self._per_clock = per_clock
        self._room = (spec.read_queue, spec.write_queue)
        self._high, self._low = spec.write_high * spec.write_queue, spec.write_low * spec.write_queue
        self._serving = READ
        self._arrived = 0
        self._buffered: set[int] = set()
        self._conflicts: set[int] = set()
        self._latency = (device.read_latency, device.write_latency)
        self._look = [each for command in self._slot_commands for each in self.timing.lookup[command]]
        self._floor = [0] * len(self._look)

    def state(self, since: int) -> tuple[Any, ...]:
        """Return all that decides what comes next, with clocks counted from `since`: equal states go on equally."""
        banks = self.banks
        waiting = tuple(_relative(request, since) for kind in banks.waiting for bank in kind for request in bank)
        active = tuple(_relative(request, since) for request in banks.active.values())
        due = self.next_refresh - since if self._interval else None
        streams = tuple(
            (max(0, each.since - since), *(tuple(part[each.at :]) for part in each.parts())) for each in self.streams
        )
        return (
            self.timing.state(since), tuple(banks.open_row), waiting, active, streams, self._serving, due,
            tuple(self._orders), self._refresh_next, tuple(self._accesses), tuple(sorted(self._capped)),
        )  # fmt: skip

    def advance(self, until: int) -> None:
        """Carry out all that happens up to and in clock `until`."""
        while self.clock < until:
            self.step(until)

    def step(self, until: int) -> None:
        """Go on to the next command, or as far as nothing can happen, but not beyond `until`."""
        clock = self.clock
        arrival = self._take(clock) if self.streams else NEVER
        now = clock + 1
        if now == self.next_refresh:
            self._order_refresh()
        limit = min(until, self.next_refresh - 1, arrival)
        if self._capped:
            limit = self._order_closing(now, limit)
        if not self._issue_next(now, limit):
            self.clock = limit

    def _take(self, clock: int) -> int:
        """Let requests into the queues at `clock`; return the next clock at which more could come."""
        streams = self.streams
        if len(streams) > 1:
            return self._take_in_turn(clock)
        stream = streams[0]
        if stream.since > clock:
            return stream.since
        for _ in range(self._per_clock):
            if not self._enter(stream, clock):
                return NEVER
            if stream.at == len(stream.banks):
                streams.popleft()
                return NEVER
        return self._next_arrival(stream, clock)

    def _take_in_turn(self, clock: int) -> int:
        """Do the same where several streams share the queues: one request of each in turn."""
        streams = self.streams
        for _ in range(self._per_clock):
            for _ in range(len(streams)):
                stream = streams[0]
                taken = stream.since <= clock and self._enter(stream, clock)
                if taken and stream.at == len(stream.banks):
                    streams.popleft()
                else:
                    streams.rotate(-1)
                if taken:
                    break
            else:
                break
        return min((self._next_arrival(stream, clock) for stream in streams), default=NEVER)

    def _next_arrival(self, stream: Stream, clock: int) -> int:
        if stream.since > clock:
            return stream.since
        kind = stream.writes[stream.at]
        room = self.banks.held[kind] < self._room[kind] or stream.bursts[stream.at] in self._buffered
        return clock + 1 if room else NEVER

    def _enter(self, stream: Stream, clock: int) -> bool:
        """Take the next request of a stream into its queue; return False where that is full."""
        at = stream.at
        kind, burst = stream.writes[at], stream.bursts[at]
        if burst in self._buffered:
            self._answer(stream, clock)
        elif self.banks.held[kind] == self._room[kind]:
            return False
        else:
            self.banks.enter((self._arrived, stream.banks[at], stream.rows[at], stream.columns[at], clock,
                              stream.share, burst, int(kind)))  # fmt: skip
            self._arrived += 1
            if kind:
                self._buffered.add(burst)
        stream.at = at + 1
        return True

    def _answer(self, stream: Stream, clock: int) -> None:
        """Serve a request whose burst waits to be written from the write queue."""
        if stream.writes[stream.at]:
            self.counters.merged += 1
        else:
            self.counters.forwarded += 1
        stream.share.serve(clock + 1)

    def _issue_next(self, now: int, limit: int) -> bool:
        """Issue the command that comes first from `now` to `limit`; return whether there is one."""
        pick: Pick = limit + 1, None, -1
        if active := self.banks.active:
            pick = self._oldest(now, pick, active, -1, ARRIVAL)
        if self._orders:
            due = self._order_clock(now)
            if due < pick[0]:
                self.clock = due
                self._carry_out()
                return True
        elif pick[0] != now:
            pick = self._pick_waiting(now, pick)
        clock, request, slot = pick
        if request is None:
            return False
        self.clock = clock
        self._issue(request, slot, clock)
        return True

    def _pick_waiting(self, now: int, pick: Pick) -> Pick:
        """Return the oldest of the ready requests of the served queue, or `pick` where none is before its clock."""
        self._choose_queue()
        banks, serving = self.banks, self._serving
        hit = self._oldest(now, pick, banks.hits[serving], -1) if banks.hits[serving] else pick
        if not banks.misses[serving]:
            return hit
        taken = hit[1]
        oldest = -1 if hit is pick or taken is None else taken[NUMBER]
        return self._oldest(now, hit, banks.misses[serving], oldest)

    def _oldest(self, now: int, pick: Pick, slots: dict[int, Request], oldest: int, by: Order = NUMBER) -> Pick:
        """Return the oldest (`by` NUMBER or ARRIVAL) of the requests in `slots` that are ready first, if before the
        clock of `pick`, or at it and before `oldest`; else `pick`."""
        ready, floor, look, best = self.timing.ready, self._floor, self._look, pick[0]
        for slot, request in slots.items():
            since = floor[slot]
            if since > best or (request[by] > oldest and (since == best or best == now)):
                continue
            clock = floor[slot] = max(look[slot](ready)) >> SHIFT
            if clock < now:
                clock = now
            if clock < best or (clock == best and request[by] < oldest):
                best, oldest = clock, request[by]
                pick = clock, request, slot
        return pick

    def _choose_queue(self) -> None:
        reads, writes = self.banks.held
        if self._serving == READ:
            if writes > self._high or not reads:
                self._serving = WRITE
        elif writes < self._low and reads:
            self._serving = READ

    def _issue(self, request: Request, slot: int, clock: int) -> None:
        kind = slot // self.banks.banks
        if kind <= WRITE:
            self._access(request, slot, clock)
        elif slot < self.banks.precharge_slot:
            self._activate(request, slot, clock)
        else:
            self._precharge(request, slot, clock)

    def _access(self, request: Request, slot: int, clock: int) -> None:
        """Issue the read or write of a request; it is served."""
        banks, bank, kind = self.banks, request[BANK], request[KIND]
        active = banks.active.get(slot) is request
        self.waits.access(request, max(self._look[slot](self.timing.ready)), clock, active)
        if active:
            banks.retire(request)
        else:
            self.counters.row_hits += self._begins(request)
            banks.leave(request)
            if kind:
                self._buffered.discard(request[BURST])
        command = self._slot_commands[kind]
        if self._cap != NEVER:
            command = self._count_access(bank, kind, clock)
        self._put(command, bank, clock, request)
        request[SHARE].serve(clock + self._latency[kind])
        if kind:
            self.counters.writes += 1
        else:
            self.counters.reads += 1

    def _activate(self, request: Request, slot: int, clock: int) -> None:
        bank = request[BANK]
        self.waits.activate(request, max(self._look[slot](self.timing.ready)), clock)
        self.counters.row_misses += self._begins(request)
        self._open(request, clock)
        if request[KIND]:
            self._buffered.discard(request[BURST])
        self.counters.activates += 1
        self._put(self._slot_commands[2], bank, clock, request)

    def _open(self, request: Request, clock: int) -> None:
        """Begin to open the row of a request; here one command does it all."""
        self.banks.hold(request)
        self.banks.open(request)

    def _precharge(self, request: Request, slot: int, clock: int) -> None:
        bank = request[BANK]
        self.waits.precharge(bank, max(self._look[slot](self.timing.ready)), clock)
        self.counters.row_conflicts += self._begins(request)
        self._conflicts.add(request[NUMBER])
        self.banks.close(bank)
        self.waits.close(bank, clock)
        self._reset(bank)
        self.counters.precharges += 1
        self._put(self._slot_commands[3], bank, clock, request)

    def _begins(self, request: Request) -> bool:
        """Return whether a command is the first of a request, so that it tells the outcome of its row."""
        number = request[NUMBER]
        if number not in self._conflicts:
            return True
        self._conflicts.discard(number)
        return False
