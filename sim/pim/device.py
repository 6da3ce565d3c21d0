"""From a name to a PIM device: find the file, lay it over what it extends, set what is overridden, check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any

from sim import library
from sim.dram.hierarchy import Hierarchy
from sim.dram.schema import clocks
from sim.dram.timing import Timing
from sim.errors import ConfigError, Problem, nearest
from sim.extends import read_extended
from sim.formats import PLAIN
from sim.pim.checks import problems
from sim.pim.schema import Command, Role, Specification
from sim.yamlfile import Document, Path_, check, dotted, in_order

ROOMS = ("timing", "organization")
"""Keys whose own keys may be set without naming them."""


@dataclass(frozen=True)
class Device:
    """A PIM device: what the file says, and what follows from it."""

    spec: Specification
    digest: str = ""
    known: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What pieces of work took: see `cost`."""

    @property
    def name(self) -> str:
        """The name of the device."""
        return self.spec.name

    @cached_property
    def clock_hertz(self) -> float:
        """Clocks a second."""
        return float(Fraction(10**12) / Fraction(self.spec.tCK))

    @cached_property
    def banks(self) -> int:
        """Banks of one channel."""
        return prod(self.spec.organization[level] for level in self.spec.levels[1:])

    @cached_property
    def units(self) -> int:
        """Units of multipliers of one channel."""
        return self.banks // self.spec.banks_per_unit

    @cached_property
    def rows(self) -> int:
        """Rows that a unit reaches: those of its banks behind each other."""
        return self.spec.organization["Row"] * self.spec.banks_per_unit

    @cached_property
    def lanes(self) -> int:
        """Multiplications of a bank with one command: the elements of a burst."""
        return self.spec.burst * 8 // PLAIN[self.spec.number_format]

    @cached_property
    def element(self) -> int:
        """Bytes of an element."""
        return PLAIN[self.spec.number_format] // 8

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of a row of one bank."""
        return self.spec.organization["Column"] * self.spec.burst

    @cached_property
    def capacity(self) -> int:
        """Bytes of all channels."""
        return self.spec.channels * self.banks * self.spec.organization["Row"] * self.row_bytes

    @cached_property
    def interval(self) -> int:
        """Clocks from one multiply command to the next: the longest gap between two."""
        return self.gap("multiply", "multiply")

    @cached_property
    def beat(self) -> int:
        """Clocks from a burst over the pins to the next, banks of different groups taking turns."""
        name = self.maybe("read") or self.command("read_registers")
        return self._between(name, name, ["Channel"])

    def gap(self, before: Role, after: Role) -> int:
        """Return the clocks from a command that does something to one that does something else: the longest gap."""
        return self._between(self.command(before), self.command(after), self.spec.levels)

    def _between(self, before: str, after: str, levels: Sequence[str]) -> int:
        gaps = [each.latency for each in self.spec.constraints.values() if each.level in levels
                and each.window == 1 and before in each.preceding and after in each.following]  # fmt: skip
        return max([1, *(clocks(latency, self.spec.timing) for latency in gaps)])

    def command(self, does: Role) -> str:
        """Return the name of the command that does something."""
        return next(name for name, each in self.spec.commands.items() if each.does == does)

    def maybe(self, does: Role) -> str | None:
        """Return the name of the command that does something, where there is one."""
        return self._doing.get(does)

    @cached_property
    def _doing(self) -> dict[str, str]:
        return {each.does: name for name, each in self.spec.commands.items()}

    def operation(self, does: Role) -> str:
        """Return the name of the operation of programs that does something."""
        return next(name for name in self.spec.operations if self.does(name).does == does)

    def does(self, operation: str) -> Command:
        """Return the command that an operation of programs stands for."""
        return self.spec.commands[self.spec.operations[operation].command]

    def timing(self) -> Timing:
        """Return the times of a channel to which no command has been issued."""
        return self._compiled() if self._tables.windows_at_all else self._tables.fresh()

    @cached_property
    def _tables(self) -> Timing:
        return self._compiled()

    def _compiled(self) -> Timing:
        spec = self.spec
        tree = Hierarchy(spec.levels, [1, *(spec.organization[level] for level in spec.levels[1:])])
        gaps = [(name, gap, clocks(gap.latency, spec.timing)) for name, gap in spec.constraints.items()]
        return Timing(tree, spec.commands, gaps)


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Device:
    """Return the device called `name` (library or path) with `overrides` by dotted key applied.

    Raises ConfigError with all problems of the file, or of the overrides.
    """
    document = read_extended("pim", library.find("pim", name), ["validated"])
    for key, value in (overrides or {}).items():
        document = document.with_override(_path(document, key), value)
    return build(document)


def build(document: Document) -> Device:
    """Return the Device that `document` describes; ConfigError with all of its problems otherwise."""
    document.data.setdefault("validated", "not validated itself")
    spec, found = check(Specification, document)
    if spec is not None:
        found = [document.problem(path, message, about) for path, message, *about in problems(spec)]
    if spec is None or found:
        raise ConfigError(*in_order(found))
    return Device(spec, document.digest())


def _path(document: Document, key: str) -> Path_:
    """Return the path that a dotted `key` means: as it stands, or below one of ROOMS."""
    words = tuple(key.split("."))
    if words[0] in Specification.model_fields:
        return words
    for room in ROOMS:
        if words[0] in document.data.get(room, {}):
            return (room, *words)
    known = [*Specification.model_fields, *(name for room in ROOMS for name in document.data.get(room, {}))]
    guess = nearest(key, known)
    hint = f"; did you mean '{guess}'?" if guess else ""
    message = f"no key '{dotted(words)}' in PIM device '{document.data.get('name', document.file)}'{hint}"
    raise ConfigError(Problem(message, f"--set {key}"))
