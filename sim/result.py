"""The frozen result of a run, in the words of the accounting, and its JSON and CSV forms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from typing import Any

from sim import display
from sim.errors import ConfigError, Problem
from sim.nest import head, nest
from sim.timeline import Timeline
from sim.units import show_bytes, show_si

SCHEMA = "tiletick.result/1"

Traffic = dict[str, dict[str, dict[str, int]]]
"""Memory, then "read" or "write", then operand, to bytes."""


@dataclass(frozen=True, repr=False)
class Layer:
    """One layer: the span from its first to its last activity, and what it did in it.

    `cycles` of different layers may overlap. `causes` splits the time of the unit that does its work;
    `bound` is the largest of them. `fused` names layers that run on this one's tiles before they leave.
    """

    name: str
    op: str
    unit: str
    start: int
    cycles: int
    macs: int
    utilization: float
    mapping_efficiency: float
    compute_cycles: int
    bound: str
    causes: dict[str, int]
    traffic_bytes: Traffic
    energy_pj: float
    mapping: dict[str, Any] | None = None
    fused: tuple[str, ...] = ()
    energy_by_component: dict[str, float] = field(default_factory=dict)
    """What of `energy_pj` each component took, and the layer's share of what DRAM takes for all ("shared")."""

    def __repr__(self) -> str:
        bound = self.bound.replace("_", " ")
        return f"<Layer: {self.name} ({self.op}) on {self.unit}, {self.cycles:,} cycles, {bound}>"

    def _repr_html_(self) -> str:
        """Return the layer's figures, its cycles by cause, and its mapping as a loop nest."""
        figures = [
            (f"{self.cycles:,}", "cycles"), (f"{self.macs:,}", "MACs"), (f"{self.utilization:.1%}", "utilization")
        ]  # fmt: skip
        lines = [
            ("\u00a0" * 4 * line.depth + ("∥ " if line.spatial else "") + line.words, line.stays) for line in nest(self)
        ]
        heads = ("loop (∥: turns at once)", "what stays")
        loops = [display.pre(head(self)), display.table(heads, lines)] if lines else []
        return display.card(
            f"{self.name} ({self.op})", figures, display.bar(self.causes, 400), display.legend(self.causes), *loops
        )


@dataclass(frozen=True, repr=False)
class Result:
    """What a run found. Cycles are those of the chip's clock, energy picojoules, traffic bytes."""

    arch: str
    workload: str
    clock_hz: int
    cycles: int
    seconds: float
    macs: int
    utilization: float
    mapping_efficiency: float
    units: dict[str, dict[str, Any]]
    traffic_bytes: Traffic
    energy_pj: dict[str, Any]
    buffers: dict[str, dict[str, int]]
    dram: dict[str, dict[str, Any]]
    layers: tuple[Layer, ...]
    not_modelled: tuple[dict[str, Any], ...]
    provenance: dict[str, Any]
    convention: str = "rtl"
    compulsory_bytes: dict[str, int] = field(default_factory=dict)
    notes: tuple[dict[str, Any], ...] = ()
    """`what` was set and has no effect, `where`: keys or layers."""
    chosen: tuple[dict[str, Any], ...] = ()
    """`what` was left open and how it was chosen, `where`: the layers."""
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """FIFOs of a streaming fabric: depth and bits of a token, tokens, peak occupancy, stall cycles by end."""
    fabric: dict[str, Any] = field(default_factory=dict)
    """Pattern, blocks, and bottleneck of each part of a streaming fabric."""
    pim: dict[str, Any] = field(default_factory=dict)
    """Of banks that multiply: what their programs are for, time between them, the baseline, figures by token."""
    tiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of slower memories: how often layers found their weights in memory, and the bytes that were fetched."""
    schema: str = SCHEMA
    timeline: Timeline | None = field(default=None, compare=False, repr=False)
    """Who did what when, where the run recorded it; not part of the JSON."""

    def __repr__(self) -> str:
        return (
            f"<Result: {self.workload} on {self.arch}, {self.cycles:,} cycles, {show_si(self.seconds, 's')}, "
            f"{self.utilization:.1%} utilization, {len(self.layers)} {'layer' if len(self.layers) == 1 else 'layers'}>"
        )

    def _repr_html_(self) -> str:
        """Return the figures of the run and its layers with their cycles by cause, the slowest first."""
        energy = self.energy_pj["total"] * 1e-12
        figures = [
            (f"{self.cycles:,}", "cycles"), (show_si(self.seconds, "s"), f"at {show_si(self.clock_hz, 'Hz')}"),
            (f"{self.utilization:.1%}", "utilization"), (show_si(energy, "J") if energy else "0 J", "energy"),
            (show_bytes(_moved(self.traffic_bytes)), "off chip"),
        ]  # fmt: skip
        rows = [_shown(layer) for layer in sorted(self.layers, key=lambda layer: -layer.cycles)]
        heads = ("layer", "op", "cycles", "utilization", "off chip", "bound", "cycles by cause")
        causes = dict.fromkeys(cause for layer in self.layers for cause in layer.causes)
        return display.card(
            f"{self.workload} on {self.arch}", figures, display.table(heads, rows), display.legend(causes)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, `schema` first, as `run --json` prints it."""
        bare = replace(self, timeline=None)
        return {"schema": self.schema, **{k: v for k, v in asdict(bare).items() if k not in ("schema", "timeline")}}

    def to_json(self) -> str:
        """Return the result as JSON text; equal runs give equal bytes."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    def to_csv(self) -> str:
        """Return one row a layer: name, op, unit, times, shares, causes, off-chip bytes, energy."""
        out = io.StringIO()
        rows = [_row(layer) for layer in self.layers]
        names = list(dict.fromkeys(key for row in rows for key in row)) or ["name"]
        writer = csv.DictWriter(out, names, restval=0, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], file: str = "result") -> Result:
        """Return the result that `data` holds; ConfigError where it is of another schema or lacks a key."""
        if data.get("schema") != SCHEMA:
            raise ConfigError(Problem(f"is no tiletick result (schema {data.get('schema')!r}, not {SCHEMA!r})", file))
        values = _known(cls, data, file)
        for key in ("layers", "not_modelled", "notes", "chosen"):
            if not isinstance(values.setdefault(key, []), list | tuple):
                raise ConfigError(Problem("is not a list", file, key=key))
        known = [_known(Layer, layer, file, f"layers[{i}]") for i, layer in enumerate(values["layers"])]
        values["layers"] = tuple(Layer(**{**layer, "fused": tuple(layer.get("fused", ()))}) for layer in known)
        return cls(**{**values, **{key: tuple(values[key]) for key in ("not_modelled", "notes", "chosen")}})


def _known(kind: type[Result] | type[Layer], data: Any, file: str, key: str = "") -> dict[str, Any]:
    """Return the values of `data` that a `kind` has; ConfigError where one is missing."""
    if not isinstance(data, Mapping):
        raise ConfigError(Problem("does not hold keys and values", file, key=key))
    names = {f.name for f in fields(kind)} - {"timeline"}
    missing = sorted(f.name for f in fields(kind) if f.name in names and _needed(f) and f.name not in data)
    if missing:
        raise ConfigError(Problem(f"lacks {', '.join(missing)}", file, key=key))
    return {name: value for name, value in data.items() if name in names}


def _needed(known: Field[Any]) -> bool:
    """Return whether a result cannot do without a field: those that came later have a default."""
    return known.default is MISSING and known.default_factory is MISSING


def _moved(traffic: Traffic) -> int:
    return sum(sum(operands.values()) for operands in traffic.get("dram", {}).values())


def _shown(layer: Layer) -> list[str]:
    return [
        layer.name, layer.op, f"{layer.cycles:,}", f"{layer.utilization:.1%}" if layer.macs else "-",
        show_bytes(_moved(layer.traffic_bytes)), layer.bound.replace("_", " "), display.bar(layer.causes),
    ]  # fmt: skip


def _row(layer: Layer) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": layer.name, "op": layer.op, "unit": layer.unit, "start": layer.start, "cycles": layer.cycles,
        "macs": layer.macs, "utilization": layer.utilization, "mapping_efficiency": layer.mapping_efficiency,
        "bound": layer.bound, "energy_pj": layer.energy_pj,
    }  # fmt: skip
    row |= {f"cycles.{cause}": cycles for cause, cycles in layer.causes.items()}
    for memory, directions in layer.traffic_bytes.items():
        for direction, operands in directions.items():
            row |= {f"{memory}.{direction}.{operand}": count for operand, count in operands.items()}
    return row
