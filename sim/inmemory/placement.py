"""Which bank holds what, and how full the banks are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.graph import Graph
from sim.inmemory.jobs import Job, too_many
from sim.kernel import Contraction
from sim.pim.device import Device


@dataclass(frozen=True)
class Place:
    """Rows `first` up to `first` + `rows` of every unit, and what of them is filled with what lies there."""

    name: str
    what: str
    first: int
    rows: int
    filled: float


def places(graph: Graph, jobs: Sequence[Job], device: Device) -> list[Place]:
    """Return where every matrix, all keys and values and the other parameters lie, in the order of the network."""
    found, at = list[Place](), 0
    for job in jobs:
        if job.stored_rows:
            share = job.stored_bytes / (job.stored_rows * _row(device))
            found.append(Place(job.name, job.product.read[0] if job.product else "", at, job.stored_rows, share))
            at += job.stored_rows
    others = _others(graph) * device.element
    if others:
        rows = -(-others // _row(device))
        found.append(Place("tables, norms and biases", "weight", at, rows, others / (rows * _row(device))))
    return found


def _row(device: Device) -> int:
    """Return the bytes of a row of every unit of every channel."""
    return device.row_bytes * device.units * device.spec.channels


def _others(graph: Graph) -> int:
    """Return the parameters that are no matrix of a product, a table that is one of them left out."""
    every = sum(node.parameters for node in graph.nodes)
    matrices = sum(
        kernel.right_elements for node in graph.nodes for kernel in node.kernels
        if isinstance(kernel, Contraction) and kernel.right_is == "weight"
    )  # fmt: skip
    return max(0, every - matrices)


def check(graph: Graph, jobs: Sequence[Job], device: Device) -> None:
    """Make sure that all that the network keeps in the banks fits; CapacityError says by how much it does not."""
    rows = sum(place.rows for place in places(graph, jobs, device))
    if rows > device.rows:
        raise too_many(f"'{graph.name}' with its weights and cache", rows, device)
