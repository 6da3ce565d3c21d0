"""What serving a stream of requests took: the numbers, as a result that is written and read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sim.dram.controller import Controller
from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.energy import costs
from sim.dram.extrapolate import Extrapolation
from sim.version import __version__

SCHEMA = "tiletick.dram/1"


@dataclass(frozen=True)
class DramResult:
    """A run of the controllers; cycles in clocks of the device, to the last data.

    `reads` and `writes` are commands; `bandwidth_utilization` is data clocks of all buses over all their clocks;
    `limiter` lays every clock of the buses to a cause, and its shares add up to 1 (of what was simulated, where the
    rest is `extrapolated`: from how many requests on, and by what share the cycles may be off).
    """

    device: str
    description: str
    validated: str
    clock_hz: float
    cycles: int
    seconds: float
    requests: int
    reads: int
    writes: int
    forwarded_reads: int
    merged_writes: int
    activates: int
    precharges: int
    auto_precharges: int
    refreshes: int
    row_hits: int
    row_misses: int
    row_conflicts: int
    bandwidth_utilization: float
    bandwidth_gbps: float
    peak_gbps: float
    limiter: dict[str, float]
    energy_pj: dict[str, Any]
    extrapolated: dict[str, Any] | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def row_hit_rate(self) -> float:
        """Row hits over all requests that needed a command."""
        return self.row_hits / max(1, self.row_hits + self.row_misses + self.row_conflicts)

    def to_json(self) -> str:
        """Return the result as JSON text."""
        values = asdict(self)
        overrides = values.pop("overrides")
        document = {"schema": SCHEMA, **values, "row_hit_rate": self.row_hit_rate}
        document["provenance"] = {"version": __version__, "overrides": overrides}
        return json.dumps(document, indent=2) + "\n"


def result(
    controller: Controller, cycles: int, requests: int, overrides: dict[str, Any], beyond: Extrapolation | None = None
) -> DramResult:
    """Return what `controller` did up to clock `cycles`, for `requests` requests; or what follows `beyond` that."""
    device, counters = controller.device, controller.counters
    simulated, opened = cycles, sum(part.waits.open_until(cycles) for part in controller.parts)
    if beyond is not None:
        counters, opened = beyond.counters, beyond.open_clocks
        simulated = max(part.clock for part in controller.parts)
    seconds = cycles * device.clock_seconds
    moved = counters.reads + counters.writes
    clocks = cycles * device.buses * device.channels
    return DramResult(
        device.name, device.spec.description, device.spec.validated, float(device.clock_hertz), cycles, seconds,
        requests, counters.reads, counters.writes, counters.forwarded, counters.merged, counters.activates,
        counters.precharges, counters.auto_precharges, counters.refreshes, counters.row_hits, counters.row_misses,
        counters.row_conflicts, moved * device.timing("BL") / max(1, clocks),
        moved * device.burst / max(1e-30, seconds) / 1e9, device.peak_bandwidth / 1e9, _limiter(controller, simulated),
        _energy(device, counters, opened, cycles),
        None if beyond is None else {"after": beyond.after, "bound": beyond.bound}, dict(overrides),
    )  # fmt: skip


def _limiter(controller: Controller, cycles: int) -> dict[str, float]:
    """Return the share of the buses' clocks by cause, the largest first."""
    total = dict[str, int]()
    for part in controller.parts:
        for cause, clocks in part.waits.shares(cycles).items():
            total[cause] = total.get(cause, 0) + clocks
    whole = max(1, sum(total.values()))
    return {cause: clocks / whole for cause, clocks in sorted(total.items(), key=lambda each: -each[1]) if clocks}


def _energy(device: Device, counters: Counters, opened: int, cycles: int) -> dict[str, Any]:
    by_action = costs(device).of(counters, opened, cycles * device.ranks * device.channels)
    return {"total": sum(by_action.values()), "by_action": by_action, "method": device.spec.energy}
