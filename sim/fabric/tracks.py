"""Who did what when on a fabric: a track a unit, its waits as the streaming engine met them, compute between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from sim.fabric.execute import PartRun
from sim.streaming.blocking import PORT as AT_PORT
from sim.streaming.blocking import Wait
from sim.streaming.graph import Unit
from sim.streaming.simulate import outcome
from sim.timeline import REPEATS, Ledger, Slice, Timeline

FINEST = 4000
"""Parts of a run: turns of a unit that are shorter, one after the other, are one slice of REPEATS."""


def tracks(runs: Sequence[PartRun], begins: Sequence[int]) -> Timeline:
    """Return the timeline of all parts, each simulated once more for its waits; part i begins at cycle `begins[i]`."""
    total, layers = begins[-1], [stage.name for run in runs for stage in run.part.stages]
    ledgers, spans = dict[str, Ledger](), list[tuple[int, int]]()
    for run, begin in zip(runs, begins, strict=False):
        found = outcome(run.graph, "run-to-block", record=True)
        assert found.waits is not None  # asked for
        for index, (name, unit) in enumerate(run.graph.units.items()):
            layer, ends = layers.index(run.wiring.layer[name]), (run.starts[name], found.times[index])
            turns = _turns(unit, run, found.waits[index], ends)
            ledgers[name] = _ledger(turns, begin, layer, total)
            if name in run.part.names:
                spans.append((begin + ends[0], begin + ends[1]))
    return Timeline(total, ledgers, spans, {})


def _turns(unit: Unit, run: PartRun, waits: Sequence[Wait], ends: tuple[int, int]) -> Iterator[tuple[int, int, str]]:
    """Yield (from, to, cause) between the start and the end of a unit, in order and without gaps."""
    names, at = list(run.graph.channels), ends[0]
    for start, end, code in waits:
        if end <= at:
            continue
        if start > at:
            yield at, start, "compute"
        yield max(start, at), end, _cause(code, names)
        at = end
    if at < ends[1]:
        yield at, ends[1], "compute"


def _cause(code: int, names: Sequence[str]) -> str:
    if code == AT_PORT:
        return "wait_port"
    if code < 0:
        return "wait_output_space"
    return "wait_weight" if names[code].endswith(".weight_words") else "wait_input"


def _ledger(turns: Iterator[tuple[int, int, str]], begin: int, layer: int, total: int) -> Ledger:
    """Return the ledger of a unit: every cycle by its cause, slices no finer than the run is long."""
    ledger, finest = Ledger(slices=[]), ceil(total / FINEST)
    made: list[Slice] = [(0, 0, -1, "idle")]
    for start, end, cause in turns:
        ledger.add(layer, cause, end - start)
        _join(made, (begin + start, begin + end, layer, cause), finest)
    if made[-1][1] < total:
        made.append((made[-1][1], total, -1, "idle"))
    ledger.slices = [piece for piece in made if piece[1] > piece[0]]
    ledger.add(-1, "idle", sum(end - start for start, end, of, _ in ledger.slices if of < 0))
    ledger.until = total
    return ledger


def _join(made: list[Slice], turn: Slice, finest: int) -> None:
    """Put a turn behind the slices: into the last, where both are short or of one cause, else as one of its own."""
    start, end, layer, cause = turn
    before = made[-1]
    if before[2] < 0:
        made[-1] = (before[0], start, -1, "idle")
        made.append(turn)
    elif before[3] == cause and before[3] != REPEATS:
        made[-1] = (before[0], end, layer, cause)
    elif end - start < finest and before[1] - before[0] < finest:
        made[-1] = (before[0], end, layer, REPEATS)
    else:
        made.append(turn)
