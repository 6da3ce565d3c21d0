"""What DRAM's work costs: by event, or from the currents of a data sheet."""

from __future__ import annotations

from dataclasses import dataclass

from sim.dram.counters import Counters
from sim.dram.device import Device
from sim.dram.schema import Currents, Events


@dataclass(frozen=True)
class Costs:
    """Energy of each event in pJ; standby in pJ a clock of a rank with a row open, and with none."""

    activate: float
    read: float
    write: float
    refresh: float
    open_clock: float
    closed_clock: float

    def of(self, counters: Counters, open_clocks: int, rank_clocks: int) -> dict[str, float]:
        """Return the energy in pJ by what it went into; clocks are summed over ranks."""
        standby = open_clocks * self.open_clock + (rank_clocks - open_clocks) * self.closed_clock
        return {
            "activate": counters.activates * self.activate, "read": counters.reads * self.read,
            "write": counters.writes * self.write, "refresh": counters.refreshes * self.refresh, "standby": standby,
        }  # fmt: skip


def costs(device: Device) -> Costs:
    """Return the Costs of a device by the method that its file, or an override, chooses."""
    spec = device.spec
    if spec.energy == "currents":
        assert spec.currents is not None
        return from_currents(device, spec.currents)
    assert spec.events is not None
    return from_events(device, spec.events)


def from_currents(device: Device, currents: Currents) -> Costs:
    """Return the Costs that follow from currents, as DRAMsim3 computes them after Micron TN-40-07.

    An activation and its precharge cost what IDD0 takes above standby over tRAS + tRP; an access what IDD4 takes
    above active standby over the burst; a refresh what IDD5 does over tRFC. mA x V x ns is pJ. A refresh by bank
    has its share of the banks' refresh.
    """
    tRAS, tRP, BL = (device.timing(name) for name in ("tRAS", "tRP", "BL"))
    scale = currents.VDD * currents.devices * device.spec.tCK / 1000
    act = currents.IDD0 * (tRAS + tRP) - (currents.IDD3N * tRAS + currents.IDD2N * tRP)
    refresh = (currents.IDD5AB - currents.IDD3N) * device.timing("tRFC")
    share = device.banks // device.ranks if device.spec.refresh == "per_bank" else 1
    return Costs(
        scale * act, scale * (currents.IDD4R - currents.IDD3N) * BL, scale * (currents.IDD4W - currents.IDD3N) * BL,
        scale * refresh / share, scale * currents.IDD3N, scale * currents.IDD2N,
    )  # fmt: skip


def from_events(device: Device, events: Events) -> Costs:
    """Return the Costs of events as they are stated; standby is spread over the ranks of a channel."""
    bits = device.burst * 8
    standby = events.standby.value * device.spec.tCK / device.ranks if events.standby is not None else 0.0
    return Costs(
        events.activate.value if events.activate is not None else 0.0, events.read.value * bits,
        events.write.value * bits, events.refresh.value if events.refresh is not None else 0.0, standby, standby,
    )  # fmt: skip
