"""A run of a PIM program as text, and a PIM device."""

from __future__ import annotations

from collections.abc import Mapping

from sim.dram.schema import clocks as in_clocks
from sim.pim.device import Device
from sim.pim.result import PimResult
from sim.pim.schema import Energies
from sim.report.device import timing_table
from sim.report.table import Column, pairs, table, wrap
from sim.result import Result
from sim.units import show_bytes, show_si

_CAUSES = {
    "multiply": "multiplying", "row_switch": "opening rows", "mode_switch": "switching between banks and registers",
    "write_buffer": "writing the global buffer", "write_registers": "writing registers",
    "read_registers": "reading registers", "refresh": "refresh", "end": "until the last is done",
    "read": "reading over the pins", "write": "writing over the pins", "wait": "waiting for the companion",
}  # fmt: skip


def summary(result: PimResult, width: int) -> str:
    """Return the totals, the commands and where the time goes, in lines of `width` characters."""
    return wrap(f"{result.device}: {result.description}", width) + "\n" + pairs(_lines(result), width)


def _lines(result: PimResult) -> list[tuple[str, str]]:
    seconds, clock = show_si(result.seconds, "s"), show_si(result.clock_hz, "Hz")
    counts = ", ".join(f"{count:,} {name}" for name, count in result.commands.items() if count)
    return [
        ("cycles", f"{result.cycles:,} = {seconds} at {clock}, to the end of the last operation"),
        ("operations", f"{result.operations:,} on each of {result.channels:,} channels"),
        ("commands", counts),
        ("time", spent(result.clocks)),
        *_energy(result),
        ("validated", result.validated),
        *(("note", note) for note in result.notes),
    ]


def _energy(result: PimResult) -> list[tuple[str, str]]:
    if not result.energy_pj or not result.energy_pj["total"]:
        return []
    total, parts = result.energy_pj["total"], result.energy_pj["by_action"].items()
    shares = ", ".join(f"{name} {pj / total:.1%}" for name, pj in sorted(parts, key=lambda item: -item[1]) if pj)
    return [("energy", f"{show_si(total * 1e-12, 'J')}: {shares}")]


def spent(clocks: Mapping[str, int]) -> str:
    """Return the share of each cause in the clocks of a channel, those without any left out."""
    total = sum(clocks.values())
    return ", ".join(f"{part / total:.1%} {_CAUSES[cause]}" for cause, part in clocks.items() if part)


_WORK = {
    "weights": "products with weights", "attention": "products with keys, values and other activations",
    "cache": "writing these into the banks", "moves": "tables, parameters and what the SRAM does not hold",
}


def in_memory(result: Result, width: int) -> str:
    """Return the section on banks that multiply: what programs are for, what lies between, and the baseline."""
    found = result.pim
    rows = next(iter(result.dram.values()))
    base = found["baseline"]
    told = [f"{cycles / result.cycles:.1%} {_WORK[what]}" for what, cycles in found["programs"].items() if cycles]
    names = {"waiting": "waiting for the companion", "closing_rows": "closing rows", "refresh": "refresh"}
    told += [f"{n / result.cycles:.1%} {names[what]} between them" for what, n in found["between"].items() if n]
    streamed = f"{base['cycles']:,} cycles = {show_si(base['seconds'], 's')} for {show_bytes(base['bytes'])}"
    lines = [
        ("banks", ", ".join(told)), ("row hits", f"{rows['row_hit_rate']:.1%} of accesses to the banks"),
        ("companion", f"busy {found['companion'] / result.cycles:.1%} of the time"),
        ("baseline", f"{streamed} over the pins of this memory to an array that is never the limit: "
                     f"{base['speedup']:.3g} times as long"),
    ]  # fmt: skip
    if found["padded_outputs"]:
        lines.append(("padding", f"{found['padded_outputs']:,} outputs that nobody asked for are computed too"))
    if "tokens" in found:
        rate, spent = found["tokens_per_second"], show_si(found["energy_pj_per_token"] * 1e-12, "J")
        lines.append(("tokens", f"{rate:,.1f} a second, {spent} each"))
    return "In the banks:\n" + pairs(lines, width, "  ")


def pim_text(device: Device, width: int) -> str:
    """Return what `show` prints of a PIM device."""
    spec = device.spec
    return "\n".join((
        wrap(f"{device.name}: {spec.description}", width),
        pairs(_facts(device), width),
        "Operations of programs:\n" + pairs(_operations(device), width, "  "),
        "Timing, in clocks:\n" + timing_table(spec.timing, spec.tCK, width),
        "Gaps between commands, in clocks:\n" + _gaps(device, width),
        "Energy:\n" + pairs(_figures(device), width, "  ") if device.spec.energy else "Energy: no figures\n",
        "Sources:\n" + pairs(((name, each.text) for name, each in spec.sources.items()), width, "  "),
    ))  # fmt: skip


def _facts(device: Device) -> list[tuple[str, str]]:
    spec = device.spec
    each = ", ".join(f"{count} {name}" for name, count in spec.organization.items())
    return [
        ("validated", spec.validated),
        ("clock", f"{show_si(device.clock_hertz, 'Hz')}, tCK {spec.tCK:g} ps"),
        ("capacity", f"{show_bytes(device.capacity)}: {spec.channels} Channel, {each}, {spec.burst} B a burst"),
        ("multipliers", f"{device.lanes} {spec.number_format} a bank, every {device.interval} clocks"),
        ("global buffer", f"{show_bytes(spec.buffer)} a channel"),
        ("policies", f"order {spec.order}, refresh {spec.refresh}"),
    ]


def _figures(device: Device) -> list[tuple[str, str]]:
    """Return each figure of the energy of commands, what it is of, and where it comes from."""
    about = {name: field.description for name, field in Energies.model_fields.items()}
    found = []
    for name, event in device.spec.energy or ():
        derived = f"; {event.derived}" if event.derived else ""
        found.append((name, f"{show_si(event.value * 1e-12, 'J')} for {about[name]} ({event.source}{derived})"))
    return found


def _operations(device: Device) -> list[tuple[str, str]]:
    return [(name, _operation(device, name)) for name in device.spec.operations]


def _operation(device: Device, name: str) -> str:
    operation = device.spec.operations[name]
    waits = "; what comes after it waits for its data" if operation.blocks else ""
    return f"{operation.command} size times ({device.does(name).does.replace('_', ' ')}){waits}"


def _gaps(device: Device, width: int) -> str:
    columns = [
        Column("  after", right=False), Column("before", right=False), Column("clocks"),
        Column("which is", right=False, spare=1),
    ]  # fmt: skip
    return table(columns, (
        (f"  {' '.join(gap.preceding)}", " ".join(gap.following), f"{in_clocks(gap.latency, device.spec.timing):,}",
         gap.latency) for gap in device.spec.constraints.values()
    ), width)  # fmt: skip
