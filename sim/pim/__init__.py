"""DRAM whose banks multiply: devices as data, programs command by command, GEMVs laid out over banks.

    print(pim.run("gddr6_aim", "program.csv", {"refresh": "off"}).cycles)

Times are clocks of the device. Channels work in lock-step, all with the same commands at the same clocks, but for
programs that name one. What pieces of work take is in `cost`: `cost.gemv(device, outputs, inputs, order)`.
"""

from sim.pim.device import Device, load
from sim.pim.result import PimResult
from sim.pim.run import run

__all__ = ["Device", "PimResult", "load", "run"]
