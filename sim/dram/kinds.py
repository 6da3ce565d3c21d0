"""Which controller a device needs, by what its commands are."""

from __future__ import annotations

from sim.dram.channel import Channel
from sim.dram.device import Device
from sim.dram.dual import DualBusChannel, HalfClockChannel
from sim.dram.maintenance import Logged
from sim.dram.split import SplitActivateChannel


def channel(device: Device, per_clock: int, log: list[Logged] | None) -> Channel:
    """Return an idle channel of `device`."""
    spec = device.spec
    if spec.half_clocks:
        return HalfClockChannel(device, per_clock, log)
    if any(command.bus == "column" for command in spec.commands.values()):
        return DualBusChannel(device, per_clock, log)
    if "ACT1" in spec.commands:
        return SplitActivateChannel(device, per_clock, log)
    return Channel(device, per_clock, log)
