"""The report of a streaming run as text: the total, units, channels, and a deadlock told in words."""

from __future__ import annotations

from sim.report.table import Column, pairs, table, wrap
from sim.streaming.deadlock import Blocked, Deadlock
from sim.streaming.result import ChannelResult, StreamResult, UnitResult
from sim.streaming.sizing import Sizing
from sim.units import show_si

UNIT_COLUMNS = (
    Column("unit", right=False), Column("kind", right=False, spare=1), Column("firings"), Column("util"),
    Column("compute"), Column("wait input"), Column("wait space"), Column("idle", spare=2),
)  # fmt: skip
CHANNEL_COLUMNS = (
    Column("channel", right=False), Column("from", right=False), Column("to", right=False),
    Column("tokens", spare=1), Column("depth"), Column("peak"), Column("full"), Column("empty"),
)  # fmt: skip

SIZE_COLUMNS = (Column("channel", right=False), Column("depth"), Column("peak occupancy"))
COST_COLUMNS = (Column("cost", right=False), Column("words"), Column("bits"), Column("BRAM18"))
CURVE_COLUMNS = (Column("bits"), Column("BRAM18"), Column("cycles"), Column("of the least"))


def stream_text(result: StreamResult, width: int = 120) -> str:
    """Return all that `stream` prints, in lines of `width` characters where names allow it."""
    parts = [
        f"{result.graph}\n",
        table(UNIT_COLUMNS, (_unit(name, unit) for name, unit in result.units.items()), width),
        table(CHANNEL_COLUMNS, (_channel(name, channel) for name, channel in result.channels.items()), width),
        pairs(_totals(result), width),
    ]
    if result.deadlock is not None:
        parts.append(deadlock_text(result.deadlock, width))
    return "\n".join(parts)


def _unit(name: str, unit: UnitResult) -> list[str]:
    causes = ("compute", "wait_input", "wait_output_space", "idle")
    counts = [f"{unit.cycles[cause]:,}" for cause in causes]
    return [name, unit.kind, f"{unit.firings:,}", f"{unit.utilization:.1%}", *counts]


def _channel(name: str, channel: ChannelResult) -> list[str]:
    depth = "unbounded" if channel.depth is None else f"{channel.depth:,}"
    depth += f" + {channel.buffer:,}" if channel.buffer else ""
    counts = [f"{n:,}" for n in (channel.peak_occupancy, channel.full_cycles, channel.empty_cycles)]
    return [name, channel.producer, channel.consumer, f"{channel.tokens:,}", depth, *counts]


def _totals(result: StreamResult) -> list[tuple[str, str]]:
    if result.cycles is None:
        lines = [("deadlock", f"nothing moves after cycle {result.stopped_at:,}")]
    else:
        time = show_si(result.cycles / result.clock_hz, "s")
        clock = show_si(result.clock_hz, "Hz")
        lines = [("cycles", f"{result.cycles:,} = {time} at {clock}, to the end of the last unit")]
    peak = sum(channel.peak_occupancy * channel.bits for channel in result.channels.values())
    capacity = "unbounded" if result.bits is None else f"{result.bits:,} bits"
    for name, port in result.ports.items():
        text = f"{port.words:,} words in {port.bursts:,} bursts, a word in {port.utilization:.1%} of the cycles"
        lines.append((f"port {name}", text))
    for memory, ways in result.traffic_bytes.items():
        read, written = (sum(ways[way].values()) for way in ("read", "write"))
        lines.append((f"traffic {memory}", f"{read:,} bytes read, {written:,} written"))
    if result.energy_pj is not None:
        parts = ", ".join(f"{name} {pj / 1e6:,.3g}" for name, pj in result.energy_pj["by_component"].items())
        lines.append(("energy", f"{result.energy_pj['total'] / 1e6:,.4g} uJ ({parts})"))
    lines += [("not modelled", f"{entry['what']}: {', '.join(entry['where'])}") for entry in result.not_modelled]
    return [*lines, ("FIFOs", f"{capacity} in all, {peak:,} bits at their fullest")]


def deadlock_text(deadlock: Deadlock, width: int) -> str:
    """Return why nothing can move: the ring of waiting, the others, and the change that frees it."""
    ring = [_waits(item) for item in deadlock.ring]
    others = [_waits(item) for item in deadlock.blocked if item not in deadlock.ring]
    lines = ["Deadlock: each of these waits for the next, and the last for the first\n"] if ring else ["Deadlock\n"]
    lines += [wrap(text, width, "  ", "    ") for text in ring]
    if others:
        lines.append("Blocked behind them\n" if ring else "Blocked\n")
        lines += [wrap(text, width, "  ", "    ") for text in others]
    lines.append(wrap(_way_out(deadlock), width))
    return "".join(lines)


def _waits(item: Blocked) -> str:
    count = "" if item.tokens_short == 1 else f" {item.tokens_short:,} times"
    since = f"(since cycle {item.since:,})"
    if item.state == "full":
        return f"{item.unit} cannot push into {item.channel}: full until {item.waits_for} pops{count} {since}"
    return f"{item.unit} cannot pop from {item.channel}: empty until {item.waits_for} pushes{count} {since}"


def _way_out(deadlock: Deadlock) -> str:
    if not deadlock.change:
        return "No depth frees it: the loop lacks tokens, not slots."
    settings = " ".join(f"--set channels.{name}.depth={depth}" for name, depth in deadlock.change.items())
    return f"The smallest change that frees it: {settings}"


def sizing_text(sizing: Sizing, width: int) -> str:
    """Return the least depths beside the peak occupancy, what both cost, and the trade of latency for memory."""
    depths, peaks = sizing.sized.depths, sizing.occupancy.depths
    rows = [[name, f"{depth:,}", f"{peaks[name]:,}"] for name, depth in depths.items()]
    costs = [[f"{sum(c.depths.values()):,}", f"{c.bits:,}", f"{c.bram18:,}"] for c in (sizing.sized, sizing.occupancy)]
    named = [["least depths", *costs[0]], ["peak occupancy", *costs[1]]]
    curve = [[f"{c.bits:,}", f"{c.bram18:,}", f"{c.cycles:,}", f"{c.cycles / sizing.sized.cycles:.2f}x"]
             for c in sizing.curve]  # fmt: skip
    proven = "no depths of fewer bits keep it" if sizing.proven else "the fewest bits found, perhaps not the fewest"
    title = f"Least depths that keep {sizing.sized.cycles:,} cycles; none can lose a slot, and {proven}\n"
    return "\n".join([
        wrap(title, width) + table(SIZE_COLUMNS, rows, width),
        table(COST_COLUMNS, named, width),
        "Fewer bits cost cycles\n" + table(CURVE_COLUMNS, curve, width),
    ])  # fmt: skip
