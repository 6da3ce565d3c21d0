"""A DRAM device as text: what follows from it, every timing with its source, every constraint in clocks."""

from __future__ import annotations

from collections.abc import Mapping

from sim.dram.device import Device
from sim.dram.energy import costs
from sim.dram.schema import Constraint, Timing
from sim.report.table import Column, pairs, table, wrap
from sim.units import show_bytes, show_si


def device_text(device: Device, width: int) -> str:
    """Return what `show` prints of a device."""
    spec = device.spec
    return "\n".join((
        wrap(f"{device.name}: {spec.description}", width),
        pairs(_facts(device), width),
        "Timing, in clocks:\n" + timing_table(spec.timing, spec.tCK, width),
        "Gaps between commands, in clocks:\n" + _gaps(device, width),
        "Sources:\n" + pairs(((name, _source(device, name)) for name in spec.sources), width, "  "),
    ))  # fmt: skip


def _facts(device: Device) -> list[tuple[str, str]]:
    spec = device.spec
    each = ", ".join(f"{count} {name}" for name, count in device.counts.items())
    cost = costs(device)
    return [
        ("validated", spec.validated),
        ("clock", f"{show_si(float(device.clock_hertz), 'Hz')}, tCK {spec.tCK:g} ps"),
        ("capacity", f"{show_bytes(device.capacity)}: {each}, {device.burst} B a burst"),
        ("peak", f"{device.peak_bandwidth / 1e9:.4g} GB/s"),
        ("latency", f"{device.read_latency} clocks from a read to its last data, {device.write_latency} from a write"),
        ("mapping", ", ".join(spec.mapping) + ", from the most to the least significant bits"),
        ("policies", f"rows {spec.row_policy}, refresh {spec.refresh}, queues of {spec.read_queue} reads and "
                     f"{spec.write_queue} writes, which drain from {spec.write_high:g} to {spec.write_low:g}"),
        ("energy", f"by {spec.energy}: activate {cost.activate:.4g} pJ, burst read {cost.read:.4g} pJ, written "
                   f"{cost.write:.4g} pJ, refresh {cost.refresh:.4g} pJ, standby {cost.closed_clock:.4g} to "
                   f"{cost.open_clock:.4g} pJ a clock and rank"),
    ]  # fmt: skip


def timing_table(timing: Mapping[str, Timing], tck: float, width: int) -> str:
    """Return timing parameters in clocks and nanoseconds, with their sources; `tck`: picoseconds of a clock."""
    columns = [Column("  parameter", right=False), Column("clocks"), Column("ns"), Column("source", right=False)]
    return table(columns, (
        (f"  {name}", f"{each.cycles:,}", f"{each.cycles * tck / 1000:.4g}", each.source)
        for name, each in timing.items()
    ), width)  # fmt: skip


def _gaps(device: Device, width: int) -> str:
    columns = [
        Column("  within one", right=False), Column("after", right=False), Column("before", right=False),
        Column("clocks"), Column("which is", right=False, spare=1),
    ]  # fmt: skip
    return table(columns, (
        (f"  {_where(gap)}", " ".join(gap.preceding), " ".join(gap.following), f"{device.spec.clocks(gap.latency):,}",
         gap.latency) for gap in device.spec.constraints.values()
    ), width)  # fmt: skip


def _where(gap: Constraint) -> str:
    if gap.sibling:
        return f"to another {gap.level}"
    return f"{gap.level}, the {gap.window}th last" if gap.window > 1 else gap.level


def _source(device: Device, name: str) -> str:
    source = device.spec.sources[name]
    return f"{source.text} ({source.derived})" if source.derived else source.text

