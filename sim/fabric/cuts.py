"""Where a hybrid cuts a network: the cut points of the least time, by dynamic programming over what each part takes.

A part's time is estimated as what its stages take once their first tokens are there, which is what the streaming
engine finds with FIFOs as deep as the flow needs, but for pipeline registers and the words of a token. Parts follow
each other, so that the best cuts of the stages up to a point are part of the best cuts of any that cut there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from sim.arch import channel as off_chip
from sim.fabric.folding import Folder, Need, Plan
from sim.fabric.stages import Source, Stage, windows

Choose = Callable[[Sequence[Stage]], Plan | Need]


def cuts(stages: Sequence[Stage], folder: Folder, choose: Choose, images: int) -> list[list[Stage]]:
    """Return the parts of the least estimated time; a stage that does not fit even alone is a part of its own.

    `choose` returns the widths of stages that are on the fabric together. A part that does not fit has none longer
    that does: more stages take more blocks.
    """
    count = len(stages)
    best: list[tuple[float, int]] = [(0.0, 0)] + [(float("inf"), 0)] * count
    alone = float("inf")
    for first in range(count):
        for last in range(first + 1, count + 1):
            part = stages[first:last]
            plan = choose(part)
            if isinstance(plan, Need):
                if last == first + 1:
                    best[last] = min(best[last], (best[first][0], first))
                break
            cycles = estimate(part, plan, folder, images)
            if last - first == count:
                alone = cycles
            change = folder.fabric.change(folder.chip.clock) if first else 0
            best[last] = min(best[last], (best[first][0] + change + loading(part, plan, folder) + cycles, first))
    if alone <= best[count][0]:
        return [list(stages)]
    found, last = list[list[Stage]](), count
    while last:
        first = best[last][1]
        found.append(list(stages[first:last]))
        last = first
    return found[::-1]


def loading(stages: Sequence[Stage], plan: Plan, folder: Folder) -> float:
    """Return the cycles in which the weights that a part keeps on chip come over the port."""
    line, port = off_chip(folder.chip), folder.fabric.port
    words = _words(sum(s.matrix for s, f in zip(stages, plan.folds, strict=True) if not f.streamed), "weight", folder)
    return words + port.read_latency + line.latency if line and words else 0.0


def estimate(stages: Sequence[Stage], plan: Plan, folder: Folder, images: int) -> float:
    """Return the cycles of `images` on a part: the first one from stage to stage, the others at the interval."""
    ends: dict[str, tuple[float, float, int]] = {}
    words, interval = 0, plan.interval
    for stage, fold in zip(stages, plan.folds, strict=True):
        begin, behind = 0.0, 0.0
        for source in stage.sources:
            if source.tensor in ends:
                first, last, tokens = ends[source.tensor]
            else:
                brought = _words(source.tokens * source.width, source.operand, folder)
                first, last, tokens, words = 0.0, float(brought), source.tokens, words + brought
            begin = max(begin, first + (last - first) * _ahead(stage, source) / max(1, tokens))
            behind = max(behind, last)
        end = max(begin + fold.cycles, behind + fold.cycles / stage.tokens)
        ends[stage.task.writes] = begin, end, stage.tokens
        words += stage.tokens * _words(stage.matrix, "weight", folder) if fold.streamed else 0
    last = max(end for _, end, _ in ends.values())
    return max(last + (images - 1) * interval, words * images)


def _ahead(stage: Stage, source: Source) -> int:
    """Return the tokens of an input that a stage takes before it can make its first one."""
    if source.flow == "whole":
        return source.tokens
    return windows(stage.axes)[0][1] + 1 if source.flow == "window" else 1


def _words(elements: int, operand: str, folder: Folder) -> int:
    line, width = off_chip(folder.chip), folder.fabric.port.width
    if line is None:
        return 0
    rate = min(width, int(line.burst / line.cycles_per_burst))
    return ceil(elements * folder.chip.bits(operand) / 8 / max(1, rate))
