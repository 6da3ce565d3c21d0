"""A chip as a whole: its units, buffers, memory and link, and what must hold between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Field, model_validator

from sim import display, library
from sim.arch.assignment import Assignment
from sim.arch.buffer import Buffer
from sim.arch.choices import MappingChoices
from sim.arch.memory import MEMORIES, Channel, Memory
from sim.arch.quantities import OPERANDS, Format, Hertz, Rate
from sim.arch.rates import NoRate, rate_of
from sim.arch.tier import Tier
from sim.arch.unit import UNITS, Unit
from sim.arch.units.companion import Companion
from sim.arch.units.fabric import Fabric
from sim.arch.units.pim import Pim
from sim.arch.units.systolic import Systolic
from sim.arch.units.vector import Vector
from sim.errors import ConfigError, MissingUnit, Problem, unknown
from sim.formats import BITS, element_of
from sim.registry import Registry
from sim.units import show_si
from sim.yamlfile import Clash, Strict


def named_memory(value: str) -> object:
    """Let a kind of memory, or a DRAM device, stand for itself: `memory: ideal`, `memory: ddr4_2400r`."""
    if value in MEMORIES:
        return {"kind": value}
    return {"kind": "dram", "device": value} if value in library.names("dram") else value


def _memory(value: object) -> object:
    """Return what a name stands for; ValueError, in the user's words, where nothing has that name."""
    found = named_memory(value) if isinstance(value, str) else value
    if isinstance(found, str):
        raise ValueError(unknown("memory", found, [*MEMORIES, *library.names("dram")]))
    return found


if TYPE_CHECKING:
    AnyUnit = Unit
    AnyMemory = Memory
else:

    def _one_of(kinds: Registry[Any]) -> Any:
        return Annotated[Union[tuple(kinds[name] for name in kinds)], Field(discriminator="kind")]  # noqa: UP007

    AnyUnit = _one_of(UNITS)
    AnyMemory = Annotated[_one_of(MEMORIES), BeforeValidator(_memory)]


class Link(Strict):
    """The wires between the arrays of a chip: broadcasts shared operands, reduces partial sums."""

    bandwidth: Rate = Field(description="bytes a cycle over it")
    latency: int = Field(1, ge=0, description="cycles from the first byte in to the first byte out")


class Precision(Strict):
    """Number formats of the operands."""

    weight: Format = Field("int8", description="format of weights, in memory and in the array")
    input: Format = Field("int8", description="format of activations that a layer reads")
    output: Format = Field("int8", description="format of activations that a layer makes")
    partial_sum: Format = Field("int32", description="format in which products are summed, on chip and spilled")
    kv: Format | None = Field(None, description="keys and values of attention; left out: as the input")
    index: Format = Field("int32", description="indices of an embedding, numbers of experts in a routing table")


def _keys(part: Strict) -> str:
    given = (key for key in type(part).model_fields if key in part.model_fields_set - {"kind"})
    return ", ".join(f"{key} {getattr(part, key)}" for key in given)


RESERVED = ("dram", "link")
"""Names under which results know the off-chip memory and the link."""


class Arch(Strict):
    """A chip. Every key is documented in its JSON Schema (`tiletick show --schema`)."""

    name: str = Field(description="what results call the chip")
    description: str = Field("", description="the chip in a sentence")
    source: str = Field("", description="where the figures come from")
    clock: Hertz = Field(description="the one clock of the chip, in which cycles count")
    technology: str = Field("45nm", description="energy table, by name or path")
    precision: Precision = Field(Precision(), description="number formats of the operands")
    units: Annotated[dict[str, AnyUnit], Field(min_length=1, description="what computes, by name; one of a kind")]
    buffers: dict[str, Buffer] = Field({}, description="on-chip memories, by name; each operand is held by one")
    memory: AnyMemory = Field(description="off-chip memory; `ideal` lifts every limit, those of buffers too")
    tiers: dict[str, Tier] = Field({}, description="slower memories behind it, by name; they hold weights")
    link: Link | None = Field(None, description="wires between arrays, where there are several")
    assign: list[Assignment] = Field(
        [], description="which unit computes what: the first rule that holds; without one arrays and lanes come first"
    )
    prefetch: bool = Field(True, description="load the next layer's weights behind the current layer")
    mapping: MappingChoices = Field(MappingChoices(), description="what is fixed of the mapping; the rest is searched")

    @model_validator(mode="after")
    def _units_differ(self) -> Arch:
        for kind in dict.fromkeys(unit.kind for unit in self.units.values()):
            found = [name for name, unit in self.units.items() if unit.kind == kind]
            if len(found) > 1:
                message = f"more than one {kind} unit ({', '.join(found)}); use count"
                raise Clash(message, *(("units", name) for name in reversed(found)))
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Arch:
        for name in self.buffers:
            if name in self.units or name in RESERVED:
                raise Clash(f"'{name}' is taken; units and buffers need names of their own", ("buffers", name))
        for name in self.units:
            if name in RESERVED:
                raise Clash(f"'{name}' is taken; units and buffers need names of their own", ("units", name))
        return self

    @model_validator(mode="after")
    def _tiers_lie_behind_memory(self) -> Arch:
        for name in self.tiers:
            if name in {*self.units, *self.buffers, *RESERVED}:
                raise Clash(f"'{name}' is taken; a tier needs a name of its own", ("tiers", name))
        if self.tiers and self.families != {"array"}:
            others = ", ".join(n for n, u in self.units.items() if u.family != "array")
            message = f"a tier serves arrays and lanes; {others} would have to load from it too: remove the tiers"
            raise Clash(message, ("tiers", next(iter(self.tiers))))
        return self

    @model_validator(mode="after")
    def _fabric_reaches_memory(self) -> Arch:
        if self.families == {"fabric"} and self.buffers:
            raise Clash("a fabric has its own memory; remove the buffers", ("buffers",))
        if self.families == {"fabric"} and self.memory.kind not in ("simple", "dram", "ideal"):
            message = "a fabric's port reaches memory of the kinds simple, dram and ideal"
            raise Clash(message, ("memory",))
        return self

    @model_validator(mode="after")
    def _rules_name_units(self) -> Arch:
        for index, rule in enumerate(self.assign):
            if rule.unit not in self.units:
                raise Clash(unknown("unit", rule.unit, self.units), ("assign", index, "unit"))
        return self

    @model_validator(mode="after")
    def _pim_is_the_memory(self) -> Arch:
        others = [("units", name) for name, unit in self.units.items() if not isinstance(unit, Pim | Companion)]
        if self.pim is None:
            if self.companion or self.memory.kind == "banks":
                about = ("memory",) if self.memory.kind == "banks" else ("units", self.unit_name(Companion))
                raise Clash("needs a unit of kind pim, whose banks it belongs to", about)
            return self
        if others:
            return self._pim_beside_others()
        if self.memory.kind not in ("banks", "ideal"):
            raise Clash("the banks of a PIM device are the memory; write memory: banks", ("memory",))
        if len(self.buffers) > 1:
            message = "a companion has one buffer, its SRAM; remove the others"
            raise Clash(message, *(("buffers", name) for name in reversed(self.buffers)))
        return self._clock_of_banks(round(self.pim.open().clock_hertz))

    def _clock_of_banks(self, clock: int) -> Arch:
        if clock != self.clock:
            told = f"{self.clock} Hz is not the clock of the banks, {clock} Hz; times count in theirs"
            raise Clash(told, ("clock",), ("units", self.unit_name(Pim), "device"))
        return self

    def _pim_beside_others(self) -> Arch:
        """Make sure that banks which arrays, lanes or fabrics reach too are those of the chip's memory."""
        if self.companion:
            about = ("units", self.unit_name(Companion))
            raise Clash("a companion serves banks alone; beside other units lanes do its work (kind: vector)", about)
        if self.memory.kind == "banks":
            raise Clash("other units load from memory: name the kind that the banks are in (dram, simple)", ("memory",))
        here, there = self.pim.open().spec.channels if self.pim else 0, getattr(self.memory, "channels", None)
        if there is not None and here != there:
            told = f"the banks have {here} channels, memory {there}; they are the same"
            raise Clash(told, ("units", self.unit_name(Pim), "channels"), ("memory",))
        return self

    @model_validator(mode="after")
    def _banks_multiply(self) -> Arch:
        if self.pim is not None:
            device = self.pim.open()
            for operand in ("weight", "input", "kv"):
                if self.format_of(operand) != device.spec.number_format:
                    told = f"the banks of {device.name} multiply {device.spec.number_format}, not "
                    message = f"{told}{self.format_of(operand)}; they can multiply: {', '.join(device.spec.formats)}"
                    raise Clash(message, ("precision", operand))
        return self

    @model_validator(mode="after")
    def _arrays_are_linked(self) -> Arch:
        for name, unit in self.units.items():
            if isinstance(unit, Systolic) and unit.count > 1 and self.link is None:
                message = f"{unit.count} arrays need a link between them; add link: {{bandwidth: 64 B/cycle}}"
                raise Clash(message, ("units", name, "count"), ("link",))
        return self

    @model_validator(mode="after")
    def _rates_cover_the_formats(self) -> Arch:
        for name, unit in self.units.items():
            if isinstance(unit, Systolic):
                self._covered(name, unit, "weight", "input")
                if self.precision.kv is not None:
                    self._covered(name, unit, "kv", "input")
            if isinstance(unit, Vector):
                self._covered(name, unit, "partial_sum")
        return self

    def _covered(self, name: str, unit: Systolic | Vector, *operands: str) -> None:
        """Make sure that a unit has a rate for the formats of `operands`."""
        own = unit.number_format if isinstance(unit, Vector) else None
        try:
            rate_of(unit.rates, *([own] if own else map(self.format_of, operands)))
        except NoRate as error:
            known_last = sorted(operands, key=lambda o: element_of(self.format_of(o)) in unit.rates)
            keys = [("units", name, "number_format")] if own else [("precision", operand) for operand in known_last]
            told = f"unit '{name}' {error}; choose another format, or add its rate to units.{name}.rates"
            raise Clash(told, *keys, ("units", name, "rates")) from None

    @model_validator(mode="after")
    def _operands_have_a_buffer(self) -> Arch:
        for operand in OPERANDS:
            holders = [name for name, buffer in self.buffers.items() if operand in buffer.holds]
            if len(holders) > 1:
                message = f"{operand} is held by more than one buffer: {', '.join(holders)}"
                raise Clash(message, *(("buffers", name, "holds") for name in reversed(holders)))
            if not holders and self.bounded and "array" in self.families and (self.array or operand != "weight"):
                message = f"no buffer holds the {operand} operand; add it to the holds of one"
                about = [("buffers", name, "holds") for name in self.buffers]
                raise Clash(message, ("buffers",), *about, ("memory",), ("memory", "kind"))
        return self

    def __repr__(self) -> str:
        units = ", ".join(f"{name} ({unit.kind})" for name, unit in self.units.items())
        return f"<Arch: {self.name}, {units}, memory {self.memory.kind}, {show_si(self.clock, 'Hz')}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the chip as a table of its parts with the keys that were set of each, and as a picture."""
        parts = {**self.units, **self.buffers, "memory": self.memory, **({"link": self.link} if self.link else {})}
        rows = [(name, getattr(part, "kind", "buffer"), _keys(part)) for name, part in parts.items()]
        rows += [(name, "tier", _keys(tier)) for name, tier in self.tiers.items()]
        about = [(show_si(self.clock, "Hz"), "clock"), (self.technology, "technology")]
        return display.card(self.name, about, display.table(("part", "kind", "set"), rows), display.drawn("chip", self))

    @property
    def families(self) -> set[str]:
        """The families of the units: each runs its layers beside the others."""
        return {unit.family for unit in self.units.values()}

    def unit_for(self, layer: str, operator: str, rows: int | None) -> str:
        """Return the unit that computes a layer whose products have at most `rows` rows (None: it has none).

        The first rule that holds and whose unit can decides, else the first unit that can: arrays and lanes, then
        the others. Empty where no unit can.
        """
        what = "elements" if rows is None else "products"
        able = {name: unit for name, unit in self.units.items() if what in unit.does}
        ruled = (rule.unit for rule in self.assign if rule.unit in able and rule.holds(layer, operator, rows))
        return next(ruled, "") or min(able, key=lambda name: able[name].family != "array", default="")

    @property
    def array(self) -> Systolic | None:
        """The systolic array, where there is one."""
        return next((u for u in self.units.values() if isinstance(u, Systolic)), None)

    @property
    def vector(self) -> Vector | None:
        """The vector unit, where there is one."""
        return next((u for u in self.units.values() if isinstance(u, Vector)), None)

    @property
    def fabric(self) -> Fabric | None:
        """The streaming fabric, where there is one; it holds operands in its own memory blocks."""
        return next((u for u in self.units.values() if isinstance(u, Fabric)), None)

    @property
    def pim(self) -> Pim | None:
        """The banks that multiply, where there are any."""
        return next((u for u in self.units.values() if isinstance(u, Pim)), None)

    @property
    def companion(self) -> Companion | None:
        """The companion of the banks, where there is one."""
        return next((u for u in self.units.values() if isinstance(u, Companion)), None)

    @property
    def peak(self) -> float:
        """Multiply-accumulates of its arrays in a cycle of its clock at most; arrays may have a clock of their own."""
        return float(self.array.pes / self.array.pace(self.clock)) if self.array else 0.0

    @property
    def bounded(self) -> bool:
        """Whether memory has limits at all."""
        return self.memory.bounded

    def unit_name(self, kind: type[Unit]) -> str:
        """Return the name of the unit of `kind`; MissingUnit where there is none."""
        found = next((name for name, u in self.units.items() if isinstance(u, kind)), None)
        if found is None:
            word, there = kind.__name__.lower(), ", ".join(f"{n} ({u.kind})" for n, u in self.units.items())
            raise MissingUnit(Problem(f"arch '{self.name}' has no {word} unit, only {there}; add one of kind: {word}"))
        return found

    def buffer_of(self, operand: str) -> str:
        """Return the name of the buffer that holds `operand`; 'sram' where buffers are left out."""
        return next((name for name, b in self.buffers.items() if operand in b.holds), "sram")

    def format_of(self, operand: str) -> str:
        """Return the number format of weight, input, output, partial_sum, kv, index or routing."""
        name = {"routing": "index"}.get(operand, operand)
        return getattr(self.precision, name) or self.precision.input

    def seen(self, right: str = "weight", result: str = "output") -> Arch:
        """Return the chip as a kernel sees it whose right operand and result are these, in the place of the usual."""
        formats = {"weight": self.format_of(right), "output": self.format_of(result)}
        if formats == {"weight": self.precision.weight, "output": self.precision.output}:
            return self
        return self.model_copy(update={"precision": self.precision.model_copy(update=formats)})

    def brought(self, operand: str, byte_count: int) -> int:
        """Return the bytes that a load of `byte_count` bytes of `operand` brings: whole granules of its buffer."""
        buffer = next((b for b in self.buffers.values() if operand in b.holds), None)
        granule = buffer.granule if buffer else None
        return byte_count if granule is None else -(-byte_count // granule) * granule

    @property
    def mac_rate(self) -> int:
        """Products of an input and a right operand (see `seen`) that a PE of the array does in a cycle."""
        return self._rate(self.array, self.precision.input, self.precision.weight)

    @property
    def lane_format(self) -> str:
        """The number format in which lanes compute."""
        return (self.vector.number_format if self.vector else None) or self.precision.partial_sum

    @property
    def lanes(self) -> int:
        """Lane operations a cycle in the format that lanes compute in; 0 without a vector unit."""
        return self.vector.lanes * self._rate(self.vector, self.lane_format) if self.vector else 0

    def _rate(self, unit: Systolic | Vector | None, *formats: str) -> int:
        try:
            return rate_of(unit.rates, *formats) if unit is not None else 1
        except NoRate as error:
            name = next(n for n, u in self.units.items() if u is unit)
            told = f"unit '{name}' {error}; add a rate"
            raise ConfigError(Problem(told, key=f"units.{name}.rates")) from None

    def bits(self, operand: str) -> float:
        """Return the width of one element of an operand (see `format_of`), its share of a block's scale included."""
        return BITS[self.format_of(operand)]

    def bytes_of(self, operand: str, elements: int) -> int:
        """Return the bytes that `elements` of `operand` take, rounded up to a whole byte."""
        return -(-elements * round(16 * self.bits(operand)) // 128)


def channel(arch: Arch) -> Channel | None:
    """Return the off-chip channel in cycles of the chip's clock; None where memory is ideal."""
    return arch.memory.channel(arch.clock)
