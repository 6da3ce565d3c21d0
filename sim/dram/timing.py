"""When a command is allowed: tables compiled from constraints, and the times they imply. No policy in it.

A command goes to a node of its scope (a bank, a rank). The tables know, for every kind of following command and
every node, the first clock at which it may come, and the constraint that says so. Commands that the same
constraints hold back share one kind. Times are kept as `clock << SHIFT | constraint`, so that one comparison
carries both.

A command is known to the device when its last clock on the command bus is over: a gap between commands of
different length is adjusted by the difference (JEDEC JESD79-5 counts so; Ramulator 2.1 does the same).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from operator import itemgetter
from typing import Any

from sim.dram.hierarchy import Hierarchy
from sim.dram.schema import Constraint, Timed

SHIFT = 8
"""Bits below the clock for the number of the constraint."""

NEVER = 1 << 62
"""A clock that no run reaches."""

Update = tuple[int, int]
Memory = tuple["deque[int]", int, tuple[Update, ...]]


class Timing:
    """The next allowed clock of every command at every node, given the commands issued so far."""

    def __init__(
        self, tree: Hierarchy, commands: Mapping[str, Timed], gaps: Sequence[tuple[str, Constraint, int]]
    ) -> None:
        """Compile `gaps`: name, constraint and its latency in clocks. Commands are numbered in their order."""
        self.tree = tree
        self.names = tuple(commands)
        self.scopes = tuple(tree.depth[command.scope] for command in commands.values())
        self.reasons = ("", *(name for name, _, _ in gaps), "command bus")
        self._rules = list(_rules(tree, commands, gaps))
        self._kinds = self._classify()
        self._places: dict[tuple[int, int], int] = {}
        self.ready: list[int] = []
        self._room()
        self._history: dict[tuple[int, int, int], deque[int]] = {}
        self.updates = [self._per_node(c, self._updates) for c in range(len(self.names))]
        self.windows = [self._per_node(c, self._windows) for c in range(len(self.names))]
        self.lookup = [self._per_node(c, self._lookup) for c in range(len(self.names))]

    @property
    def windows_at_all(self) -> bool:
        """Whether any constraint counts from more than the last command, so that commands are remembered."""
        return bool(self._history)

    def fresh(self) -> Timing:
        """Return the same tables with no command issued; only where no commands are remembered."""
        made = copy(self)
        made.ready = [0] * len(self.ready)
        return made

    def when(self, command: int, node: int) -> int:
        """Return the first allowed clock of `command` at `node`, encoded with the constraint that binds."""
        return int(max(self.lookup[command][node](self.ready)))

    def clock(self, name: str, node: int = 0) -> int:
        """Return the first allowed clock of the command called `name` at `node` of its scope."""
        return self.when(self.names.index(name), node) >> SHIFT

    def issue(self, command: int, node: int, clock: int) -> None:
        """Take it that `command` goes to `node` at `clock`; later commands see it."""
        ready, base = self.ready, clock << SHIFT
        for place, gap in self.updates[command][node]:
            at = base + gap
            if ready[place] < at:
                ready[place] = at
        for history, window, updates in self.windows[command][node]:
            history.append(clock)
            if len(history) == window:
                base = history[0] << SHIFT
                for place, gap in updates:
                    if ready[place] < base + gap:
                        ready[place] = base + gap

    def state(self, since: int) -> tuple[Any, ...]:
        """Return all that later commands can see, as clocks after `since`; what lies behind is left out."""
        ready = tuple(max(0, (value >> SHIFT) - since) for value in self.ready)
        longest = max((gap >> SHIFT for all_of in self.windows for node in all_of for _, _, updates in node
                       for _, gap in updates), default=0)  # fmt: skip
        return ready, tuple(
            tuple(max(-longest, clock - since) for clock in _filled(history)) for history in self._history.values()
        )

    def _classify(self) -> tuple[int, ...]:
        seen: dict[tuple[Any, ...], int] = {}
        kinds = []
        for command in range(len(self.names)):
            key = tuple(rule for rule in ((p, level, gap, window, sibling, reason)
                        for p, f, level, gap, window, sibling, reason in self._rules if f == command))  # fmt: skip
            kinds.append(seen.setdefault(key, len(seen)))
        return tuple(kinds)

    def _room(self) -> None:
        """Give a place in `ready` to every kind at every node where a constraint holds it; the first stays 0."""
        self.ready.append(0)
        for kind, level in sorted({(self._kinds[f], level) for _, f, level, *_ in self._rules}):
            self._places[kind, level] = len(self.ready)
            self.ready.extend([0] * self.tree.nodes[level])

    def _per_node(self, command: int, make: Callable[[int, int], Any]) -> list[Any]:
        return [make(command, node) for node in range(self.tree.nodes[self.scopes[command]])]

    def _updates(self, command: int, node: int) -> tuple[Update, ...]:
        found: dict[int, int] = {}
        for p, f, level, gap, window, sibling, reason in self._rules:
            if p == command and window == 1:
                for place in self._touched(command, node, level, sibling, self._kinds[f]):
                    found[place] = max(found.get(place, 0), gap << SHIFT | reason)
        return tuple(found.items())

    def _windows(self, command: int, node: int) -> tuple[Memory, ...]:
        found: dict[tuple[int, int, int], dict[int, int]] = {}
        for p, f, level, gap, window, _, reason in self._rules:
            if p == command and window > 1:
                for place in self._touched(command, node, level, False, self._kinds[f]):
                    key = (command, place - self._places[self._kinds[f], level] + level * self.tree.banks, window)
                    found.setdefault(key, {})[place] = gap << SHIFT | reason
        return tuple(
            (self._history.setdefault(key, deque(maxlen=key[2])), key[2], tuple(updates.items()))
            for key, updates in found.items()
        )

    def _touched(self, command: int, node: int, level: int, sibling: bool, kind: int) -> list[int]:
        scope, start = self.scopes[command], self._places[kind, level]
        if sibling:
            beside = self.tree.beside(level, self.tree.above(scope, node, level)) if level <= scope else []
            return [start + other for other in beside]
        return [start + other for other in self._related(scope, node, level)]

    def _related(self, scope: int, node: int, level: int) -> Sequence[int]:
        if level <= scope:
            return (self.tree.above(scope, node, level),)
        return self.tree.inside(scope, node, level)

    def _lookup(self, command: int, node: int) -> Callable[[list[int]], tuple[int, ...]]:
        kind, scope = self._kinds[command], self.scopes[command]
        places = [start + other for (k, level), start in self._places.items() if k == kind
                  for other in self._related(scope, node, level)]  # fmt: skip
        return itemgetter(*(places if len(places) > 1 else [0, 0, *places]))  # of one alone, it returns no tuple


def _filled(history: deque[int]) -> list[int]:
    """Return the last clocks of a command, as many as are kept; such as never were lie far back."""
    return [-NEVER] * ((history.maxlen or 0) - len(history)) + [*history]


Rule = tuple[int, int, int, int, int, bool, int]
"""Preceding and following command, depth, clocks, window, sibling, number of the reason."""


def _rules(
    tree: Hierarchy, commands: Mapping[str, Timed], gaps: Sequence[tuple[str, Constraint, int]]
) -> Iterator[Rule]:
    number = {name: i for i, name in enumerate(commands)}
    for reason, (_, gap, clocks) in enumerate(gaps, 1):
        for p in gap.preceding:
            for f in gap.following:
                adjusted = clocks + commands[p].cycles - commands[f].cycles
                depth = tree.depth[gap.level]
                if adjusted > 0 and not (gap.sibling and tree.fanout[depth] == 1):
                    depth = depth if gap.sibling else tree.deepest(depth)
                    yield number[p], number[f], depth, adjusted, gap.window, gap.sibling, reason
    yield from _bus_rules(tree, commands, len(gaps) + 1)


def _bus_rules(tree: Hierarchy, commands: Mapping[str, Timed], reason: int) -> Iterator[Rule]:
    """Yield that a command of several clocks holds back all others on its bus."""
    names = list(commands)
    for p, first in commands.items():
        for f, second in commands.items():
            if first.cycles > 1 and first.bus == second.bus:
                yield names.index(p), names.index(f), tree.deepest(0), first.cycles, 1, False, reason
