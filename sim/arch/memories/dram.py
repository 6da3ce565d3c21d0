"""Off-chip memory as DRAM: a device with its controllers, burst by burst."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sim.arch.memory import MEMORIES, Channel, Memory
from sim.arch.quantities import Count
from sim.dram.device import Device, load
from sim.errors import ConfigError, Problem
from sim.extends import stamp
from sim.yamlfile import SETTING, Clash, Path_, Strict

Arrangement = Literal["row_major", "channel_last", "tiled"]
POLICIES = (
    "mapping", "channels", "refresh", "row_policy", "read_queue", "write_queue", "write_high", "write_low", "energy"
)  # fmt: skip


class Layout(Strict):
    """How tensors lie in memory: see the table of `sim.layout.boxes`."""

    weight: Arrangement = Field("tiled", description="weights: packed as the plan loads them, or plain")
    activation: Arrangement = Field("channel_last", description="inputs and outputs: NHWC, NCHW, or blocks of channels")
    tensors: dict[str, Arrangement] = Field({}, description="others, by layer name (its output) or NAME.weight")


@MEMORIES.register("dram")
class Dram(Memory):
    """DRAM behind controllers that all operands share. Policies left out are the device's own."""

    kind: Literal["dram"] = Field(description="a DRAM device behind its controllers")
    device: str = Field(description="DRAM device, by name or path")
    channels: Count | None = Field(None, description="channels side by side")
    mapping: list[str] | str | None = Field(None, description="address fields from most to least significant")
    refresh: Literal["all_bank", "per_bank", "off"] | None = Field(None, description="how rows are refreshed")
    row_policy: Literal["open", "closed"] | None = Field(None, description="whether rows stay open")
    read_queue: Count | None = Field(None, description="requests that the controller holds, reads")
    write_queue: Count | None = Field(None, description="requests that the controller holds, writes")
    write_high: float | None = Field(None, description="part of the write queue above which writes drain")
    write_low: float | None = Field(None, description="part of the write queue below which reads go on")
    energy: Literal["currents", "events"] | None = Field(None, description="how the device's energy is counted")
    timing: dict[str, Count] = Field({}, description="timing parameters in clocks of the device")
    layout: Layout = Field(Layout(), description="how tensors lie in memory")
    extrapolate: bool = Field(
        True, description="of runs of millions of bursts, simulate stretches; off: every burst of the run"
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: object) -> object:
        """Say where a timing parameter belongs that stands beside the policies."""
        strange = [key for key in values if key not in cls.model_fields] if isinstance(values, dict) else []
        for key in strange:
            if isinstance(key, str) and (key in ("BL", "CL", "CWL") or (key[:1] == "t" and key[1:2].isupper())):
                told = f"'{key}' is a timing parameter: set memory.timing.{key}, in clocks of the device"
                raise Clash(told, (key,))
        return values

    @field_validator("channels")
    @classmethod
    def _power_of_two(cls, value: int | None) -> int | None:
        if value is not None and value & (value - 1):
            raise ValueError(f"must be a power of two, not {value}")
        return value

    @field_validator("extrapolate", mode="before")
    @classmethod
    def _switch(cls, value: object) -> object:
        return {"on": True, "off": False}.get(value, value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _loads(self) -> Dram:
        try:
            self.open()
        except ConfigError as error:
            told = "; ".join(each.message if _is_set(each) else str(each) for each in error.problems)
            raise Clash(told, *(_policy(each) for each in error.problems)) from None
        return self

    def open(self) -> Device:
        """Return the device with the policies of this chip; ConfigError where they do not fit together."""
        policies = {key: value for key in POLICIES if (value := getattr(self, key)) is not None}
        timing = {f"timing.{name}": clocks for name, clocks in self.timing.items()}
        settings = tuple((key, _frozen(value)) for key, value in {**policies, **timing}.items())
        return _load(self.device, settings, stamp("dram", self.device))

    def channel(self, clock: int) -> Channel:
        """Return the channel in cycles at the peak of the device: no transfer is faster."""
        device = self.open()
        per_burst = Fraction(device.burst * clock) / Fraction(device.peak_bandwidth)
        latency = ceil(device.timing("CL") * clock / device.clock_hertz)
        return Channel(per_burst, device.burst, latency)


def _policy(problem: Problem) -> Path_:
    """Return the key of the chip's memory that a problem of its device comes from."""
    return tuple(problem.file.removeprefix(SETTING).split(".")) if _is_set(problem) else ("device",)


def _is_set(problem: Problem) -> bool:
    return problem.file.startswith(SETTING)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=64)
def _load(name: str, policies: tuple[tuple[str, Any], ...], files: tuple[tuple[str, int], ...]) -> Device:
    return load(name, {key: list(value) if isinstance(value, tuple) else value for key, value in policies})
