"""The report of a run as text: a table of layers, the totals, the worst layers, and what is not modelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sim.report.losses import peak_macs, worst
from sim.report.pim import in_memory, spent
from sim.report.pipeline import pipeline
from sim.report.table import Column, pairs, table, wrap
from sim.result import Layer, Result, Traffic
from sim.units import show_bytes, show_si

CONVENTIONS = {
    "stream": "each unit from its first token to its last, tokens of whole positions, as in streaming graphs",
    "rtl": "an array's work from its first accepted input to its last valid output, both counted, as in RTL simulation",
    "scalesim": "folds as SCALE-Sim does: K + R + C - 2 cycles (os), 2R + C + T - 2 (ws, is), T the streamed length",
    "pim": "a program of the banks from its first command to the answer to the marker behind its last, as in "
    "aim_simulator; sums of partial results behind the last read are waited for by what follows alone",
}
"""What is counted of an array, by its `convention`."""

OFF_CHIP = "dram"
"""The off-chip memory, as results name it."""

COLUMNS = (
    Column("layer", right=False),
    Column("op", right=False, spare=3),
    Column("cycles"),
    Column("share"),
    Column("util"),
    Column("mapped", spare=2),
    Column("off-chip"),
    Column("energy", spare=1),
    Column("bound", right=False),
)


def summarize(result: Result, width: int = 120) -> str:
    """Return all that `run` prints, in lines of `width` characters where names allow it."""
    title = f"{result.workload} on {result.arch}\n"
    last = pipeline if result.fabric else in_memory if result.pim else _worst
    sections = (_layers, _totals, last, _chosen, _missing, _notes)
    parts = [title, *(section(result, width) for section in sections)]
    return "\n".join(part for part in parts if part)


def _layers(result: Result, width: int) -> str:
    text = table(COLUMNS, (_row(layer, result) for layer in result.layers), width)
    if any(layer.fused for layer in result.layers):
        text += "+n: layers that run on this one's tiles before they leave the chip\n"
    return text


def _row(layer: Layer, result: Result) -> list[str]:
    fused = f" +{len(layer.fused)}" if layer.fused else ""
    share = layer.cycles / result.cycles if result.cycles else 0.0
    moved = off_chip(layer.traffic_bytes)
    return [
        layer.name, layer.op + fused, f"{layer.cycles:,}", f"{share:.1%}",
        f"{layer.utilization:.1%}" if layer.macs else "-", f"{layer.mapping_efficiency:.1%}" if layer.macs else "-",
        show_bytes(moved) if moved else "-", energy(layer.energy_pj), layer.bound.replace("_", " "),
    ]  # fmt: skip


def energy(picojoules: float) -> str:
    """Write an energy with its prefix: 1.5e6 pJ is '1.5 uJ'."""
    return show_si(picojoules * 1e-12, "J") if picojoules else "0 J"


def off_chip(traffic: Traffic) -> int:
    """Return the bytes that crossed the chip's edge, both ways."""
    return sum(sum(operands.values()) for operands in traffic.get(OFF_CHIP, {}).values())


def _totals(result: Result, width: int) -> str:
    return pairs([*_speed(result), *_attention(result), *_memory(result), *_energy(result)], width)


def _attention(result: Result) -> list[tuple[str, str]]:
    """Return how attention is fused, each way once, with the layers that are."""
    ways: dict[str, list[str]] = {}
    for layer in result.layers:
        fusion = (layer.mapping or {}).get("attention")
        if fusion:
            passes = f"{fusion['passes']} pass{'es' if fusion['passes'] > 1 else ''} over them"
            where = "through memory" if fusion["spilled"] else "on chip"
            way = (
                f"{fusion['name']}: {fusion['m']} x {fusion['n']} scores a tile, {passes}, {where}; "
                f"{show_bytes(fusion['scores'])} of scores at once"
            )
            ways.setdefault(way, []).append(layer.name)
    return [("attention", way if len(names) == 1 else f"{way} ({len(names)} layers)") for way, names in ways.items()]


def _speed(result: Result) -> list[tuple[str, str]]:
    time, clock = show_si(result.seconds, "s"), show_si(result.clock_hz, "Hz")
    lines = [
        ("cycles", f"{result.cycles:,} = {time} at {clock}, to the end of the last step"),
        *_points(result),
        ("convention", f"{result.convention}: counts {CONVENTIONS.get(result.convention, 'as the chip says')}"),
        ("MACs", f"{result.macs:,}"),
    ]
    if result.macs and result.seconds:
        peak = 2 * peak_macs(result) * result.clock_hz
        rate = f"{show_si(2 * result.macs / result.seconds, 'OPS')} of {show_si(peak, 'OPS')} at peak"
        lines.append(("throughput", f"{rate}, two operations a MAC"))
        lines.append(("utilization", f"{result.utilization:.1%} of the PEs' cycles do a useful MAC"))
        lines.append(("mapping", f"{result.mapping_efficiency:.1%} of the PEs of all folds have work"))
    return lines


def _points(result: Result) -> list[tuple[str, str]]:
    """Return clock and voltage of each unit that runs at a point of its own."""
    return [
        (f"{name} point", f"{unit['point']}: {show_si(unit['clock_hz'], 'Hz')} at {unit['voltage']:g} V")
        for name, unit in result.units.items()
        if "point" in unit
    ]


def _memory(result: Result) -> list[tuple[str, str]]:
    moved, needed = off_chip(result.traffic_bytes), sum(result.compulsory_bytes.values())
    lines = []
    if moved:
        text = f"{show_bytes(moved)} off chip"
        if needed:
            where = "on chip or in the banks" if "pim" in (u["kind"] for u in result.units.values()) else "on chip"
            kept = f"; less, as tensors stay {where}" if moved < needed else ""
            text += f", {moved / needed:.2f} x compulsory ({show_bytes(needed)}: each operand of a MAC once{kept})"
        busy = result.dram.get(OFF_CHIP, {}).get("bandwidth_utilization")
        lines.append(("traffic", text if busy is None else f"{text}; {busy:.0%} of the bandwidth"))
    lines += [(f"{name} time", spent(found["clocks"])) for name, found in result.dram.items() if "clocks" in found]
    lines += [(f"{name} tier", _tier(figures)) for name, figures in result.tiers.items()]
    for name, buffer in result.buffers.items():
        peak, capacity = buffer["peak_bytes"], buffer["capacity_bytes"]
        lines.append((f"{name} buffer", f"{show_bytes(peak)} of {show_bytes(capacity)} at its fullest"))
    return lines


def _tier(figures: Mapping[str, Any]) -> str:
    """Return how often layers found in memory what lies in a tier, and what was fetched."""
    what = "experts" if figures["holds"] == "experts" else "blocks of weights"
    text = f"{figures['hits']:,} of {figures['accesses']:,} {what} were in memory ({figures['hit_rate']:.0%})"
    if figures["fetched_ahead"]:
        text += f", {figures['prefetched']:,} of {figures['fetched_ahead']:,} fetched ahead were asked for"
    return f"{text}; {show_bytes(figures['read_bytes'])} read, {show_bytes(figures['cache_bytes'])} of cache"


def _energy(result: Result) -> list[tuple[str, str]]:
    total = result.energy_pj["total"]
    if not total:
        return []
    parts = sorted(result.energy_pj["by_component"].items(), key=lambda part: -part[1])
    shares = ", ".join(f"{name} {energy(pj)} ({pj / total:.0%})" for name, pj in parts)
    return [("energy", f"{energy(total)}: {shares}")]


def _worst(result: Result, width: int) -> str:
    losses = worst(result)
    if not losses:
        return ""
    lines = [wrap(loss.sentence(), width, f"  {rank}. ", "     ") for rank, loss in enumerate(losses, 1)]
    return "".join(["Cycles lost against MACs / peak, the worst layers:\n", *lines])


def _missing(result: Result, width: int) -> str:
    if not result.not_modelled:
        return ""
    return _listed("Not modelled, so free in these figures:", result.not_modelled, width)


def _chosen(result: Result, width: int) -> str:
    return _listed("Left open, and chosen:", result.chosen, width) if result.chosen else ""


def _notes(result: Result, width: int) -> str:
    return _listed("Set, and without effect:", result.notes, width) if result.notes else ""


def _listed(title: str, entries: Sequence[Mapping[str, Any]], width: int) -> str:
    lines = [wrap(f"{entry['what']}: {', '.join(entry['where'])}", width, "  - ", "    ") for entry in entries]
    return "".join([f"{title}\n", *lines])
