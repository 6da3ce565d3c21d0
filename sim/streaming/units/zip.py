"""Zip: a token of each of several channels in, a function of them out."""

from __future__ import annotations

from typing import ClassVar, Literal

from sim.streaming.kinds import UNITS, Patterned


@UNITS.register("zip")
class Zip(Patterned):
    """Pops from several channels and pushes what `compute` makes of the tokens.

    What it pops `first` in a group, it keeps for the whole group.
    """

    kind: Literal["zip"] = "zip"
    pops: ClassVar[tuple[int, int | None]] = (2, None)
