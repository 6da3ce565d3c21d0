"""What `tiletick rtl --json` writes: the cycles of a circuit."""

from __future__ import annotations

import json

from sim.errors import ConfigError, Problem
from sim.validate.measured import FORMATS, Choices, Format, Measured, Measurements

SCHEMA = "tiletick.rtl/1"


class Registers(Format):
    """The JSON of a check of registers against prediction."""

    name, title = "rtl", "JSON of tiletick rtl"

    def recognizes(self, text: str) -> bool:
        """Return whether it is a JSON object."""
        return text.lstrip().startswith("{")

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return the cycles of each layer's circuit."""
        try:
            data = json.loads(text)
            rows = [Measured(layer["name"], cycles=float(layer["rtl_cycles"])) for layer in data["layers"]]
        except ValueError as error:
            raise ConfigError(Problem(f"is not JSON: {error}", file)) from None
        except (KeyError, TypeError):
            raise ConfigError(Problem(f"is no output of tiletick rtl --json ({SCHEMA})", file)) from None
        if not rows:
            raise ConfigError(Problem("has no layers", file))
        about = "registers, each layer alone: first accepted word to last output"
        return Measurements(file, self.name, tuple(rows), about, alone=True)


FORMATS.register("rtl")(Registers())
