"""Points of voltage and frequency at which a unit may run, and the one that it runs at."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from sim.arch.quantities import Hertz, Volts
from sim.arch.unit import Unit
from sim.errors import unknown
from sim.yamlfile import Clash, Strict


class Point(Strict):
    """A supply voltage and the clock that it allows."""

    clock: Hertz = Field(description="clock of the unit at this point")
    voltage: Volts = Field(description="its supply, in volts")


class Dvfs(Strict):
    """Dynamic voltage and frequency scaling: the points of a unit.

    The clocks are as the file gives them, measured or published; no formula makes them of voltages. The energy of an
    action is that of the technology table at the nominal point and grows with the square of the voltage, as charging
    a capacitance does (Chandrakasan, Sheng, Brodersen, Low-power CMOS digital design, JSSC 27(4), 1992).
    """

    points: Annotated[dict[str, Point], Field(min_length=1, description="clock and voltage, by name")]
    nominal: str = Field(description="the point for whose voltage the energy table holds")
    point: str | None = Field(None, description="the point at which it runs; left out: the nominal one")
    source: str = Field("", description="where the points come from")

    @model_validator(mode="after")
    def _named(self) -> Dvfs:
        for key in ("nominal", "point"):
            name = getattr(self, key)
            if name is not None and name not in self.points:
                raise Clash(unknown("point", name, self.points), (key,))
        return self

    @property
    def name(self) -> str:
        """The name of the point at which it runs."""
        return self.point or self.nominal

    @property
    def now(self) -> Point:
        """The point at which it runs."""
        return self.points[self.name]

    @property
    def energy(self) -> float:
        """Energy of an action at this point over that at the nominal one."""
        return (self.now.voltage / self.points[self.nominal].voltage) ** 2


class Scaled(Unit):
    """Base of units that may have a clock and a voltage of their own."""

    dvfs: Dvfs | None = Field(None, description="points of voltage and frequency; left out: the clock of the chip")

    def own_clock(self, chip: int) -> int:
        """Return its clock in hertz on a chip whose clock is `chip`."""
        return self.dvfs.now.clock if self.dvfs else chip

    def told(self, chip: int) -> dict[str, Any]:
        """Return what a result says of it, with the name of its point and its voltage where it has points."""
        point = {"point": self.dvfs.name, "voltage": self.dvfs.now.voltage} if self.dvfs else {}
        return {**super().told(chip), **point}
