"""What a chip is: clock, units, buffers, memory and links, read from strict YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from sim import library, units
from sim.dataflow import DATAFLOWS
from sim.errors import ConfigError, Problem, TiletickError, nearest, unknown
from sim.kernel import LANE_OPERATIONS
from sim.yamlfile import Document, Path_, Strict, check, dotted, in_order, read

OPERANDS = ("weight", "input", "output")
Operand = Literal["weight", "input", "output"]
Format = Literal["int4", "int8", "int16", "int32", "fp8", "fp16", "bf16", "fp32"]
BITS = {"int4": 4, "int8": 8, "int16": 16, "int32": 32, "fp8": 8, "fp16": 16, "bf16": 16, "fp32": 32}


def _quantity(dimension: str) -> Any:
    note = f"number and unit, as in '{units.EXAMPLES[dimension]}'"
    return WithJsonSchema({"type": "string", "description": note, "examples": [units.EXAMPLES[dimension]]})


def _positive(dimension: str, text: object) -> int:
    if units.parse(dimension, text) <= 0:
        raise ValueError(f"{dimension} '{text}' must be greater than zero")
    return units.parse_whole(dimension, text)


def _seconds(text: object) -> float:
    value = units.parse("time", text)
    if value < 0:
        raise ValueError(f"time '{text}' must not be less than zero")
    return float(value)


def _dataflow(name: str) -> str:
    try:
        return DATAFLOWS.canonical(name)
    except TiletickError as error:
        raise ValueError(str(error)) from None


Count = Annotated[int, Field(gt=0)]
Size = Annotated[int, BeforeValidator(lambda v: _positive("size", v)), _quantity("size")]
Hertz = Annotated[int, BeforeValidator(lambda v: _positive("frequency", v)), _quantity("frequency")]
Bandwidth = Annotated[int, BeforeValidator(lambda v: _positive("bandwidth", v)), _quantity("bandwidth")]
Rate = Annotated[int, BeforeValidator(lambda v: _positive("rate", v)), _quantity("rate")]
Seconds = Annotated[float, BeforeValidator(_seconds), _quantity("time")]
DataflowName = Annotated[str, AfterValidator(_dataflow)]


class Systolic(Strict):
    """A grid of multiply-accumulate PEs, with the micro-architecture knobs that decide its cycles."""

    kind: Literal["systolic"]
    rows: Count = Field(16, description="PEs in a column; K (ws, is) or M (os) lies here")
    cols: Count = Field(16, description="PEs in a row; N (ws, os) or M (is) lies here")
    dataflow: DataflowName = Field("ws", description="what stays in the PEs: ws, os, is or the long names")
    sram_read_latency: int = Field(1, ge=0, description="cycles from an accepted address to the operand")
    output_register: int = Field(1, ge=0, description="registers behind the last PE of a column")
    pe_pipeline: Count = Field(1, description="cycles of one multiply-accumulate; 1 is a single-cycle PE")
    weight_buffers: Literal[1, 2] = Field(1, description="weight registers a PE (ws, is); 2 loads behind compute")
    swap: Literal["wave", "global"] = Field("wave", description="how two weight registers exchange roles")
    drain: Literal["serial", "overlap"] = Field("serial", description="os: folds start behind the drain, or beside it")
    convention: Literal["rtl", "scalesim"] = Field("rtl", description="how cycles of a fold are counted")
    count: Count = Field(1, description="how many such arrays work on a layer together")

    @property
    def pes(self) -> int:
        """Multiply-accumulates a cycle at most, over all arrays."""
        return self.rows * self.cols * self.count


class Vector(Strict):
    """Lanes for what is no contraction: activations, pooling, norms, additions, data movement."""

    kind: Literal["vector"]
    lanes: Count = Field(description="lane operations a cycle")
    latency: int = Field(4, ge=0, description="cycles from an operand to its result")
    cycles_per: dict[str, Count] = Field({}, description="cycles of one lane operation where it is not 1")

    @field_validator("cycles_per")
    @classmethod
    def _operations(cls, cycles: dict[str, int]) -> dict[str, int]:
        for operation in cycles:
            if operation not in LANE_OPERATIONS:
                raise ValueError(unknown("lane operation", operation, LANE_OPERATIONS))
        return cycles


class Buffer(Strict):
    """An on-chip memory, shared by the operands that it holds."""

    capacity: Size
    holds: Annotated[list[Operand], Field(min_length=1)]
    bandwidth: Rate | None = Field(None, description="bytes a cycle through its ports; none: as much as is asked")
    ports: Literal[1, 2] = Field(2, description="read and write one at a time (1), or at once (2)")
    buffering: Literal["single", "double"] = Field("double", description="whether tiles load behind compute")
    keep: Size | None = Field(None, description="part set aside for activations that stay between layers")
    port_width: Size = Field(8, validate_default=False, description="bytes of one access, for its energy")

    @model_validator(mode="after")
    def _fits(self) -> Buffer:
        if self.keep is not None and self.keep >= self.capacity:
            raise ValueError(f"keep ({self.keep} B) must be less than the capacity ({self.capacity} B)")
        return self

    @property
    def tile_capacity(self) -> int:
        """Bytes for tiles: the capacity less what is set aside to keep."""
        return self.capacity - (self.keep or 0)

    @property
    def slots(self) -> int:
        """Tiles of an operand that are there at once: 2 where buffering is double."""
        return 2 if self.buffering == "double" else 1


class Ideal(Strict):
    """No limit anywhere: operands are where they are needed, and every buffer is large enough."""

    kind: Literal["ideal"]


class Simple(Strict):
    """Off-chip memory as bandwidth and latency: one channel, shared by all operands, served in order."""

    kind: Literal["simple"]
    bandwidth: Bandwidth
    latency: Seconds = Field(0.0, validate_default=False, description="from request to first byte, reads")
    burst: Size = Field(64, validate_default=False, description="a transfer occupies whole bursts")
    technology: str = Field("lpddr4", description="the DRAM entry of the energy table")


class Link(Strict):
    """The wires between the arrays of a chip: broadcasts shared operands, reduces partial sums."""

    bandwidth: Rate
    latency: int = Field(1, ge=0, description="cycles from the first byte in to the first byte out")


class Precision(Strict):
    """Number formats of the operands."""

    weight: Format = "int8"
    input: Format = "int8"
    output: Format = "int8"
    partial_sum: Format = "int32"


class Tile(Strict):
    """Sizes of a tile along the rows, columns and reduction of a product; left out: the mapper chooses."""

    m: Count | None = None
    n: Count | None = None
    k: Count | None = None


class MappingChoice(Strict):
    """What the user fixes of a mapping; everything left out is the mapper's to choose."""

    tile: Tile = Tile()
    order: list[Literal["m", "n", "k"]] | None = Field(None, description="tile loops from outermost to innermost")
    resident: list[Operand] | None = Field(None, description="operands that load once and stay for the layer")
    effort: Count = Field(12, description="tile sizes tried a dimension; more are never worse for a layer alone")
    lowering: Literal["auto", "im2col", "direct"] = Field(
        "auto", description="im2col packs channels and taps densely on the array, direct starts a fold at every tap"
    )
    groups: Literal["auto", "serial", "packed"] = Field(
        "auto", description="groups one by one, or as many as fit block-diagonally on the array"
    )
    split: Literal["auto", "m", "n", "k"] = Field("auto", description="what several arrays divide among them")

    @model_validator(mode="after")
    def _permutes(self) -> MappingChoice:
        if self.order is not None and sorted(self.order) != ["k", "m", "n"]:
            raise ValueError(f"order {self.order} must name each of m, n and k once")
        return self


class MappingChoices(MappingChoice):
    """A choice for all layers, and others by layer name (shell patterns; the last that matches wins)."""

    layers: dict[str, MappingChoice] = {}


AnyUnit = Annotated[Systolic | Vector, Field(discriminator="kind")]
AnyMemory = Annotated[
    Annotated[Ideal | Simple, Field(discriminator="kind")],
    BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v),
]


class Arch(Strict):
    """A chip. Every key is documented in its JSON Schema (`tiletick show --schema`)."""

    name: str
    description: str = ""
    source: str = Field("", description="where the figures come from")
    clock: Hertz
    technology: str = Field("45nm", description="energy table, by name or path")
    precision: Precision = Precision()
    units: Annotated[dict[str, AnyUnit], Field(min_length=1)]
    buffers: dict[str, Buffer] = {}
    memory: AnyMemory
    link: Link | None = None
    prefetch: bool = Field(True, description="load the next layer's weights behind the current layer")
    mapping: MappingChoices = MappingChoices()

    @model_validator(mode="after")
    def _whole(self) -> Arch:
        for kind in (Systolic, Vector):
            found = [name for name, unit in self.units.items() if isinstance(unit, kind)]
            if len(found) > 1:
                raise ValueError(f"more than one {kind.__name__.lower()} unit ({', '.join(found)}); use count")
        names = [*self.units, *self.buffers]
        taken = sorted(name for name in set(names) if names.count(name) > 1 or name in ("dram", "link"))
        if taken:
            raise ValueError(f"units and buffers need names of their own; {', '.join(taken)} is taken")
        array = self.array
        if array and array.count > 1 and self.link is None:
            raise ValueError(f"{array.count} arrays need a link between them; add link: {{bandwidth: 64 B/cycle}}")
        for operand in OPERANDS:
            holders = [name for name, buffer in self.buffers.items() if operand in buffer.holds]
            if len(holders) > 1:
                raise ValueError(f"{operand} is held by more than one buffer: {', '.join(holders)}")
            if not holders and isinstance(self.memory, Simple) and (array or operand != "weight"):
                raise ValueError(f"no buffer holds the {operand} operand; add it to the holds of one")
        return self

    @property
    def array(self) -> Systolic | None:
        """The systolic array, where there is one."""
        return next((u for u in self.units.values() if isinstance(u, Systolic)), None)

    @property
    def vector(self) -> Vector | None:
        """The vector unit, where there is one."""
        return next((u for u in self.units.values() if isinstance(u, Vector)), None)

    @property
    def bounded(self) -> bool:
        """Whether memory has limits at all."""
        return not isinstance(self.memory, Ideal)

    def unit_name(self, kind: type[Systolic] | type[Vector]) -> str:
        """Return the name of the unit of `kind`; ConfigError where there is none."""
        found = next((name for name, u in self.units.items() if isinstance(u, kind)), None)
        if found is None:
            word, there = kind.__name__.lower(), ", ".join(f"{n} ({u.kind})" for n, u in self.units.items())
            raise ConfigError(Problem(f"arch '{self.name}' has no {word} unit; it has: {there}", key="units"))
        return found

    def buffer_of(self, operand: str) -> str:
        """Return the name of the buffer that holds `operand`; 'sram' where buffers are left out."""
        return next((name for name, b in self.buffers.items() if operand in b.holds), "sram")

    def bits(self, operand: str) -> int:
        """Return the width of one element: of weight, input, output or partial_sum."""
        return BITS[getattr(self.precision, operand)]

    def bytes_of(self, operand: str, elements: int) -> int:
        """Return the bytes that `elements` of `operand` take, rounded up to a whole byte."""
        return -(-elements * self.bits(operand) // 8)


@dataclass(frozen=True)
class Channel:
    """The off-chip channel in cycles: whole bursts, at the rate that clock and bandwidth give."""

    cycles_per_burst: Fraction
    burst: int
    latency: int

    def cycles(self, byte_count: int) -> int:
        """Return the cycles for which a transfer of `byte_count` bytes occupies the channel."""
        return ceil(-(-byte_count // self.burst) * self.cycles_per_burst)


def channel(arch: Arch) -> Channel | None:
    """Return the off-chip channel in cycles of the chip's clock; None where memory is ideal."""
    memory = arch.memory
    if not isinstance(memory, Simple):
        return None
    per_burst = Fraction(memory.burst * arch.clock, memory.bandwidth)
    return Channel(per_burst, memory.burst, ceil(Fraction(memory.latency).limit_denominator(10**15) * arch.clock))


def read_arch(name: str) -> Document:
    """Return the document of the arch called `name`, laid over all that it extends."""
    return _read(library.find("arch", name), ())


def _read(path: Path, below: tuple[Path, ...]) -> Document:
    document = read(path, library.shown(path))
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise document.error(("extends",), "must name one arch file")
    try:
        parent = library.find("arch", base, beside=path.parent)
    except ConfigError as error:
        raise document.error(("extends",), str(error)) from None
    if parent.resolve() in {p.resolve() for p in (*below, path)}:
        chain = " -> ".join(p.stem for p in (*below, path, parent))
        raise document.error(("extends",), f"extends itself: {chain}")
    return document.over(_read(parent, (*below, path)))


def build(document: Document) -> Arch:
    """Return the Arch that `document` describes; ConfigError with all of its problems otherwise."""
    arch, problems = check(Arch, document)
    if arch is None:
        raise ConfigError(*in_order(problems))
    return arch


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Arch:
    """Return the arch called `name` (library or path) with `overrides` by dotted key applied."""
    return build(override(read_arch(name), overrides or {}))


def override(document: Document, overrides: Mapping[str, Any]) -> Document:
    """Return `document` with `overrides` by dotted key; ConfigError where no key is meant, or more than one.

    Keys mean what they mean in `document`, in whatever order they are set: on the way from one valid chip to
    another there may be chips that are not.
    """
    changed = document
    for key, value in overrides.items():
        changed = changed.with_override(_one(changed if resolve(changed, key) else document, key), value)
    return changed


def _one(document: Document, key: str) -> tuple[str, ...]:
    found = resolve(document, key)
    if len(found) == 1:
        return found[0]
    place = f"--set {key}"
    if found:
        raise ConfigError(Problem(f"'{key}' could be {' or '.join(map(dotted, found))}; write it out", place))
    guess = nearest(key.removeprefix("arch."), keys(document))
    hint = f"; did you mean '{guess}'?" if guess else ""
    raise ConfigError(Problem(f"no key '{key}' in arch '{document.data.get('name', document.file)}'{hint}", place))


def keys(document: Document) -> list[str]:
    """Return every key that the chip has, as a whole path and as its last word."""
    paths = _paths(document)
    return sorted({dotted(path) for path in paths} | {path[-1] for path in paths})


def resolve(document: Document, key: str) -> list[tuple[str, ...]]:
    """Return the paths that a dotted `key` may mean: the whole path, else every path that ends in it."""
    wanted = tuple(key.removeprefix("arch.").split("."))
    paths = _paths(document)
    if wanted in paths:
        return [wanted]
    if wanted[0] in Arch.model_fields:
        return [wanted]  # may be new (link, buffers.l2.capacity); the schema judges it
    return sorted(path for path in paths if path[-len(wanted) :] == wanted)


def _paths(document: Document) -> set[tuple[str, ...]]:
    """Return every key path that the chip has, defaults spelled out."""
    arch, _ = check(Arch, document)
    data = arch.model_dump() if arch is not None else document.data
    return set(_walk(data, ()))


def _walk(data: Mapping[str, Any], prefix: Path_) -> list[tuple[str, ...]]:
    paths: list[tuple[str, ...]] = []
    for key, value in data.items():
        path = (*(str(p) for p in prefix), key)
        paths.append(path)
        if isinstance(value, dict):
            paths += _walk(value, path)
    return paths
