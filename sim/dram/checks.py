"""What must hold between the keys of a device, and where in its file it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sim.dram.schema import OVERRIDE, Constraint, FieldName, Parameter, Specification, clocks
from sim.errors import unknown
from sim.yamlfile import Path_

Found = Iterator[tuple[Path_, str, *tuple[Path_, ...]]]
"""Key paths, what is wrong there, and other keys that it is about."""

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


def hierarchy(levels: Sequence[str], organization: Mapping[FieldName, int]) -> Found:
    """Yield where levels do not go from channel to bank, or the organization is not theirs."""
    if levels[0] != "Channel" or levels[-1] != "Bank":
        yield ("levels",), "must go from Channel to Bank"
    wanted = [*levels[1:], "Row", "Column"]
    if set(organization) != set(wanted):
        yield ("organization",), f"must give exactly {', '.join(wanted)}; channels have their own key"


def _levels(spec: Specification) -> Found:
    yield from hierarchy(spec.levels, spec.organization)
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
        yield from latency((key,), getattr(spec, key), spec.timing)
    yield from gaps(spec.constraints, spec.levels, spec.commands, spec.timing)


def gaps(
    constraints: Mapping[str, Constraint], levels: Sequence[str], commands: Iterable[str],
    timing: Mapping[str, Parameter],
) -> Found:  # fmt: skip
    """Yield where gaps between commands name a level, a command or a parameter that there is not."""
    for name, gap in constraints.items():
        place = ("constraints", name)
        if gap.level not in levels:
            yield (*place, "level"), unknown("level", gap.level, levels)
        for side in ("preceding", "following"):
            for command in getattr(gap, side):
                if command not in commands:
                    yield (*place, side), unknown("command", command, commands)
        yield from latency((*place, "latency"), gap.latency, timing)


def latency(path: Path_, text: str, timing: Mapping[str, Parameter]) -> Found:
    """Yield where a sum of timing parameters has a name that is none."""
    try:
        clocks(text, timing)
    except ValueError as error:
        yield path, str(error)


def _timing(spec: Specification) -> Found:
    for whole, parts in ORDERED:
        if all(name in spec.timing for name in (whole, *parts)):
            cycles, least = spec.timing[whole].cycles, sum(spec.timing[name].cycles for name in parts)
            if cycles + spec.rounding < least:
                told = f"{whole} = {cycles} < {' + '.join(parts)} = {least} clocks"
                about = (("timing", name) for name in parts)
                yield ("timing", whole), f"timing contradicts itself: {told}", *about
    for name in NEEDED:
        if name in spec.timing and spec.timing[name].cycles == 0:
            yield ("timing", name), "must be greater than zero"


def _policies(spec: Specification) -> Found:
    if spec.write_low > spec.write_high:
        yield ("write_low",), f"{spec.write_low} must not be above write_high ({spec.write_high})", ("write_high",)
    if getattr(spec, spec.energy) is None:
        there = ", ".join(name for name in ("currents", "events") if getattr(spec, name) is not None)
        yield ("energy",), f"energy by {spec.energy} needs the key {spec.energy}; there is: {there or 'none'}"
    if spec.refresh == "per_bank" and ("REFpb" not in spec.commands or "tREFIpb" not in spec.timing):
        yield ("refresh",), f"{spec.standard} has no refresh by bank here; choose from: all_bank, off"
