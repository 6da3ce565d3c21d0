"""The timeline of a run in the trace event format that Perfetto (ui.perfetto.dev) and Chrome open.

Format: Trace Event Format, Google 2016: complete events (`ph: X`) with `ts` and `dur` in microseconds,
counters (`C`), names of processes and threads (`M`). A unit is a thread; a layer on it is a slice around the
slices of its causes, so that slices of a thread are strictly nested.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sim.errors import ConfigError, Problem
from sim.report.power import power
from sim.report.windows import edges_of, levels
from sim.result import Layer, Result
from sim.timeline import REPEATS, Slice, Timeline

Event = dict[str, Any]


def to_trace(result: Result) -> str:
    """Return the trace of a run as JSON text; ConfigError where the run was not recorded."""
    if result.timeline is None:
        raise ConfigError(Problem("the result has no timeline; run it with record=True"))
    events = [*_names(result, result.timeline), *_slices(result, result.timeline), *_counters(result)]
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    about = {"arch": result.arch, "workload": result.workload, "cycles": result.cycles, "clock_hz": result.clock_hz}
    return f'{{"displayTimeUnit":"ns","otherData":{json.dumps(about)},"traceEvents":[\n{lines}\n]}}\n'


def _names(result: Result, timeline: Timeline) -> Iterator[Event]:
    title = {"name": f"{result.workload} on {result.arch}"}
    yield {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": title}
    for thread, unit in enumerate(timeline.ledgers, start=1):
        kind = result.units[unit]["kind"]
        yield {"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": f"{unit} ({kind})"}}
        yield {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": thread, "args": {"sort_index": thread}}


def _slices(result: Result, timeline: Timeline) -> Iterator[Event]:
    scale = 1e6 / result.clock_hz
    for thread, ledger in enumerate(timeline.ledgers.values(), start=1):
        for index, group in groupby(ledger.slices or (), key=lambda one: one[2]):
            parts = list(group)
            if index < 0:
                continue  # idle
            layer = result.layers[index]
            about = {"op": layer.op, "cycles": parts[-1][1] - parts[0][0]}
            yield _complete(layer.name, parts[0][0], parts[-1][1], thread, scale, about)
            for part in parts:
                yield _complete(part[3], part[0], part[1], thread, scale, _about(part))


def _about(part: Slice) -> Event:
    cycles: Event = {"cycles": part[1] - part[0]}
    return cycles | ({"meaning": "settled iterations, each like the one before"} if part[3] == REPEATS else {})


def _complete(name: str, start: int, end: int, thread: int, scale: float, about: Event) -> Event:
    times = {"ts": start * scale, "dur": (end - start) * scale}
    return {"ph": "X", "name": name, "cat": "cycles", **times, "pid": 1, "tid": thread, "args": about}


def _counters(result: Result) -> Iterator[Event]:
    """Yield what changes over time: off-chip bandwidth, power by component, bytes in each buffer.

    A layer's bandwidth is spread evenly over its span; spans that overlap add up.
    """
    scale = 1e6 / result.clock_hz
    ends = sorted({0} | {edge for layer in result.layers for edge in (layer.start, layer.start + layer.cycles)})
    changes = dict.fromkeys(ends, 0.0)
    for layer in (layer for layer in result.layers if layer.cycles):
        rate = _off_chip(layer) / layer.cycles
        changes[layer.start] += rate
        changes[layer.start + layer.cycles] -= rate
    now = 0.0
    for edge in ends:
        now += changes[edge]
        yield _counter("off-chip bandwidth", edge * scale, {"GB/s": max(now, 0.0) * result.clock_hz / 1e9})
    yield from _power(result, scale)
    yield from _buffers(result, scale)


def _counter(name: str, microseconds: float, values: dict[str, float]) -> Event:
    rounded = {key: round(value, 9) for key, value in values.items()}
    return {"ph": "C", "name": name, "ts": microseconds, "pid": 1, "args": rounded}


def _power(result: Result, scale: float) -> Iterator[Event]:
    found = power(result)
    if found is not None:
        for index, edge in enumerate(found.edges.tolist()):
            last = index == len(found.edges) - 1
            watts = {name: 0.0 if last else float(values[index]) for name, values in found.watts.items()}
            yield _counter("power (W)", edge * scale, watts)


def _buffers(result: Result, scale: float) -> Iterator[Event]:
    timeline = result.timeline
    edges = edges_of(result.cycles)
    for buffer in timeline.occupancy if timeline is not None else ():
        assert timeline is not None  # it has buffers
        means, most = levels(timeline, buffer, edges)
        for edge, mean, top in zip(edges.tolist(), means.tolist(), most.tolist(), strict=False):
            yield _counter(f"tiles in {buffer} (B)", edge * scale, {"mean": mean, "most": top})


def _off_chip(layer: Layer) -> int:
    return sum(sum(operands.values()) for operands in layer.traffic_bytes.get("dram", {}).values())
