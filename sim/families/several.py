"""Networks on a chip of several families of units, side by side on one memory."""

from __future__ import annotations

from sim.family import FAMILIES, Request
from sim.offload.network import run_shared
from sim.result import Result


@FAMILIES.register("several")
def run_on_several(request: Request) -> Result:
    """Return what a network costs where each layer runs on the family that the rules of the chip name."""
    return run_shared(request, request.record)
