"""A chip as text: its keys as a tree, and what follows from them."""

from __future__ import annotations

from sim.arch import Arch, Vector, channel
from sim.arch.unit import Unit
from sim.energy import load as load_table
from sim.fabric.cost import Formats
from sim.report.table import pairs, wrap
from sim.report.tree import tree
from sim.units import show_bytes, show_si

TOLD_ABOVE = frozenset({"name", "description", "source"})


def chip_text(chip: Arch, width: int) -> str:
    """Return what `show` prints of a chip: description, tree, derived figures and sources."""
    parts = [
        wrap(f"{chip.name}: {chip.description}" if chip.description else chip.name, width),
        tree(chip, width, TOLD_ABOVE),
        "It follows:\n" + pairs(derived(chip), width, "  "),
        "Sources:\n" + pairs(_sources(chip), width, "  "),
    ]
    return "\n".join(parts)


def derived(chip: Arch) -> list[tuple[str, str]]:
    """Return what the keys of `chip` imply: peak rates, on-chip memory, bytes a cycle, and the ridge point.

    The ridge point is the MACs a byte above which the peak of the array, and below which the off-chip
    channel, is the limit (the roofline model: Williams, Waterman and Patterson, CACM 52(4), 2009).
    """
    found, array, vector, line = list[tuple[str, str]](), chip.array, chip.vector, channel(chip)
    if array is not None:
        most, clock = array.pes * chip.mac_rate, array.own_clock(chip.clock)
        peak = show_si(2 * most * clock, "OPS")
        found.append(("peak", f"{most:,} MACs/cycle{_clock(array, chip)} = {peak}, two operations a MAC"))
        for formats, each in array.rates.items():
            peak = show_si(2 * array.pes * each * clock, "OPS")
            found.append((f"  {formats}", f"{each} a PE and cycle: {array.pes * each:,} MACs/cycle = {peak}"))
    if chip.fabric is not None:
        packed = Formats.of(chip, chip.fabric).packed
        peak = show_si(2 * packed * chip.fabric.dsp * chip.clock, "OPS")
        found.append(("peak", f"{packed * chip.fabric.dsp:,} MACs/cycle = {peak}, {packed} a multiplier block"))
    if chip.pim is not None:
        device = chip.pim.open()
        lanes = device.lanes * device.units * device.spec.channels
        peak = show_si(2 * lanes * chip.clock / device.interval, "OPS")
        pins = show_si(device.spec.burst * device.spec.channels * chip.clock / device.beat, "B/s")
        found.append(("peak", f"{lanes:,} MACs each {device.interval} cycles = {peak}, two operations a MAC"))
        found.append(("pins", f"{pins} out of {show_bytes(device.capacity)} in the banks"))
        return found
    if vector is not None:
        rate = show_si(chip.lanes * vector.own_clock(chip.clock), "OPS")
        found.append(("vector", f"{rate}: {_lanes(vector, chip)}{_clock(vector, chip)}"))
        found += [(f"  {operation}", _method(vector, operation)) for operation in vector.functions]
    if chip.buffers and chip.bounded:
        total = show_bytes(sum(buffer.capacity for buffer in chip.buffers.values()))
        found.append(("on chip", f"{total} in {len(chip.buffers)} buffers"))
    if line is None:
        found.append(("off chip", "no limit: memory is ideal"))
        return found
    brought = float(line.burst / line.cycles_per_burst)
    found.append(("off chip", f"{brought:.4g} B/cycle in bursts of {line.burst} B, {line.latency:,} cycles of latency"))
    if array is not None:
        ridge = chip.peak * chip.mac_rate / brought
        found.append(("ridge point", f"{ridge:,.4g} MACs a byte; a layer with fewer waits for memory"))
    return found


def _clock(unit: Unit, chip: Arch) -> str:
    """Return the clock of a unit, and its point, where it is not just that of the chip."""
    told = unit.told(chip.clock)
    if "point" not in told:
        return ""
    return f" at {show_si(told['clock_hz'], 'Hz')}, {told['voltage']:g} V (point {told['point']})"


def _method(vector: Vector, operation: str) -> str:
    """Return what a function of the lanes takes, and how far it is off."""
    method = vector.functions[operation]
    steps = ", ".join(f"{step} {count}" for step, count in method.steps(operation).items() if count)
    bound, about = method.error(operation)
    off = f"off by {bound:.3g} {about} at most"
    return f"{method.method}, {vector.cycles(operation)} cycles: {steps}; {off} ({method.source})"


def _lanes(vector: Vector, chip: Arch) -> str:
    each = f", {chip.lanes // vector.lanes} elements of {chip.lane_format} each" if vector.rates else ""
    return f"{vector.lanes:,} lanes{each}"


def _sources(chip: Arch) -> list[tuple[str, str]]:
    table = load_table(chip.technology)
    return [("chip", chip.source or "none stated"), ("energy", f"table {table.name}: {table.schema.about}")]
