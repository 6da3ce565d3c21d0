"""Graph files: params, units by kind, channels, ports; with overrides, to a Graph that has passed every check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from sim import library, units
from sim.dram.device import Device
from sim.dram.device import load as open_device
from sim.errors import ConfigError, Problem, TiletickError, unknown
from sim.streaming import checks
from sim.streaming.graph import Channel, Graph, Port, Unit
from sim.streaming.kinds import UNITS
from sim.streaming.settings import overridden, resolved
from sim.yamlfile import SETTING, Document, Path_, Strict, check, in_order, read

UNBOUNDED = "unbounded"
HLS_MEMORY = 2
"""Cycles from write to read of a FIFO that Vitis HLS builds as a memory."""
MOST_WAIT = 2**31
"""Cycles from one end of a channel to the other, or of a port, that a file may ask for."""


class ChannelFile(Strict):
    """A channel as its file says it.

    `preset` is how the FIFO is built: `default` is ready to be read the cycle after the write and to be written the
    cycle after the read; `hls` needs two cycles from write to read where it is deeper than a shift register
    (LightningSim, Sarkar and Hao, FCCM 2023: FIFOs of Vitis HLS). `send` and `credit` say it in cycles.
    """

    depth: int | str = Field(2, description="tokens it holds, or 'unbounded'")
    bits: int = Field(32, ge=1, description="width of a token")
    initial: int = Field(0, ge=0, description="tokens in it at cycle 0")
    preset: Literal["default", "hls"] = "default"
    send: int | None = Field(None, ge=1, le=MOST_WAIT, description="cycles from a push to the earliest pop")
    credit: int | None = Field(None, ge=0, le=MOST_WAIT, description="cycles from a pop to the next use of the slot")

    @field_validator("depth", mode="before")
    @classmethod
    def _depth(cls, written: object) -> object:
        if written != UNBOUNDED and (isinstance(written, bool) or not isinstance(written, int)):
            raise ValueError(f"expected a number of tokens or '{UNBOUNDED}', not {written!r}")
        return written

    def build(self, name: str) -> Channel:
        """Return the channel."""
        depth = None if isinstance(self.depth, str) else self.depth
        credit = 1 if self.credit is None else self.credit
        deep_send = HLS_MEMORY if self.preset == "hls" and self.send is None else None
        return Channel(name, depth, self.bits, self.initial, self.send or 1, credit, deep_send)


class PortFile(Strict):
    """A memory port as its file says it; the defaults are those of AXI in Vitis HLS, as LightningSim models it."""

    read_latency: int = Field(12, ge=1, le=MOST_WAIT, description="cycles from a request to its first beat")
    write_latency: int = Field(7, ge=1, le=MOST_WAIT, description="the same of a write")
    outstanding: int = Field(16, ge=1, description="bursts of one unit requested and not over")
    memory: str | None = Field(None, description="DRAM behind it: one of `memories`, or a device; left out: none")
    technology: str = Field("lpddr4", description="the DRAM entry of the energy table, without `memory`")

    def build(self, name: str) -> Port:
        """Return the port."""
        return Port(name, self.read_latency, self.write_latency, self.outstanding, self.memory, self.technology)


class GraphFile(Strict):
    """A graph's file; any value may be an expression of `params`. `channel` holds the defaults of all channels.

    An entry of `memories` names its `device` and any key of the device that it changes. Ports that name the same
    memory share its controllers; a port may name a device as it is in the library.
    """

    name: str = Field(description="what the graph is called; ends with the name of its file")
    title: str = Field("", description="what it is, in a line")
    source: str = Field("", description="where it comes from")
    clock: str = Field("1 GHz", description="clock of all units")
    technology: str = Field("45nm", description="energy table, by name or path")
    params: dict[str, Any] = Field({}, description="whole numbers by name; one may be an expression of those before it")
    units: dict[str, dict[str, Any]] = Field(min_length=1, description="units by name, each with its kind")
    channel: dict[str, Any] = Field({}, description="what all channels have that do not say otherwise")
    channels: dict[str, dict[str, Any]] = Field({}, description="channels by name, where they differ")
    ports: dict[str, dict[str, Any]] = Field({}, description="memory ports by name")
    memories: dict[str, dict[str, Any]] = Field({}, description="DRAM devices behind ports, by name")

    @field_validator("clock")
    @classmethod
    def _frequency(cls, written: str, info: ValidationInfo) -> str:
        if units.parse_whole("frequency", written) <= 0:
            raise ValueError(f"frequency '{written}' must be greater than zero")
        return written


def load(name_or_path: str, overrides: Mapping[str, object] = {}) -> Graph:
    """Return the Graph in a file, found by name in the library or by path.

    `overrides` sets a param (`n`), or a key of a unit, channel or port (`units.sum.latency`, `channels.b.depth`).
    Raises ConfigError with every problem of the file, in order.
    """
    path = library.find("graph", name_or_path)
    return build(read(path, library.shown(path)), overrides, path)


def build(document: Document, overrides: Mapping[str, object] = {}, path: Path | None = None) -> Graph:
    """Return the Graph that a document describes; ConfigError with every problem of it, in order."""
    file, problems = check(GraphFile, document)
    if file is None:
        raise ConfigError(*in_order(problems))
    if path is not None and file.name.rpartition("/")[2] != path.stem:
        problems.append(document.problem(("name",), f"must end with the name of its file, '{path.stem}'"))
    document = overridden(document, overrides, problems)
    file, again = check(GraphFile, document)
    if file is None:
        raise ConfigError(*in_order(again))
    try:
        library.find("energy", document.data.get("technology", file.technology))
    except TiletickError as error:
        problems.append(document.problem(("technology",), str(error)))
    document = resolved(document, problems)
    if problems:
        raise ConfigError(*_told_once(problems))
    built = _units(document, problems)
    channels = _channels(document, built, problems)
    ports = _parts(PortFile, document, "ports", problems)
    memories = _memories(document, ports, problems)
    if problems:
        raise ConfigError(*_told_once(problems))
    graph = Graph(file.name, built, channels, ports, file.title, document.digest(),
                  units.parse_whole("frequency", file.clock), memories, file.technology,
                  document.data["params"])  # fmt: skip
    faults = checks.faults(graph)
    if faults:
        told = [document.problem(_place(document, fault), fault.message, _about(document, graph, fault))
                for fault in faults]  # fmt: skip
        raise ConfigError(*_told_once(list(dict.fromkeys(told))))
    return graph


def _told_once(problems: list[Problem]) -> list[Problem]:
    """Return the problems in order; of those that one setting is behind, the first: the others follow from it."""
    settings = set[str]()
    kept = list[Problem]()
    for problem in in_order(problems):
        if problem.file not in settings:
            kept.append(problem)
        if problem.file.startswith(SETTING):
            settings.add(problem.file)
    return kept


def _about(document: Document, graph: Graph, fault: checks.Fault) -> list[Path_]:
    """Return the keys of a fault's unit or channel, and of the units at the ends of a channel."""
    parts = {(fault.part, fault.name)}
    if fault.part == "channels":
        parts |= {("units", ends[fault.name]) for ends in (graph.producer, graph.consumer) if fault.name in ends}
    return [path for path in document.places if path[:2] in parts]


def _place(document: Document, fault: checks.Fault) -> Path_:
    """Return where a fault stands: a channel without a key of its own has it from the defaults."""
    own = fault.key in document.data.get("channels", {}).get(fault.name, {})
    inherited = fault.part == "channels" and not own and fault.key in document.data.get("channel", {})
    return ("channel", fault.key) if inherited else fault.place


def _units(document: Document, problems: list[Problem]) -> dict[str, Unit]:
    built: dict[str, Unit] = {}
    for name, data in document.data["units"].items():
        path = ("units", name)
        if "kind" not in data:
            problems.append(document.problem(path, "missing key 'kind'"))
            continue
        try:
            model = UNITS[data["kind"]]
        except TiletickError as error:
            problems.append(document.problem((*path, "kind"), str(error)))
            continue
        unit, found = check(model, document, path)
        problems += found
        if unit is not None:
            try:
                built[name] = unit.build(name)
            except ValueError as error:
                problems.append(document.problem(path, str(error), [p for p in document.places if p[:2] == path]))
    return built


def _channels(document: Document, built: Mapping[str, Unit], problems: list[Problem]) -> dict[str, Channel]:
    """Return the channels that units name, in the order in which they push into them, then those of the file."""
    named = [channel for unit in built.values() for channel in unit.channels("push")]
    named += [channel for unit in built.values() for channel in unit.channels("pop", "read")]
    written = document.data.get("channels", {})
    defaults = document.data.get("channel", {})
    problems += check(ChannelFile, document, ("channel",))[1] if defaults else []
    if problems:
        return {}
    for name in written:
        if name not in named:
            own = [("channels", name, key) for key in written[name]]
            problems.append(document.problem(("channels", name), unknown("channel", name, dict.fromkeys(named)), own))
    laid = {name: {**defaults, **written.get(name, {})} for name in dict.fromkeys(named)}
    whole = Document(document.file, {**document.data, "channels": laid}, document.places)
    return _parts(ChannelFile, whole, "channels", problems)


def _memories(document: Document, ports: Mapping[str, Port], problems: list[Problem]) -> dict[str, Device]:
    """Return the DRAM behind the ports: those of the file, and devices that ports name."""
    written = document.data.get("memories", {})
    found = dict[str, Device]()
    for name, keys in written.items():
        changes = dict(keys)
        device = changes.pop("device", None)
        if not isinstance(device, str):
            problems.append(document.problem(("memories", name), "missing key 'device', the name of a DRAM device"))
            continue
        _open(document, ("memories", name), (name, device, _flat(changes)), found, problems)
    for port in ports.values():
        if port.memory is not None and port.memory not in written and port.memory not in found:
            _open(document, ("ports", port.name, "memory"), (port.memory, port.memory, {}), found, problems)
    return found


def _open(document: Document, path: Path_, entry: tuple[str, str, Mapping[str, Any]], found: dict[str, Device],
          problems: list[Problem]) -> None:  # fmt: skip
    """Put the device of an entry (name, device, changes) into `found`; what is wrong with it goes to `problems`."""
    name, device, changes = entry
    try:
        found[name] = open_device(device, changes)
    except ConfigError as error:
        for problem in error.problems:
            key = (problem.file or "").removeprefix(SETTING)
            own = key in changes
            text = problem.message if own or not problem.file else str(problem)
            problems.append(document.problem((*path, *key.split(".")) if own else path, text))


def _flat(keys: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested keys as dotted ones."""
    found: dict[str, Any] = {}
    for key, value in keys.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def _parts(model: Any, document: Document, part: str, problems: list[Problem]) -> dict[str, Any]:
    """Return every entry of a part of the file, built; what is wrong with them goes to `problems`."""
    return dict(_built(model, document, part, problems))


def _built(model: Any, document: Document, part: str, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    for name in document.data.get(part, {}):
        entry, found = check(model, document, (part, name))
        problems += found
        if entry is not None:
            yield name, entry.build(name)
