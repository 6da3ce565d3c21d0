"""Where a network lies in banks that multiply, as text: rows of every bank, what is in them, and how full they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sim.arch import Arch
from sim.errors import ConfigError, Problem
from sim.graph import Graph
from sim.inmemory.jobs import Job, Jobs
from sim.inmemory.placement import Place, places
from sim.layers import lower
from sim.pim.device import Device
from sim.report.table import Column, pairs, table
from sim.simulate import open_both
from sim.units import show_bytes

COLUMNS = (
    Column("layer", right=False), Column("times"), Column("holds", right=False), Column("first row"), Column("rows"),
    Column("filled"), Column("size"),
)  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """A network in the banks of a chip: where each layer lies, and what the banks do for it."""

    graph: Graph
    chip: Arch
    device: Device
    jobs: list[Job]
    places: list[Place]


def placed(arch: str, network: str, overrides: Mapping[str, Any]) -> Placed:
    """Return where `network` lies in the banks of the chip called `arch`: what its other units compute is left out.

    Raises ConfigError where the chip has no banks that multiply, or either file has problems.
    """
    chip, graph, _ = open_both(arch, network, overrides)
    if chip.pim is None:
        told = f"'{chip.name}' has no banks that multiply, in which a network would have its place"
        raise ConfigError(Problem(f"{told}; show a chip or a network alone, or a chip such as gddr6_aim"))
    device = chip.pim.open()
    expanded = graph.expanded
    maker = Jobs(chip, device, {node.name: node for node in expanded.nodes})
    runs = groupby(lower(graph, chip).tasks, key=lambda task: task.family(chip))
    jobs = [job for family, tasks in runs if family == "pim" for job in maker.all(list(tasks))]
    return Placed(graph, chip, device, jobs, [*places(expanded, jobs, device)])


def placement_text(arch: str, network: str, overrides: Mapping[str, Any], width: int) -> str:
    """Return where `network` lies in the banks of the chip called `arch`, in lines of `width` characters."""
    found = placed(arch, network, overrides)
    body = table(COLUMNS, (_row(group, found.device) for group in _alike(found.places)), width)
    facts = pairs(_facts(found.places, found.jobs, found.chip, found.device), width)
    return f"{found.graph.name} in the banks of {found.chip.name}\n\n{body}\n" + facts


def _alike(found: Iterable[Place]) -> list[list[Place]]:
    """Return places of layers that differ in a number of their name alone together, in the order of the first."""
    groups: dict[tuple[object, ...], list[Place]] = {}
    for place in found:
        key = (re.sub(r"\d+", "*", place.name, count=1), place.what, place.rows, place.filled)
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def _row(group: Sequence[Place], device: Device) -> list[str]:
    one = group[0]
    name = re.sub(r"\d+", "*", one.name, count=1) if len(group) > 1 else one.name
    size = one.filled * one.rows * device.row_bytes * device.units * device.spec.channels
    return [name, f"{len(group):,}", one.what, f"{one.first:,}", f"{one.rows:,}", f"{one.filled:.1%}",
            show_bytes(round(size))]  # fmt: skip


def _facts(found: Sequence[Place], jobs: Sequence[Job], chip: Arch, device: Device) -> list[tuple[str, str]]:
    spec, rows = device.spec, sum(place.rows for place in found)
    held = sum(place.rows * place.filled for place in found)
    lines = [
        ("rows", f"{rows:,} of {device.rows:,} of every unit of {spec.banks_per_unit} bank"
                 f"{'s' * (spec.banks_per_unit > 1)} ({rows / device.rows:.1%}), {device.units} units in each of "
                 f"{spec.channels} channels; {held / rows if rows else 0:.1%} of these rows are filled"),
        ("outputs", _outputs(device)),
        ("inputs", f"{spec.buffer // device.element:,} of them in a row of their own, one behind the other"),
    ]  # fmt: skip
    if len(chip.families) > 1:
        lines.append(("elsewhere", "matrices, keys and values that other units multiply, in rows that are free"))
    if any(place.what == "kv" for place in found):
        lines.append(("keys", "a token in each bank, heads behind each other in its rows; the next token goes to the "
                              "next bank, and later ones to rows behind all of these"))  # fmt: skip
        lines.append(("values", "an element of a head in each bank, tokens behind each other in its rows"))
    if rows > device.rows:
        least = -(-spec.channels * rows // device.rows)
        lines.append(("too many", f"{rows - device.rows:,} rows do not fit; --set channels={least} would do"))
    return lines


def _outputs(device: Device) -> str:
    spec = device.spec
    each = f"{spec.accumulators} in a unit, " if spec.accumulators > 1 else ""
    group = device.units * spec.accumulators * spec.channels
    return f"{each}one unit after the other, one channel after the other: {group:,} in a group, then the next rows"

