"""Networks on a streaming fabric, part by part."""

from __future__ import annotations

from dataclasses import replace

from sim.fabric.account import Account
from sim.fabric.execute import PartRun, run
from sim.fabric.parts import parts
from sim.fabric.stages import frames, stages
from sim.fabric.tracks import tracks
from sim.fabric.wiring import Places
from sim.family import FAMILIES, Request
from sim.result import Result


@FAMILIES.register("fabric")
def run_on_fabric(request: Request) -> Result:
    """Return what a network costs on a fabric. The parts follow each other, each change taking its time."""
    chip, fabric = request.chip, request.chip.fabric
    assert fabric is not None  # the family is that of its kind
    images = frames(request.graph, request.lowered)
    found = parts(stages(request.graph, request.lowered), chip, fabric, images)
    done, places = list[PartRun](), Places()
    for index, part in enumerate(found):
        if request.progress:
            request.progress(index, len(found), part.stages[0].name)
        inside = {stage.task.writes for stage in part.stages}
        read = {s.tensor for other in found if other is not part for stage in other.stages for s in stage.sources}
        done.append(run(part, chip, fabric, images, frozenset(inside & (read | _last(request))), places))
    change = fabric.change(chip.clock)
    account = Account(request, images, done, change, places)
    timeline = tracks(done, account.begins) if request.record else None
    return replace(account.result(), timeline=timeline)


def _last(request: Request) -> frozenset[str]:
    """Return the tensors that leave the network: those that no layer of it reads, and what joins a cache."""
    read = {tensor for task in request.lowered.tasks for _, tensor in task.reads}
    return frozenset(task.writes for task in request.lowered.tasks
                     if task.writes not in read or task.result == "kv")  # fmt: skip
