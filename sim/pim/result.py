"""What a program took, as a result that is written and read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sim.version import __version__

SCHEMA = "tiletick.pim/1"


@dataclass(frozen=True)
class PimResult:
    """A run of a program; cycles in clocks of the device, to the answer to the marker behind the last operation.

    `commands` counts each command over all channels; `clocks` lays every clock of a channel (the one that ends last)
    to a cause, and adds up to `cycles`; `energy_pj` is that of the commands, by component and action. `notes` tell what
    is strange in the program.
    """

    device: str
    description: str
    validated: str
    channels: int
    clock_hz: float
    cycles: int
    seconds: float
    operations: int
    commands: dict[str, int]
    clocks: dict[str, int]
    energy_pj: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the result as JSON text."""
        values = asdict(self)
        overrides = values.pop("overrides")
        document = {"schema": SCHEMA, **values, "provenance": {"version": __version__, "overrides": overrides}}
        return json.dumps(document, indent=2) + "\n"
