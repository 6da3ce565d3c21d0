"""The parts of the page of a run: each is a heading, a sentence that says how to read it, and a table or picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Any

from sim.report.losses import worst
from sim.report.page.charts import bands, columns, legend, time_axis
from sim.report.page.markup import Markup, el, join
from sim.report.page.roofline import placed, roofline
from sim.report.page.tables import Cell, bar, figure, pairs, table
from sim.report.summary import CONVENTIONS, OFF_CHIP, energy, off_chip
from sim.report.windows import by_window, edges_of
from sim.result import Layer, Result, Traffic
from sim.timeline import CAUSES
from sim.units import show_bytes, show_si

MEANINGS = {
    "compute": "compute (on the channel: transfer)", "fill": "filling the array", "drain": "draining the array",
    "wait_tier": "waiting for a slower tier",
    "wait_input": "waiting for inputs", "wait_weight": "waiting for weights", "wait_port": "waiting for buffer ports",
    "wait_output_space": "waiting for room for outputs", "wait_dependency": "waiting for an earlier step",
    "idle": "without work",
}  # fmt: skip
"""What the legend calls each cause."""

LEGEND = {f"c-{cause}": MEANINGS[cause] for cause in CAUSES}


def section(title: str, note: str, *parts: str) -> Markup:
    """Return a section with its heading and how to read it."""
    return el("section", el("h2", title), el("p", note, class_="note"), *parts)


def share(part: float, whole: float) -> float:
    """Return the share, 0 of nothing."""
    return part / whole if whole else 0.0


def summary(result: Result) -> Markup:
    """Return the figures of the run as cards, and which layers lose the most cycles, and why."""
    moved = off_chip(result.traffic_bytes)
    macs = show_si(result.macs, "MACs") if result.macs else "0 MACs"
    rate = show_si(2 * result.macs / result.seconds, "OPS") if result.macs and result.seconds else "0 OPS"
    clock = show_si(result.clock_hz, "Hz")
    cards = [
        (f"{result.cycles:,}", f"cycles at {clock}"), (_time(result.seconds), "to the end of the last step"),
        (f"{result.utilization:.1%}", "utilization: useful MACs of PEs × cycles"), (rate, "two operations a MAC"),
        (energy(result.energy_pj["total"]), "energy"), (show_bytes(moved), "off chip"), (macs, "multiply-accumulates"),
        (f"{result.mapping_efficiency:.1%}", "of the PEs of all folds have work"),
    ]  # fmt: skip
    losses = worst(result)
    items = [el("li", loss.sentence()) for loss in losses] or [el("li", "No layer loses a cycle.")]
    shown = join(el("div", el("b", value), el("span", word)) for value, word in cards)
    return el(
        "section", el("div", shown, class_="cards"), el("h2", "Where cycles are lost"),
        el("p", "Against MACs / peak, the worst layers first.", class_="note"), el("ol", join(items), id="worst"),
    )  # fmt: skip


def _time(seconds: float) -> str:
    return show_si(seconds, "s") if seconds else "0 s"


def cycles(result: Result) -> Markup:
    """Return the cycles of each layer's unit as columns by cause."""
    layers = result.layers
    stacks = {f"c-{cause}": [layer.causes.get(cause, 0) for layer in layers] for cause in CAUSES}
    note = "A column is the time of a layer's unit; whatever is not compute is lost. Hover for values."
    picture = columns("cycles by layer and cause", [x.name for x in layers], stacks, [*map(_causes, layers)], "cycles")
    return section("Cycles by layer", note, el("figure", legend(LEGEND), picture))


def _causes(layer: Layer) -> str:
    parts = [f"{MEANINGS[cause]}: {count:,}" for cause, count in layer.causes.items() if count]
    return "\n".join([f"{layer.name} ({layer.op}), {layer.cycles:,} cycles", *parts])


HEADS = (
    "layer", "op", "unit", "start", "cycles", "share", "by cause", "MACs", "utilization", "mapped", "off chip",
    "energy", "bound",
)  # fmt: skip


def layers(result: Result) -> Markup:
    """Return the table of layers, with sums of what adds up."""
    rows = [_layer(layer, result) for layer in result.layers]
    moved = sum(off_chip(layer.traffic_bytes) for layer in result.layers)
    spent = fsum(layer.energy_pj for layer in result.layers)
    blank = Cell("")
    foot = [
        Cell("sum"), blank, blank, blank, blank, blank, blank, figure(sum(layer.macs for layer in result.layers)),
        blank, blank, figure(moved, show_bytes(moved)), figure(spent, energy(spent)), blank,
    ]  # fmt: skip
    note = (
        "A head sorts. Cycles are from a layer's first to its last activity; spans overlap, so they have no sum. "
        "Layers that run on another one's tiles stand with it: hover over its name."
    )
    return section("Layers", note, table("layers", HEADS, rows, foot))


def _layer(layer: Layer, result: Result) -> list[Cell]:
    moved, part = off_chip(layer.traffic_bytes), share(layer.cycles, result.cycles)
    fused = f"{layer.name} with {', '.join(layer.fused)}" if layer.fused else None
    causes = {f"c-{cause}": layer.causes.get(cause, 0) for cause in CAUSES}
    whole = sum(causes.values())
    name = el("span", layer.name + (f" +{len(layer.fused)}" if layer.fused else ""), data_tip=fused)
    useful = layer.causes.get("compute", 0)
    return [
        Cell(name, class_="name"), Cell(layer.op), Cell(layer.unit), figure(layer.start), figure(layer.cycles),
        figure(part, f"{part:.1%}"), Cell(bar(causes, whole, _causes(layer)), share(useful, whole), "bars"),
        figure(layer.macs), figure(layer.utilization, f"{layer.utilization:.1%}" if layer.macs else "-"),
        figure(layer.mapping_efficiency, f"{layer.mapping_efficiency:.1%}" if layer.macs else "-"),
        figure(moved, show_bytes(moved)), figure(layer.energy_pj, energy(layer.energy_pj)),
        Cell(layer.bound.replace("_", " ")),
    ]  # fmt: skip


def over_time(result: Result) -> Markup:
    """Return a band for each unit over time, and the table of its cycles by cause."""
    rows = [
        [Cell(name, class_="name"), *(figure(unit["cycles"].get(c, 0)) for c in CAUSES), figure(_sum(unit["cycles"]))]
        for name, unit in result.units.items()
    ]
    heads = ["unit", *(cause.replace("_", " ") for cause in CAUSES), "sum"]
    shown = table("units", heads, rows)
    if result.timeline is None:
        return section("Units", "Each cycle of each unit has one cause; this run has no record of when.", shown)
    note = "What every unit did when, in windows of equal length; each cycle of each unit has one cause."
    return section("Units over time", note, legend(LEGEND), *_bands(result), shown)


def _sum(values: Mapping[str, int]) -> int:
    return sum(values.values())


def _bands(result: Result) -> Iterable[Markup]:
    if result.timeline is None or not result.cycles:
        return
    edges = edges_of(result.cycles)
    width, micro = edges[1] - edges[0], 1e6 / result.clock_hz
    for name, ledger in result.timeline.ledgers.items():
        shares = {cause: (cycles / width).tolist() for cause, cycles in by_window(ledger, edges).items()}
        tips = []
        for index in range(len(edges) - 1):
            parts = sorted(((shares[cause][index], cause) for cause in CAUSES), reverse=True)
            told = "\n".join(f"{MEANINGS[cause]}: {part:.1%}" for part, cause in parts if part >= 0.0005)
            tips.append(f"{name}, {edges[index] * micro:.4g} to {edges[index + 1] * micro:.4g} µs\n{told}")
        busy = result.units[name]["cycles"]["compute"] / result.cycles
        stacks = {f"c-{cause}": values for cause, values in shares.items()}
        yield el("h3", f"{name} ({_what(result.units[name])}): {busy:.1%} {_work(result.units[name]['kind'])}")
        yield el("figure", bands(f"{name} over time", stacks, tips), time_axis(result.seconds))


def _what(unit: Mapping[str, Any]) -> str:
    """Return the kind of a unit, and clock and voltage where it runs at a point of its own."""
    at = f", {show_si(unit['clock_hz'], 'Hz')} at {unit['voltage']:g} V" if "point" in unit else ""
    return f"{unit['kind']}{at}"


def _work(kind: str) -> str:
    return "of the time moves data" if kind in ("channel", "link") else "of the time computes"


def on_the_roof(result: Result) -> Markup:
    """Return the roofline, and how many layers have no place on it."""
    left_out = len(result.layers) - len(placed(result))
    note = (
        "Rate over arithmetic intensity; the area of a point is the layer's share of the cycles, its colour what "
        f"bounds it. {left_out} of {len(result.layers)} layers have no MACs or move nothing off chip, so no place here."
    )
    bounds = {f"c-{layer.bound}": MEANINGS.get(layer.bound, layer.bound) for layer in placed(result)}
    return section("Roofline", note, el("figure", legend(bounds), roofline(result)))


def spent(result: Result) -> Markup:
    """Return energy by component and, within it, by action."""
    total, parts = result.energy_pj["total"], result.energy_pj["by_component"]
    rows = [_energy(name, value, total) for name, value in sorted(parts.items(), key=lambda part: -part[1])]
    actions = sorted(result.energy_pj["by_action"].items(), key=lambda part: -part[1])
    foot = [Cell("total"), figure(total, energy(total)), figure(1.0, "100%"), Cell("")]
    more = table("actions", ("action", "energy", "share", ""), [_energy(n, v, total) for n, v in actions if v])
    return section(
        "Energy", "Counts of actions × the technology table. Leakage belongs to no layer, so layers sum to less.",
        table("energy", ("component", "energy", "share", ""), rows, foot),
        el("details", el("summary", "by action"), more),
    )  # fmt: skip


def _energy(name: str, value: float, total: float) -> list[Cell]:
    part = share(value, total)
    drawn = bar({"c-compute": max(part, 0.0)}, 1.0, f"{name}: {value:,.0f} pJ")
    return [Cell(name), figure(value, energy(value)), figure(part, f"{part:.1%}"), Cell(drawn, part, "bars")]


def moved(result: Result) -> Markup:
    """Return bytes by memory, direction and operand; those off chip against compulsory; how full buffers became."""
    rows = list(_traffic(result.traffic_bytes))
    whole, needed = off_chip(result.traffic_bytes), sum(result.compulsory_bytes.values())
    note = "Bars are shares of the most that one operand moves at the same memory."
    if needed and whole:
        note += (
            f" Off chip {whole / needed:.2f} × compulsory: {show_bytes(whole)}, where each operand of a MAC, moved "
            f"once, is {show_bytes(needed)}; tensors that stay on chip make it less."
        )
    full = [_full(name, buffer) for name, buffer in result.buffers.items()]
    heads = ("buffer", "at its fullest", "capacity", "share", "")
    return section(
        "Traffic", note,
        el("h3", "Off chip against compulsory"),
        table("compulsory", ("operand", "off chip", "compulsory", "ratio"), _against(result)),
        el("h3", "By memory, direction and operand"),
        table("traffic", ("memory", "direction", "operand", "bytes", ""), rows),
        *([el("h3", "Buffers"), table("buffers", heads, full)] if full else []),
    )  # fmt: skip


def _against(result: Result) -> list[list[Cell]]:
    ways = result.traffic_bytes.get(OFF_CHIP, {})
    operands = dict.fromkeys([*result.compulsory_bytes, *(o for way in ways.values() for o in way)])
    rows = []
    for operand in operands:
        found, needed = sum(way.get(operand, 0) for way in ways.values()), result.compulsory_bytes.get(operand, 0)
        ratio = share(found, needed)
        shown = f"{ratio:.2f}" if needed else "-"
        rows.append([Cell(operand), *(figure(n, show_bytes(n)) for n in (found, needed)), figure(ratio, shown)])
    return rows


def _traffic(traffic: Traffic) -> Iterable[list[Cell]]:
    flat = [(m, w, o, n) for m, ways in traffic.items() for w, operands in ways.items() for o, n in operands.items()]
    most = {memory: max(n for m, _, _, n in flat if m == memory) for memory, _, _, _ in flat}
    for memory, way, operand, count in flat:
        drawn = bar({"c-compute": count}, most[memory], f"{memory} {way} {operand}: {count:,} B")
        yield [Cell(memory), Cell(way), Cell(operand), figure(count, show_bytes(count)), Cell(drawn, count, "bars")]


def _full(name: str, buffer: Mapping[str, int]) -> list[Cell]:
    peak, capacity = buffer["peak_bytes"], buffer["capacity_bytes"]
    part = share(peak, capacity)
    sizes = (figure(peak, show_bytes(peak)), figure(capacity, show_bytes(capacity)))
    return [Cell(name), *sizes, figure(part, f"{part:.1%}"), Cell(bar({"c-compute": part}, 1.0), part, "bars")]


def rows_of_dram(result: Result) -> Markup:
    """Return what the off-chip memory did; nothing where there is none."""
    return join(_dram(name, found) for name, found in result.dram.items())


def _dram(name: str, found: Mapping[str, Any]) -> Markup:
    rows = {kind: found.get(f"row_{kind}") for kind in ("hits", "misses", "conflicts")}
    colours = dict(zip(rows, ("c-compute", "c-wait_input", "c-wait_weight"), strict=True))
    parts: list[Markup] = []
    if None not in rows.values():
        counts = {kind: count or 0 for kind, count in rows.items()}
        told = {colours[kind]: f"row {kind} {count:,}" for kind, count in counts.items()}
        parts = [legend(told), bar({colours[kind]: n for kind, n in counts.items()}, sum(counts.values()))]
    entries = [[Cell(key.replace("_", " ")), _value(key, value)] for key, value in found.items()]
    note = "A hit finds its row open, a miss a closed bank, a conflict another row that must close first."
    if not parts:
        note = "Bandwidth and latency alone; a memory with a DRAM device has rows and banks."
    return section(f"Off-chip memory: {name}", note, *parts, table("dram", ("what", "value"), entries))


def _value(key: str, value: Any) -> Cell:
    if not isinstance(value, int | float):
        return Cell(str(value))
    shown = f"{value:.1%}" if key.endswith(("utilization", "bound")) else f"{value:,.5g}"
    return figure(value, f"{value:,}" if isinstance(value, int) else shown)


def left_out(result: Result) -> Markup:
    """Return what chip and network have that these figures leave out, and what was set in vain."""
    parts = [_listed("not_modelled", result.not_modelled) or el("p", "Nothing: all of chip and network is in it.")]
    if result.chosen:
        parts += [el("h3", "Left open, and chosen"), _listed("chosen", result.chosen)]
    if result.notes:
        parts += [el("h3", "Set, and without effect"), _listed("notes", result.notes)]
    return section("Not modelled", "What is free in these figures, though it is not in silicon.", *parts)


def _listed(name: str, entries: Sequence[Mapping[str, Any]]) -> Markup:
    items = [el("li", f"{entry['what']}: {', '.join(entry['where'])}") for entry in entries]
    return el("ul", join(items), id=name) if items else Markup("")


def provenance(result: Result, command: str) -> Markup:
    """Return what it takes to get the same page again."""
    entries = [(key.replace("_", " "), str(value)) for key, value in result.provenance.items() if key != "overrides"]
    overrides = result.provenance.get("overrides", {})
    entries.append(("overrides", ", ".join(f"{key}={value}" for key, value in overrides.items()) or "none"))
    counted = f"{result.convention}: counts {CONVENTIONS.get(result.convention, 'as the chip says')}"
    entries.append(("convention", counted))
    said = [el("pre", el("code", command))] if command else []
    note = "The same version, chip, network and overrides give the same figures."
    return section("To reproduce", note, *said, pairs("provenance", entries))
