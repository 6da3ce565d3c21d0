"""What must hold between the keys of a device, and where in its file it does not."""

from __future__ import annotations

from collections.abc import Iterator

from sim.dram.schema import OVERRIDE, Specification
from sim.errors import unknown
from sim.yamlfile import Path_

Found = Iterator[tuple[Path_, str]]
"""Key paths, and what is wrong there."""

ORDERED = (
    ("tRC", ("tRAS", "tRP")), ("tRAS", ("tRCD",)), ("tRAS", ("tRCDRD",)), ("tFAW", ("tRRD_S",)),
    ("tREFI", ("tRFC",)), ("tCCD_L", ("tCCD_S",)), ("tCCD_S", ("BL",)),
)  # fmt: skip
"""Parameters that must not be less than the sum of others."""

NEEDED = ("BL", "CL", "CWL", "tRP", "tRAS", "tRFC", "tREFI")
"""Parameters that controllers, energy and limits ask for by name; none of them may be zero."""

COMMANDS = ("RD", "WR", "RDA", "WRA", "PREpb", "PREab", "REFab")
"""Commands that controllers issue by name, beside ACT (or ACT1 and ACT2)."""


def problems(spec: Specification) -> Found:
    """Yield every contradiction between the keys of `spec`."""
    for check in (_levels, _commands, _mapping, _sources, _constraints, _timing, _policies):
        yield from check(spec)


def _levels(spec: Specification) -> Found:
    if spec.levels[0] != "Channel" or spec.levels[-1] != "Bank":
        yield ("levels",), "must go from Channel to Bank"
    wanted = [*spec.levels[1:], "Row", "Column"]
    if set(spec.organization) != set(wanted):
        yield ("organization",), f"must give exactly {', '.join(wanted)}; channels have their own key"
    for name, count in spec.organization.items():
        if count & (count - 1):
            yield ("organization", name), f"must be a power of two, not {count}"
    if spec.channels & (spec.channels - 1):
        yield ("channels",), f"must be a power of two, not {spec.channels}"


def _commands(spec: Specification) -> Found:
    opens = ("ACT1", "ACT2", "CAS_RD", "CAS_WR") if "ACT1" in spec.commands else ("ACT",)
    for name in (*COMMANDS, *opens):
        if name not in spec.commands:
            yield ("commands",), f"misses {name}, which the controller issues"
    for name, command in spec.commands.items():
        if command.scope not in spec.levels:
            yield ("commands", name, "scope"), unknown("level", command.scope, spec.levels)
    for name in (*NEEDED, *(("tAAD", "tWCKPST") if "ACT1" in spec.commands else ())):
        if name not in spec.timing:
            yield ("timing",), f"misses {name}"


def _mapping(spec: Specification) -> Found:
    wanted = [*spec.levels[1:], "Row", "Column"]
    repeated = sorted({name for name in spec.mapping if spec.mapping.count(name) > 1})
    missing = [name for name in wanted if name not in spec.mapping]
    strange = [name for name in spec.mapping if name not in (*wanted, "Channel")]
    for what, names in (("repeats", repeated), ("misses", missing), ("has no use for", strange)):
        if names:
            yield ("mapping",), f"{what} {', '.join(names)}; it needs each of {', '.join(wanted)} once"


def _sources(spec: Specification) -> Found:
    cited: list[tuple[Path_, str]] = [(("timing", name), each.source) for name, each in spec.timing.items()]
    if spec.currents is not None:
        cited.append((("currents",), spec.currents.source))
    if spec.events is not None:
        cited += [(("events", part), values["source"]) for part, values in spec.events.model_dump().items() if values]
    for path, source in cited:
        if source != OVERRIDE and source not in spec.sources:
            yield path, unknown("source", source, spec.sources)


def _constraints(spec: Specification) -> Found:
    for key in ("read_latency", "write_latency"):
        yield from _latency(spec, (key,), getattr(spec, key))
    for name, gap in spec.constraints.items():
        place = ("constraints", name)
        if gap.level not in spec.levels:
            yield (*place, "level"), unknown("level", gap.level, spec.levels)
        for side in ("preceding", "following"):
            for command in getattr(gap, side):
                if command not in spec.commands:
                    yield (*place, side), unknown("command", command, spec.commands)
        yield from _latency(spec, (*place, "latency"), gap.latency)


def _latency(spec: Specification, path: Path_, latency: str) -> Found:
    try:
        spec.clocks(latency)
    except ValueError as error:
        yield path, str(error)


def _timing(spec: Specification) -> Found:
    for whole, parts in ORDERED:
        if all(name in spec.timing for name in (whole, *parts)):
            cycles, least = spec.timing[whole].cycles, sum(spec.timing[name].cycles for name in parts)
            if cycles + spec.rounding < least:
                told = f"{whole} = {cycles} < {' + '.join(parts)} = {least} clocks"
                yield ("timing", whole), f"timing contradicts itself: {told}"
    for name in NEEDED:
        if name in spec.timing and spec.timing[name].cycles == 0:
            yield ("timing", name), "must be greater than zero"


def _policies(spec: Specification) -> Found:
    if spec.write_low > spec.write_high:
        yield ("write_low",), f"{spec.write_low} must not be above write_high ({spec.write_high})"
    if getattr(spec, spec.energy) is None:
        there = ", ".join(name for name in ("currents", "events") if getattr(spec, name) is not None)
        yield ("energy",), f"energy by {spec.energy} needs the key {spec.energy}; there is: {there or 'none'}"
    if spec.refresh == "per_bank" and ("REFpb" not in spec.commands or "tREFIpb" not in spec.timing):
        yield ("refresh",), f"{spec.standard} has no refresh by bank here; choose from: all_bank, off"
