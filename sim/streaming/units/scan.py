"""Scan: a running value, pushed in every firing."""

from __future__ import annotations

from typing import Literal

from sim.streaming.kinds import UNITS, Patterned


@UNITS.register("scan")
class Scan(Patterned):
    """Pops in every firing, updates its `state`, and pushes what `compute` makes of it; a group starts anew."""

    kind: Literal["scan"] = "scan"
