"""Laws of the trace: the format's rules, and that its slices are the cycles of the result."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict

import pytest

import sim
from sim.cli import main
from sim.engine import Engine
from sim.errors import ConfigError
from sim.report.trace import to_trace
from sim.timeline import CAUSES, REPEATS
from tests.laws import law, runs_of_stages

WORK = "gemm:96x64x200"


def trace_of(**options):
    result = sim.run("tiny_4x4", WORK, record=True, **options)
    return result, json.loads(to_trace(result))


def slices(events):
    by_thread = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            by_thread[event["tid"]].append((event["ts"], event["ts"] + event["dur"], event["name"]))
    return by_thread


def test_every_event_has_what_the_format_asks_of_its_kind():
    _, trace = trace_of()
    needed = {
        "X": {"name", "ts", "dur", "pid", "tid"},
        "M": {"name", "pid", "args"},
        "C": {"name", "ts", "pid", "args"},
    }
    for event in trace["traceEvents"]:
        assert needed[event["ph"]] <= set(event)
        assert event.get("ts", 0) >= 0 and event.get("dur", 1) > 0


def test_slices_of_a_thread_are_strictly_nested_and_end_with_the_run():
    result, trace = trace_of()
    end = result.cycles * 1e6 / result.clock_hz
    for parts in slices(trace["traceEvents"]).values():
        open_ends = []
        for start, stop, _ in sorted(parts, key=lambda part: (part[0], -part[1])):
            while open_ends and open_ends[-1] <= start + 1e-9:
                open_ends.pop()
            assert not open_ends or stop <= open_ends[-1] + 1e-9
            open_ends.append(stop)
            assert stop <= end + 1e-9


@pytest.mark.parametrize("fast_forward", [True, False])
def test_slices_hold_the_cycles_of_the_result(fast_forward):
    result, trace = trace_of(fast_forward=fast_forward)
    threads = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    for thread, parts in slices(trace["traceEvents"]).items():
        cycles = result.units[threads[thread].split(" ")[0]]["cycles"]
        found = defaultdict(float)
        for start, stop, name in parts:
            found[name] += (stop - start) * result.clock_hz / 1e6
        busy = sum(found[cause] for cause in (*CAUSES, REPEATS))
        assert busy == pytest.approx(sum(cycles.values()) - cycles["idle"] + found["idle"])
        if not fast_forward:
            assert all(found[cause] == pytest.approx(cycles[cause]) for cause in CAUSES if cause != "idle")
        assert fast_forward or not found[REPEATS]


@law(runs_of_stages(), quick=20, full=500)
def test_recording_changes_nothing_and_leaves_no_gap(case):
    arch, stages = case
    plain, recorded = Engine(arch).run(stages), Engine(arch, record=True).run(stages)
    assert plain.cycles == recorded.cycles and plain.spans == recorded.spans
    for name, ledger in recorded.ledgers.items():
        assert ledger.cycles == plain.ledgers[name].cycles
        edges = [0, *(part[1] for part in ledger.slices)]
        assert [part[0] for part in ledger.slices] == edges[:-1]
        assert edges[-1] == recorded.cycles


def test_counters_hold_the_bytes_of_the_layers_and_the_energy_of_the_run():
    result, trace = trace_of()
    for name, unit, total in (
        ("off-chip bandwidth", "GB/s", sum(sum(o.values()) for o in result.traffic_bytes["dram"].values()) / 1e9),
        ("power (W)", "", result.energy_pj["total"] * 1e-12),
    ):
        points = [
            (e["ts"] / 1e6, e["args"][unit] if unit else sum(e["args"].values()))
            for e in trace["traceEvents"] if e["name"] == name
        ]  # fmt: skip
        area = sum((b - a) * value for (a, value), (b, _) in itertools.pairwise(points))
        assert area == pytest.approx(total, rel=1e-6)
        assert points[-1][1] == pytest.approx(0, abs=1e-9)


def test_a_result_that_was_not_recorded_has_no_trace():
    with pytest.raises(ConfigError, match=r"the result has no timeline; run it with record=True"):
        to_trace(sim.run("tiny_4x4", "gemm:8x8x8"))


def test_run_writes_a_trace_and_the_same_json_with_and_without(tmp_path, capsys):
    target = tmp_path / "trace.json"
    assert main(["run", "tiny_4x4", WORK, "--trace", str(target), "--json", "-"]) == 0
    with_trace = capsys.readouterr().out
    assert main(["run", "tiny_4x4", WORK, "--json", "-"]) == 0
    assert capsys.readouterr().out == with_trace
    assert json.loads(target.read_text())["otherData"]["workload"] == WORK


def test_two_outputs_cannot_go_to_one_place(capsys):
    assert main(["run", "tiny_4x4", WORK, "--trace", "-", "--csv", "-"]) == 2
    assert "--csv and --trace cannot both go to '-'" in capsys.readouterr().err
