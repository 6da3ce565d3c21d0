"""A run beside its measurements: the error of every layer, what bounds it, and the statistics of all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from glob import escape
from typing import Any

from sim.arch import Arch
from sim.errors import ConfigError, Problem, unknown
from sim.graph import Graph
from sim.layers import lower
from sim.report.summary import OFF_CHIP
from sim.result import Layer, Result
from sim.simulate import open_both, run
from sim.stages import Progress
from sim.timeline import CAUSES
from sim.validate.matching import Match, match
from sim.validate.measured import Measured, Measurements
from sim.validate.statistics import Statistics, error_pct, statistics

SCHEMA = "tiletick.validation/1"

COUNTS = {
    "inclusive": ("from the first accepted input to the last valid output, both at the rising edge, inclusive", 0),
    "difference": ("the last valid output's edge minus the first accepted input's, so one less than inclusive", 1),
}
"""How measured cycles are counted: what it means, and what is added to make them inclusive, as predictions are."""


@dataclass(frozen=True)
class Row:
    """One measurement: the layers it covers, cycles on both sides, the signed error, what bounds the prediction."""

    name: str
    layers: tuple[str, ...]
    predicted_cycles: int
    measured_cycles: float
    error_pct: float
    bound: str
    causes: dict[str, int]
    predicted_bytes: int | None = None
    measured_bytes: int | None = None
    bytes_error_pct: float | None = None


@dataclass(frozen=True)
class Validation:
    """All of a comparison. `count` says how measured cycles are counted, `convention` how the array's folds are."""

    arch: str
    workload: str
    file: str
    format: str
    about: str
    clock_hz: int
    count: str
    convention: str
    matched: str
    rows: tuple[Row, ...]
    total: Row | None
    statistics: Statistics
    unmatched: tuple[str, ...]
    not_measured: tuple[str, ...]
    notes: tuple[str, ...]
    fit: dict[str, Any] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def gate(self) -> float:
        """The error that --max-mape limits, in percent: the MAPE of the layers, of the total where there are none."""
        if self.statistics.mape is not None:
            return self.statistics.mape
        return abs(self.total.error_pct) if self.total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, the statistics beside the names of what was compared."""
        data = asdict(self)
        figures = data.pop("statistics")
        figures["matched_layers"] = figures.pop("layers")
        rows = data.pop("rows")
        return {"schema": SCHEMA, **data, **figures, "layers": rows}

    def to_json(self) -> str:
        """Return the comparison as JSON text."""
        return json.dumps(self.to_dict(), indent=1) + "\n"


def validate(
    arch: str | Arch,
    network: str | Graph,
    measurements: Measurements,
    overrides: Mapping[str, Any] | None = None,
    *,
    rule: str = "auto",
    count: str = "inclusive",
    layers: str | None = None,
    alone: bool = False,
    progress: Progress | None = None,
) -> Validation:
    """Return the run of `network` on `arch` beside `measurements`; ConfigError where nothing matches.

    `alone` predicts each layer in a run of its own, as they were measured; else they follow each other and may overlap.
    """
    if count not in COUNTS:
        raise ConfigError(Problem(unknown("way to count", count, COUNTS), "--count"))
    alone = alone or measurements.alone
    return compare(predict(arch, network, overrides, layers, alone, progress), measurements, rule, count)


def predict(
    arch: str | Arch, network: str | Graph, overrides: Mapping[str, Any] | None, layers: str | None, alone: bool,
    progress: Progress | None = None,
) -> Result:  # fmt: skip
    """Return the run of a network; `alone`: the runs of its layers one by one, laid one behind the other."""
    if not alone:
        return run(arch, network, overrides, layers=layers, progress=progress)
    chip, graph, digests = open_both(arch, network, overrides or {})
    names = [task.name for task in lower(graph, chip).tasks if fnmatchcase(task.name, layers or "*")]
    results = [run(chip, graph, layers=escape(name)) for name in names] or [run(chip, graph, layers=layers)]
    start, apart = 0, []
    for (one,) in (result.layers for result in results):
        apart.append(replace(one, start=start))
        start += one.cycles
    provenance = {**results[0].provenance, **digests, "overrides": dict(overrides or {})}
    return replace(results[0], layers=tuple(apart), cycles=start, provenance=provenance)


def compare(result: Result, measurements: Measurements, rule: str = "auto", count: str = "inclusive") -> Validation:
    """Return a result beside `measurements`."""
    found = match(measurements, [layer.name for layer in result.layers], rule)
    by_name = {layer.name: layer for layer in result.layers}
    rows = tuple(
        _row(measured, [by_name[name] for name in names], result, count) for measured, names in found.pairs
    )
    figures = statistics([row.predicted_cycles for row in rows], [row.measured_cycles for row in rows])
    return Validation(
        arch=result.arch, workload=result.workload, file=measurements.file, format=measurements.format,
        about=measurements.about, clock_hz=result.clock_hz, count=count, convention=result.convention,
        matched=found.how, rows=rows, total=_total(found, result, count), statistics=figures,
        unmatched=tuple(found.unmatched), not_measured=tuple(found.not_measured),
        notes=(*measurements.notes, *_fused(found.unmatched, result.layers)), provenance=result.provenance,
    )  # fmt: skip


def _fused(unmatched: Sequence[str], layers: Sequence[Layer]) -> Iterator[str]:
    """Yield a note for each measurement of a layer that runs with another here and has no cycles of its own."""
    hosts = {name: layer.name for layer in layers for name in layer.fused}
    for name in unmatched:
        if name in hosts:
            yield f"{name} runs on the tiles of {hosts[name]} here: the cycles predicted for that are of both"


def cycles(measured: Measured, clock: float, count: str) -> float:
    """Return measured cycles as predictions are counted: inclusive."""
    return measured.in_cycles(clock) + COUNTS[count][1]


def _row(measured: Measured, layers: list[Layer], result: Result, count: str) -> Row:
    """Return the comparison of one measurement: layers in a row from the first's start to the last's end."""
    predicted = max(one.start + one.cycles for one in layers) - min(one.start for one in layers)
    causes = {cause: sum(one.causes.get(cause, 0) for one in layers) for cause in CAUSES}
    bound = max(CAUSES, key=lambda cause: causes[cause])
    return _compared(measured, [one.name for one in layers], predicted, causes, bound, result, count,
                     sum(_off_chip(one.traffic_bytes) for one in layers))  # fmt: skip


def _total(found: Match, result: Result, count: str) -> Row | None:
    if found.total is None:
        return None
    causes = {cause: sum(layer.causes.get(cause, 0) for layer in result.layers) for cause in CAUSES}
    bound = max(CAUSES, key=lambda cause: causes[cause])
    return _compared(found.total, [], result.cycles, causes, bound, result, count, _off_chip(result.traffic_bytes))


def _compared(
    measured: Measured, names: list[str], predicted: int, causes: dict[str, int], bound: str, result: Result,
    count: str, moved: int,
) -> Row:  # fmt: skip
    there = cycles(measured, result.clock_hz, count)
    counted = measured.bytes is not None
    return Row(
        name=measured.name, layers=tuple(names), predicted_cycles=predicted, measured_cycles=there,
        error_pct=error_pct(predicted, there), bound=bound, causes={c: n for c, n in causes.items() if n},
        predicted_bytes=moved if counted else None, measured_bytes=measured.bytes,
        bytes_error_pct=error_pct(moved, measured.bytes) if measured.bytes else None,
    )  # fmt: skip


def _off_chip(traffic: Mapping[str, Mapping[str, Mapping[str, int]]]) -> int:
    return sum(sum(operands.values()) for operands in traffic.get(OFF_CHIP, {}).values())
