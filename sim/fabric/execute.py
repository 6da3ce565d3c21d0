"""A part through the streaming engine: how deep the FIFOs are where branches join, when each unit begins and ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from sim.arch import Arch, Fabric
from sim.errors import DeadlockError
from sim.fabric.cost import Cost, memory
from sim.fabric.folding import Folder
from sim.fabric.parts import Part, fit
from sim.fabric.wiring import PORT, Places, Wiring
from sim.streaming import blocking, ports
from sim.streaming.graph import Graph
from sim.streaming.net import Net
from sim.streaming.outcome import Outcome, of_window
from sim.streaming.simulate import checked, outcome

ATTEMPTS = 6
"""Widths tried for a part whose FIFOs turn out to need memory: each time less of it is left to the stages."""


@dataclass(frozen=True)
class PartRun:
    """What happened in a part. `starts`: when each unit took or asked for its first token; `fifos`: their cost."""

    part: Part
    wiring: Wiring
    graph: Graph
    outcome: Outcome
    starts: dict[str, int]
    fifos: Cost


def run(part: Part, chip: Arch, fabric: Fabric, images: int, kept: frozenset[str], places: Places) -> PartRun:
    """Return the run of a part, its stages narrowed where the FIFOs between them need the memory blocks.

    Raises MappingError where they need more than there are.
    """
    folder = Folder(chip, fabric)
    done = _simulate(part, chip, fabric, images, kept, places)
    for _ in range(ATTEMPTS):
        total = part.plan.cost + done.fifos
        if not chip.bounded or fabric.bram18 is None or total.bram18 <= fabric.bram18:
            break
        part = replace(part, plan=fit(part.stages, folder, done.fifos))
        done = _simulate(part, chip, fabric, images, kept, places)
    return done


def _simulate(part: Part, chip: Arch, fabric: Fabric, images: int, kept: frozenset[str],
              places: Places) -> PartRun:  # fmt: skip
    wiring = Wiring(part, chip, fabric, images, kept, places)
    graph, joins = wiring.build(), list(_joins(part))
    shallow = [joined[:-1] for joined in joins]
    for unbounded in (shallow, joins):
        trial = checked(graph.with_depths({name: None for names in unbounded for name in names}))
        found, starts = _outcome(trial, images)
        if not found.blocked:
            return _sized(wiring, trial, found, starts)
    names = list(trial.units)
    raise DeadlockError([f"{names[unit]} waits for a token that no depth can bring" for unit in found.blocked])


def _joins(part: Part) -> Iterator[list[str]]:
    """Yield the channels that meet in each stage, the one that the most stages lie before last.

    With the others unbounded, no branch waits for another; what fills them is what the longest one has in flight.
    """
    makers = {stage.task.writes: stage.name for stage in part.stages}
    rank = dict[str, int]()
    for stage in part.stages:
        before = [makers[source.tensor] for source in stage.sources if source.tensor in makers]
        rank[stage.name] = 1 + max((rank[name] for name in before), default=0)
        if len(before) > 1:
            yield [f"{name}->{stage.name}" for name in sorted(before, key=lambda name: rank[name])]


def _outcome(graph: Graph, images: int) -> tuple[Outcome, dict[str, int]]:
    """Return what comes of a graph, and the first activity of each unit where the run is one of a single image."""
    if images > 1:
        return outcome(graph), {}
    net = Net.of(graph)
    window = blocking.begin(net)
    found = of_window(net, window, ports.run(graph, net, window))
    return found, {} if found.blocked else _first(net, window)


def _first(net: Net, window: blocking.Window) -> dict[str, int]:
    """Return for each unit when the first token that it takes is there; 0 where it takes none at first."""
    channels = {name: index for index, name in enumerate(net.channels)}
    heads = {unit.name: unit.phases[0].ops[:1] for unit in net.units}
    return {
        name: next((window.arrived[channels[op.channel]][0] for op in ops if op.verb in ("pop", "read")), 0)
        for name, ops in heads.items()
    }


def _sized(wiring: Wiring, graph: Graph, found: Outcome, starts: dict[str, int]) -> PartRun:
    """Return the run with unbounded FIFOs as deep as they were full: with these depths it is the same run."""
    open_ended = [(i, name) for i, (name, channel) in enumerate(graph.channels.items()) if channel.depth is None]
    buffers = {name: graph.buffer(name) for _, name in open_ended}
    depths = {name: max(wiring.fabric.fifo, found.peak[i] - buffers[name]) for i, name in open_ended}
    sized = graph.with_depths(depths)
    return PartRun(wiring.part, wiring, sized, found, starts or _starts(wiring, depths), _fifos(wiring, sized))


def _starts(wiring: Wiring, depths: dict[str, int]) -> dict[str, int]:
    """Return when each unit begins: as in a run of one image, since what comes later cannot delay it."""
    first = Wiring(wiring.part, wiring.chip, wiring.fabric, 1, wiring.kept, wiring.places)
    return _outcome(first.build().with_depths(dict(depths)), 1)[1]


def _fifos(wiring: Wiring, graph: Graph) -> Cost:
    """Return the memory of the FIFOs between stages: words as wide as what their producer makes in a cycle."""
    folds = dict(zip((stage.name for stage in wiring.part.stages), wiring.part.plan.folds, strict=True))
    total = Cost()
    for name, channel in graph.channels.items():
        maker = name.partition("->")[0]
        if "->" in name and maker != PORT:
            across = min(folds[maker].pe, wiring.widths[name])
            words = ceil(wiring.widths[name] / across) * (channel.depth or 0)
            total += memory(words, ceil(channel.bits / wiring.widths[name]) * across)
    return total
