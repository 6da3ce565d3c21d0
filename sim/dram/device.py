"""From a name to a device: find the file, lay it over what it extends, set what is overridden, check."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from sim import library
from sim.dram.checks import problems
from sim.dram.schema import Specification
from sim.errors import ConfigError, Problem, nearest, unknown
from sim.yamlfile import Document, check, dotted, in_order, read

SHORT = {"read_q": "read_queue", "write_q": "write_queue", "wr_hi": "write_high", "wr_lo": "write_low"}
"""Short names of keys, as tables of results have them."""


@dataclass(frozen=True)
class Device:
    """A DRAM device with its controller's policies: what the file says, and what follows from it."""

    spec: Specification

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what it is: devices with the same are the same, whatever file they come from."""
        return hashlib.sha256(self.spec.model_dump_json().encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of the device."""
        return self.spec.name

    @property
    def burst(self) -> int:
        """Bytes of one access."""
        return self.spec.burst

    @property
    def clock_seconds(self) -> float:
        """Seconds of one clock (tCK), in which all times of a controller count."""
        return self.spec.tCK * 1e-12

    @property
    def clock_hertz(self) -> Fraction:
        """Clocks a second."""
        return Fraction(10**12) / Fraction(self.spec.tCK)

    @property
    def channels(self) -> int:
        """Channels side by side."""
        return self.spec.channels

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many values each field of an address has, Channel included."""
        return {"Channel": self.spec.channels, **{str(k): v for k, v in self.spec.organization.items()}}

    @cached_property
    def banks(self) -> int:
        """Banks of one channel."""
        return prod(self.counts[level] for level in self.spec.levels[1:])

    @cached_property
    def ranks(self) -> int:
        """Groups of banks of one channel that refresh together: ranks, or pseudo-channels."""
        scope = self.spec.levels.index(self.spec.commands["REFab"].scope)
        return prod(self.counts[level] for level in self.spec.levels[1 : scope + 1])

    @cached_property
    def capacity(self) -> int:
        """Bytes of all channels."""
        return prod(self.counts.values()) * self.burst

    @cached_property
    def buses(self) -> int:
        """Data buses of one channel: one a pseudo-channel."""
        return self.counts.get("PseudoChannel", 1)

    @cached_property
    def peak_bandwidth(self) -> float:
        """Bytes a second when every data bus of every channel always moves data."""
        per_clock = Fraction(self.burst * self.buses * self.channels, self.timing("BL"))
        return float(per_clock * self.clock_hertz)

    def timing(self, name: str) -> int:
        """Return a timing parameter in clocks."""
        return self.spec.timing[name].cycles

    @cached_property
    def read_latency(self) -> int:
        """Clocks from a read command to its last data."""
        return self.spec.clocks(self.spec.read_latency)

    @cached_property
    def write_latency(self) -> int:
        """Clocks from a write command to its last data."""
        return self.spec.clocks(self.spec.write_latency)


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Device:
    """Return the device called `name` (library or path) with `overrides` by dotted key applied.

    Raises ConfigError with all problems of the file, or of the overrides.
    """
    document = _read(library.find("dram", name), ())
    for key, value in (overrides or {}).items():
        document = document.with_override(_path(document, key), value)
    return build(document)


def build(document: Document) -> Device:
    """Return the Device that `document` describes; ConfigError with all of its problems otherwise."""
    spec, found = check(Specification, document)
    if spec is not None:
        found = [document.problem(path, message, about) for path, message, *about in problems(spec)]
    if spec is None or found:
        raise ConfigError(*in_order(found))
    return Device(spec)


def _read(path: Path, below: tuple[Path, ...]) -> Document:
    document = read(path, library.shown(path))
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise document.error(("extends",), "must name one device file")
    try:
        parent = library.find("dram", base, beside=path.parent)
    except ConfigError as error:
        raise document.error(("extends",), str(error)) from None
    if parent.resolve() in {p.resolve() for p in (*below, path)}:
        chain = " -> ".join(p.stem for p in (*below, path, parent))
        raise document.error(("extends",), f"extends itself: {chain}")
    base_document = _read(parent, (*below, path))
    if "validated" in base_document.data:  # what was validated is that device, not what differs from it
        document.data.setdefault("validated", f"not validated itself; it extends {base}")
    return document.over(base_document)


def _path(document: Document, key: str) -> tuple[str, ...]:
    """Return the path that a dotted `key` means: as it stands, or below `timing` or `organization`."""
    words = tuple(SHORT.get(key, key).split("."))
    rooms = ("timing", "organization")
    if words[0] in rooms and len(words) > 1 and words[1] not in document.data.get(words[0], {}):
        told = unknown(f"{words[0]} parameter", words[1], document.data.get(words[0], {}))
        raise ConfigError(Problem(told, f"--set {key}"))
    if words[0] in Specification.model_fields:
        return words
    for room in rooms:
        if words[0] in document.data.get(room, {}):
            return (room, *words)
    known = [*Specification.model_fields, *document.data.get("timing", {}), *document.data.get("organization", {})]
    guess = nearest(key, known)
    hint = f"; did you mean '{guess}'?" if guess else ""
    message = f"no key '{dotted(words)}' in DRAM device '{document.data.get('name', document.file)}'{hint}"
    raise ConfigError(Problem(message, f"--set {key}"))
