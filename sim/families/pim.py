"""Networks on a chip whose banks multiply."""

from __future__ import annotations

from dataclasses import replace

from sim.family import FAMILIES, Request
from sim.inmemory.account import Account
from sim.inmemory.jobs import Jobs
from sim.inmemory.placement import check
from sim.inmemory.schedule import Schedule
from sim.inmemory.tracks import timeline
from sim.result import Result


@FAMILIES.register("pim")
def run_in_memory(request: Request) -> Result:
    """Return what a network costs on banks that multiply and the companion beside them."""
    chip = request.chip
    assert chip.pim is not None  # the family is that of its kind
    device = chip.pim.open()
    graph = request.graph.expanded
    maker = Jobs(chip, device, {node.name: node for node in graph.nodes})
    jobs = maker.all(request.lowered.tasks)
    check(graph, jobs, device)
    if request.progress:
        request.progress(0, 1, graph.name)
    schedule = Schedule(chip, device, request.lowered.tasks, maker)
    account = Account(request, device, schedule, schedule.run(jobs))
    return replace(account.result(), timeline=timeline(account) if request.record else None)
