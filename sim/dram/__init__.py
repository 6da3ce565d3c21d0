"""DRAM to the clock: devices as data, their controllers, and the energy of what they do.

    print(dram.run("ddr4_2400r", pattern="seqR", requests=20_000).bandwidth_gbps)

    device = dram.load("ddr4_2400r", {"refresh": "off"})
    controller = dram.Controller(device)
    transfer = controller.submit(addresses, writes=False, since=100)
    last = controller.finish(transfer)

Times are clocks of the device (`Device.clock_seconds`); addresses are bytes.
"""

from sim.dram.controller import Controller
from sim.dram.device import Device, load
from sim.dram.result import DramResult
from sim.dram.serve import run
from sim.dram.stream import Transfer

__all__ = ["Controller", "Device", "DramResult", "Transfer", "load", "run"]
