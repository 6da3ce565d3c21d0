"""Technology tables as text: side by side, in full, and what each figure rests on."""

from __future__ import annotations

from collections.abc import Callable

from sim import energy
from sim.energy import Cost, Row, Table
from sim.errors import ConfigError
from sim.report.table import Column, pairs, table, wrap

KIBIBYTE = 1024


def comparison(width: int) -> str:
    """Return one line a bundled table: pJ of the actions that decide a total."""
    columns = (Column("table", right=False), Column("int8 MAC"), Column("fp16 MAC"), Column("SRAM byte"),
               Column("LPDDR4 byte"), Column("about", right=False, spare=1))  # fmt: skip
    rows = [_compared(energy.load(name), width) for name in energy.names()]
    note = "pJ each, read. A MAC accumulates in int32 or fp32; SRAM: 64 KiB, 64-bit port."
    return table(columns, rows, width) + "\n" + wrap(note, width)


def _compared(found: Table, width: int) -> list[str]:
    return [
        found.name,
        _known(lambda: found.mac("int8", "int8", "int32").pj),
        _known(lambda: found.mac("fp16", "fp16", "fp32").pj),
        _known(lambda: found.sram(64 * KIBIBYTE, 64).read.pj / 8),
        _known(lambda: found.dram("lpddr4")[0].pj * 8),
        _cut(found.schema.about, max(20, width - 62)),
    ]


def _known(picojoules: Callable[[], float]) -> str:
    """Return the figure, or a dash where the table cannot give it."""
    try:
        return f"{picojoules():.3g}"
    except ConfigError:
        return "-"


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 2]}.."


def figures(name: str, width: int) -> str:
    """Return the actions of the table called `name` with pJ each and how each was derived."""
    found = energy.load(name)
    columns = (Column("action", right=False), Column("pJ"), Column("derived", right=False))
    listed = _actions(found)
    room = max(20, width - max(len(action) for action, _ in listed) - 12)
    rows = [[action, f"{cost.pj:.4g}", _cut(cost.derived or "", room)] for action, cost in listed]
    head = wrap(f"{found.name}: {found.schema.about}", width)
    return f"{head}\n{table(columns, rows, width)}\ntiletick energy {name} --sources tells where each comes from.\n"


def _actions(found: Table) -> list[tuple[str, Cost]]:
    listed: list[tuple[str, Cost]] = []
    for inputs, accumulator in (("int8", "int32"), ("int16", "int32"), ("bf16", "fp32"), ("fp16", "fp32"),
                                ("fp32", "fp32")):  # fmt: skip
        try:
            listed.append((f"mac {inputs} into {accumulator}", found.mac(inputs, inputs, accumulator)))
        except ConfigError:
            continue  # a table need not know every format
    for kib in (8, 64, 512, 4096):
        sram = found.sram(kib * KIBIBYTE, 64)
        listed += [(f"SRAM {kib} KiB, 64-bit read", sram.read), (f"SRAM {kib} KiB, 64-bit write", sram.write)]
    for kind in found.schema.dram:
        reading, writing = found.dram(kind)
        listed += [(f"DRAM {kind}, bit read", reading), (f"DRAM {kind}, bit written", writing)]
    return [*listed, ("register, bit", found.register(1)), ("link, bit", found.link())]


def provenance(name: str | None, width: int) -> str:
    """Return every figure of the table called `name`, or of all tables, with all that it rests on."""
    return "\n".join(_provenance(energy.load(each), width) for each in ([name] if name else energy.names()))


def _provenance(found: Table, width: int) -> str:
    head = wrap(f"{found.name}: {found.schema.about}", width)
    return head + pairs(((row.entry, _row(row)) for row in energy.sources(found)), width, "  ")


def _row(row: Row) -> str:
    conditions = [row.format]
    conditions += [f"{row.node:g} nm"] if row.node else []
    conditions += [f"{row.voltage:g} V"] if row.voltage else []
    derived = f"; derived: {row.derived}" if row.derived else ""
    return f"{row.value:.4g} {row.unit} ({', '.join(conditions)}) {row.source}{derived}"
