"""SCALE-Sim configurations: an INI file of array, buffers and bandwidth, to an architecture.

Source: scalesim/scale_config.py, single_layer_sim.py and compute/ of scalesim 2.0.2 and 3.0.0. Its reader
goes on with an unknown dataflow and simulates output stationary; here that is an error.
"""

from __future__ import annotations

import configparser as ini_file
import re
from pathlib import Path
from typing import Any

from sim.errors import ConfigError, Problem, nearest, unknown
from sim.importers.document import Imported, read_text

CONVENTIONS = (
    "SCALE-Sim counts K + R + C - 2 cycles a fold (output stationary) or 2R + C + T - 2 (weight and input "
    "stationary, T the streamed length), one fold after the other; convention: scalesim does the same.",
    "The 'Total Cycles' that SCALE-Sim reports are the sum over the folds minus 1; cycles here are the sum.",
    "SCALE-Sim adds the rows and columns of each output-stationary fold to its SRAM output writes, on top of the "
    "outputs; here each output is written once.",
    "SCALE-Sim has no clock, and a word in it is one byte: 1 GHz is assumed, and int8 for every operand.",
)
"""Where a configuration, or a report that SCALE-Sim makes with it, means other than the field would read it."""

_PRESETS, _RUN = "architecture_presets", "run_presets"
_FIRST = ("network_presets", "TopologyCsvLoc")
"""Stands in files of the first commits of SCALE-Sim 1 only; those without a Dataflow had output stationary alone."""
_BUFFERS = {"input": "Ifmap", "weight": "Filter", "output": "Ofmap"}
_DATAFLOWS = ("os", "ws", "is")
_CLOCK, _WORD_A_CYCLE = "1 GHz", "GB/s"  # a word is a byte, so one a cycle are 10^9 bytes a second
_KNOWN = {
    "run_name", "arrayheight", "arraywidth", "ifmapsramszkb", "filtersramszkb", "ofmapsramszkb", "ifmapsramsz",
    "filtersramsz", "ofmapsramsz", "ifmapoffset", "filteroffset", "ofmapoffset", "bandwidth", "dataflow",
    "memorybanks", "readrequestbuffer", "writerequestbuffer", "onchipmemorybanks", "onchipmemorybankports",
    "ifmapcustomlayout", "filtercustomlayout", "ifmapsrambankbandwidth", "ifmapsrambanknum",
    "ifmapsrambankport", "filtersrambankbandwidth", "filtersrambanknum", "filtersrambankport",
    "sparsitysupport", "sparserep", "optimizedmapping", "blocksize", "randomnumbergeneratorseed",
    "interfacebandwidth", "useramulatortrace", "topologycsvloc",
}  # fmt: skip
"""Keys of some version, in small letters: none of them is another one misspelt."""


def read_config(path: Path, name: str = "") -> Imported:
    """Return the configuration in `path` as an architecture called `name` (the file's stem where left out).

    The buffers are double, one an operand. Bandwidth (words a cycle) becomes one shared channel where
    InterfaceBandwidth is USER; with CALC memory is ideal. Raises ConfigError with every problem of the file.
    """
    ini = _Ini(str(path), read_text(path))
    run_name = (ini.take("general", "run_name") or path.stem).strip("'\"")
    dataflow, early = _dataflow(ini)
    array = {
        "kind": "systolic",
        "rows": ini.count("ArrayHeight"),
        "cols": ini.count("ArrayWidth"),
        "dataflow": dataflow,
        "convention": "scalesim",
    }
    buffers = {operand: _buffer(ini, operand, prefix) for operand, prefix in _BUFFERS.items()}
    memory, remarks = _memory(ini)
    if ini.problems:
        raise ConfigError(*sorted(ini.problems, key=lambda problem: problem.line or 0))
    data = {
        "name": name or path.stem,
        "description": f"SCALE-Sim configuration {run_name}",
        "source": f"SCALE-Sim configuration file {path.name}",
        "clock": _CLOCK,
        "precision": dict.fromkeys(("weight", "input", "output", "partial_sum"), "int8"),
        "units": {"array": array},
        "buffers": buffers,
        "memory": memory,
        "prefetch": False,
        "mapping": {"groups": "serial", "lowering": "im2col"},
    }
    left = ini.left()
    notes = (*CONVENTIONS, *early, *remarks, *_sparse(ini), *left)
    return Imported(data, notes, {"keys": len(ini.places), "not_modelled": len(ini.places) - len(ini.taken)})


def _dataflow(ini: _Ini) -> tuple[str, list[str]]:
    """Return the dataflow, and what must be said of it."""
    if ini.has(*_FIRST) and not ini.has(_PRESETS, "Dataflow") and not ini.guess("Dataflow"):
        return "os", ["No Dataflow, as in the first commits of SCALE-Sim: output stationary, the only one they had."]
    return ini.choice(_PRESETS, "Dataflow", _DATAFLOWS), []


def _buffer(ini: _Ini, operand: str, prefix: str) -> dict[str, Any]:
    # Version 1 calls the key IfmapSramSz; kB are 1024 bytes in every version (single_layer_sim.py).
    key = f"{prefix}SramSz" if ini.has(_PRESETS, f"{prefix}SramSz") else f"{prefix}SramSzkB"
    return {"capacity": f"{ini.count(key)} KiB", "holds": [operand], "buffering": "double"}


def _memory(ini: _Ini) -> tuple[Any, list[str]]:
    """Return the off-chip memory, and what it leaves out."""
    if not ini.has(_RUN, "InterfaceBandwidth"):
        return "ideal", ["No InterfaceBandwidth, as in version 1 of SCALE-Sim: memory is ideal."]
    if ini.choice(_RUN, "InterfaceBandwidth", ("CALC", "USER")) == "CALC":
        why = "SCALE-Sim works out the bandwidth at which nothing stalls; memory is ideal, and Bandwidth is unused"
        return "ideal", [f"InterfaceBandwidth CALC: {why}."]
    words = ini.count("Bandwidth", first=True)
    # A line of `Bandwidth` words is fetched a cycle, the last one even if not full (memory/read_buffer.py).
    memory = {"kind": "simple", "bandwidth": f"{words} {_WORD_A_CYCLE}", "latency": "0 s", "burst": f"{words} B"}
    return memory, [
        "InterfaceBandwidth USER: one channel of the first Bandwidth, shared by all operands. SCALE-Sim has a channel "
        "for each operand: in version 2 each of this Bandwidth, in version 3 that of inputs and weights is "
        "IfmapSRAMBankBandwidth and FilterSRAMBankBandwidth."
    ]


def _sparse(ini: _Ini) -> list[str]:
    asked = any(ini.value(section, "SparsitySupport").lower() == "true" for section in ("sparsity", _PRESETS))
    return ["SparsitySupport is on, and sparsity is not modelled: everything runs dense."] if asked else []


class _Ini:
    """The keys of an INI file with their places. What is taken out of it is marked; the rest is `left`."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._parser = _parse(file, text)
        self.places = _places(text, self._parser)
        self.taken: set[tuple[str, str]] = set()

    def has(self, section: str, key: str) -> bool:
        """Return whether the file has `key`, in any case of letters, under `section`."""
        return self._parser.has_option(section, key)

    def value(self, section: str, key: str) -> str:
        """Return the value of `key` under `section`, '' where there is none."""
        return self._parser.get(section, key, fallback="")

    def take(self, section: str, key: str) -> str:
        """Return the value of `key` under `section` and mark it as modelled."""
        if self.has(section, key):
            self.taken.add((section, key.lower()))
        return self.value(section, key)

    def _wrong(self, section: str, key: str, message: str) -> None:
        line, _ = self.places.get((section, key.lower()), (None, ""))
        self.problems.append(Problem(message, self.file, line, f"{section}.{key}"))

    def _needed(self, section: str, key: str) -> str | None:
        if self.has(section, key):
            return self.take(section, key)
        guess = self.guess(key)
        hint = f"; is it the '{guess[0]}' on line {guess[1]}?" if guess else ""
        self._wrong(section, key, f"missing key '{key}'{hint}")
        return None

    def guess(self, key: str) -> tuple[str, int] | None:
        """Return the key that no version knows and that is most like `key`, with its line; None where none is."""
        strange = {written: line for (_, known), (line, written) in self.places.items() if known not in _KNOWN}
        found = nearest(key, strange)
        return (found, strange[found]) if found else None

    def count(self, key: str, first: bool = False) -> int:
        """Return the positive integer at an architecture preset (the first of a list); a problem and 1 otherwise."""
        text = self._needed(_PRESETS, key)
        number = (text or "").split(",")[0].strip() if first else text
        if number is not None and re.fullmatch(r"[0-9]+", number) and int(number) > 0:
            return int(number)
        if text is not None:
            self._wrong(_PRESETS, key, f"expected a positive integer, not '{text}'")
        return 1

    def choice(self, section: str, key: str, choices: tuple[str, ...]) -> str:
        """Return the one of `choices` at `key`; a problem and the first of them otherwise."""
        text = self._needed(section, key)
        if text is not None and text not in choices:
            self._wrong(section, key, unknown("value", text, choices))
        return text if text in choices else choices[0]

    def left(self) -> list[str]:
        """Return the keys that nothing was made of, a line a section."""
        notes: dict[str, list[str]] = {}
        for (section, key), (_, written) in self.places.items():
            if (section, key) not in self.taken:
                notes.setdefault(section, []).append(f"{written} = {self.value(section, key)}")
        return [f"Not modelled, of [{section}]: {', '.join(keys)}." for section, keys in notes.items()]


def _parse(file: str, text: str) -> ini_file.ConfigParser:
    """Return the parsed file; ConfigError where it is no INI file or repeats a key."""
    parser = ini_file.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except ini_file.MissingSectionHeaderError as error:
        message = "stands under no section; a SCALE-Sim configuration begins with [general]"
        raise ConfigError(Problem(message, file, error.lineno)) from None
    except ini_file.DuplicateOptionError as error:
        raise ConfigError(Problem(f"duplicate key '{error.option}'", file, error.lineno, error.section)) from None
    except ini_file.DuplicateSectionError as error:
        raise ConfigError(Problem(f"duplicate section [{error.section}]", file, error.lineno)) from None
    except ini_file.ParsingError as error:
        wrong = [Problem("expected 'Key: value'", file, line) for line, _ in error.errors]
        raise ConfigError(*wrong) from None
    except ini_file.Error as error:
        raise ConfigError(Problem(f"is not a SCALE-Sim configuration: {error}", file)) from None
    if not parser.has_section(_PRESETS):
        found = ", ".join(f"[{section}]" for section in parser.sections())
        raise ConfigError(Problem(f"has no section [{_PRESETS}], only {found or 'comments'}", file))
    return parser


def _places(text: str, parser: ini_file.ConfigParser) -> dict[tuple[str, str], tuple[int, str]]:
    """Return the line of each (section, key in small letters), and the key as it is written there."""
    places: dict[tuple[str, str], tuple[int, str]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\[([^]]+)\]", line.strip())
        section = header[1] if header else section
        key = re.split(r"[:=]", line, maxsplit=1)[0].strip()
        if not header and parser.has_option(section, key):
            places[section, key.lower()] = (number, key)
    return places
