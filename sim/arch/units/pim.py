"""Banks that multiply: a PIM device as the memory and the multipliers of a chip."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sim.arch.quantities import Count
from sim.arch.unit import UNITS, Unit
from sim.errors import ConfigError, TiletickError
from sim.extends import stamp
from sim.pim.device import Device, load
from sim.yamlfile import Clash

POLICIES = ("channels", "order", "refresh", "number_format")


@UNITS.register("pim")
class Pim(Unit):
    """A PIM device: what it multiplies lies in its banks. What is left out is the device's own, and filled in."""

    family: ClassVar[str] = "pim"
    does: ClassVar[frozenset[str]] = frozenset({"products"})

    kind: Literal["pim"] = Field(description="DRAM banks with multipliers beside them")
    device: str = Field(description="PIM device, by name or path")
    channels: Count | None = Field(None, description="channels side by side, in lock-step")
    order: Literal["kouter", "oouter"] | None = Field(
        None, description="loops of a GEMV: parts of the input outermost, or groups of outputs"
    )
    refresh: Literal["all_bank", "off"] | None = Field(None, description="of all banks at once, or none")
    number_format: str | None = Field(None, description="the format that the banks multiply")
    timing: dict[str, int] = Field({}, description="timing parameters in clocks of the device")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        """Fill in what the device has of its own, where it loads at all."""
        try:
            spec = cls.model_construct(**data).open().spec
        except (TiletickError, TypeError, AttributeError):
            return data  # the fields are judged one by one first, and then how they go together
        own = {key: getattr(spec, key) for key in POLICIES}
        return {**own, **data, "timing": {name: each.cycles for name, each in spec.timing.items()}}

    @model_validator(mode="after")
    def _loads(self) -> Pim:
        try:
            _load(self.device, (), stamp("pim", self.device))
        except TiletickError as error:
            raise Clash(str(error).replace("\n", "; "), ("device",)) from None
        try:
            self.open()
        except ConfigError as error:
            problem = error.problems[0]
            raise Clash(problem.message, tuple(problem.key.split("."))) from None
        return self

    def open(self) -> Device:
        """Return the device with the settings of this chip; ConfigError where they do not fit together."""
        settings = {key: value for key in POLICIES if (value := getattr(self, key)) is not None}
        timing = {f"timing.{name}": clocks for name, clocks in self.timing.items()}
        return _load(self.device, tuple((settings | timing).items()), stamp("pim", self.device))


@lru_cache(maxsize=64)
def _load(name: str, settings: tuple[tuple[str, Any], ...], files: tuple[tuple[str, int], ...]) -> Device:
    bare = load(name)
    own = {f"timing.{key}": each.cycles for key, each in bare.spec.timing.items()}
    return load(name, {key: value for key, value in settings if own.get(key) != value})
