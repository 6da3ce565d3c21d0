"""What must hold between the keys of a PIM device, and where in its file it does not."""

from __future__ import annotations

from math import prod

from sim.dram.checks import Found, gaps, hierarchy, latency
from sim.dram.schema import OVERRIDE
from sim.errors import unknown
from sim.formats import PLAIN
from sim.pim.schema import NEEDED, OPTIONAL, SINGLE, Specification

TIMED = ("tRFC", "tREFI")
"""Parameters that the controller asks for by name."""


def problems(spec: Specification) -> Found:
    """Yield every contradiction between the keys of `spec`."""
    for check in (_organization, _units, _commands, _operations, _constraints, _timing, _formats, _energy):
        yield from check(spec)


def _organization(spec: Specification) -> Found:
    wrong = [*hierarchy(spec.levels, spec.organization)]
    yield from wrong
    if wrong:
        return
    if spec.buffer % spec.burst or spec.buffer > spec.organization["Column"] * spec.burst:
        told = f"{spec.buffer} bytes are no whole bursts of {spec.burst}, or more than a row"
        yield ("buffer",), f"{told} of {spec.organization['Column'] * spec.burst}"


def _units(spec: Specification) -> Found:
    banks = prod(spec.organization.get(level, 1) for level in spec.levels[1:])
    if banks % spec.banks_per_unit:
        yield ("banks_per_unit",), f"{spec.banks_per_unit} banks a unit do not divide the {banks} banks of a channel"


def _commands(spec: Specification) -> Found:
    yield from _roles(spec)
    for name, command in spec.commands.items():
        if command.does in SINGLE and command.scope != "Bank":
            yield ("commands", name, "scope"), f"must be Bank: {command.does} goes to one bank"
        if command.does not in SINGLE and command.scope != "Channel":
            yield ("commands", name, "scope"), f"must be Channel: {command.does} goes to all banks of a channel"
        yield from _mode(spec, name)
        yield from latency(("commands", name, "latency"), command.latency, spec.timing)


def _roles(spec: Specification) -> Found:
    roles: list[str] = [command.does for command in spec.commands.values()]
    for role in (*NEEDED, *OPTIONAL):
        if roles.count(role) != 1 and (role in NEEDED or roles.count(role) > 1):
            yield ("commands",), f"needs one command that does {role}, not {roles.count(role)}"
    if set(roles) & {"read", "write", "multiply_one"} and "activate_one" not in roles:
        yield ("commands",), "needs one command that does activate_one, as others go to one bank"


def _mode(spec: Specification, name: str) -> Found:
    """Yield what is wrong with the mode of a command: with a switch, every other one needs its own."""
    command, switches = spec.commands[name], any(each.does == "switch" for each in spec.commands.values())
    if switches and (command.mode is None) != (command.does == "switch"):
        yield ("commands", name, "mode"), "is what every command needs but the switch, which has none"
    if not switches and command.mode is not None:
        yield ("commands", name, "mode"), "needs a command that switches between modes"


def _operations(spec: Specification) -> Found:
    roles = set[str]()
    for name, operation in spec.operations.items():
        place = ("operations", name, "command")
        if operation.command not in spec.commands:
            yield place, unknown("command", operation.command, spec.commands)
            continue
        roles.add(role := spec.commands[operation.command].does)
        if role not in (*_PROGRAMMED, *_ALLOWED):
            yield place, f"{operation.command} is issued by the controller, not by programs"
    for needed in _PROGRAMMED:
        if needed not in roles:
            yield ("operations",), f"misses one that does {needed}"


_PROGRAMMED = ("multiply", "write_buffer", "read_registers")
_ALLOWED = ("write_registers", "multiply_one", "read", "write")


def _constraints(spec: Specification) -> Found:
    for name, gap in spec.constraints.items():
        if gap.window != 1 and not _single(spec, gap.preceding):
            yield ("constraints", name, "window"), "must be 1: commands to all banks have no window"
    yield from gaps(spec.constraints, spec.levels, spec.commands, spec.timing)


def _single(spec: Specification, names: list[str]) -> bool:
    return all(spec.commands[name].does in SINGLE for name in names if name in spec.commands)


def _timing(spec: Specification) -> Found:
    for name in TIMED:
        if name not in spec.timing:
            yield ("timing",), f"misses {name}"
    for name, each in spec.timing.items():
        if each.source != OVERRIDE and each.source not in spec.sources:
            yield ("timing", name), unknown("source", each.source, spec.sources)
    if all(name in spec.timing for name in TIMED) and spec.timing["tREFI"].cycles <= spec.timing["tRFC"].cycles:
        told = f"tREFI = {spec.timing['tREFI'].cycles} <= tRFC = {spec.timing['tRFC'].cycles} clocks"
        yield ("timing", "tREFI"), f"timing contradicts itself: {told}", ("timing", "tRFC")


def _formats(spec: Specification) -> Found:
    for name in spec.formats:
        if name not in PLAIN:
            yield ("formats",), unknown("number format", name, PLAIN)
    if spec.number_format not in spec.formats:
        told = f"the banks cannot multiply {spec.number_format}; choose from: {', '.join(spec.formats)}"
        yield ("number_format",), told


def _energy(spec: Specification) -> Found:
    for name, event in spec.energy or ():
        if event.source not in spec.sources:
            yield ("energy", name, "source"), unknown("source", event.source, spec.sources)
