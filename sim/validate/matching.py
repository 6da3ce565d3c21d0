"""Which measurement is which layer: by name, by order, or as a file says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from sim.errors import ConfigError, Problem, unknown
from sim.validate.measured import TOTAL, Measured, Measurements
from sim.yamlfile import Document, Strict, check, read

RULES = ("auto", "name", "order")


class MatchFile(Strict):
    """A mapping file: a measured name to the layers that it covers; the names of measurements to pass over."""

    layers: dict[str, str | list[str]] = Field({}, description="each measured name to the layer, or layers, it covers")
    ignore: list[str] = Field([], description="measured names to pass over")


@dataclass
class Match:
    """Pairs of a measurement and the layers it covers, in order; what is left over on both sides; how it was done."""

    how: str
    pairs: list[tuple[Measured, tuple[str, ...]]] = field(default_factory=list)
    total: Measured | None = None
    unmatched: list[str] = field(default_factory=list)
    not_measured: list[str] = field(default_factory=list)


def match(measurements: Measurements, layers: Sequence[str], rule: str = "auto") -> Match:
    """Return which measurement is which of the `layers`.

    `rule` is one of RULES or the path of a mapping file. `auto` goes by name; where no name fits, by order if there
    are as many, and a single measurement is then the total. ConfigError where nothing matches.
    """
    if rule in RULES:
        found = _by_order(measurements, layers) if rule == "order" else _by_name(measurements.rows, layers)
        if rule == "auto" and not found.pairs and found.total is None:
            found = _otherwise(measurements, layers) or found
    elif Path(rule).suffix in (".yaml", ".yml"):
        found = _by_file(measurements, layers, rule)
    else:
        raise ConfigError(Problem(unknown("matching", rule, RULES) + " (or give the path of a YAML file)", "--match"))
    if not found.pairs and found.total is None:
        names = ", ".join(row.name for row in measurements.rows[:8])
        raise ConfigError(
            Problem(
                f"no measurement matches a layer: it has {names}; the network has {', '.join(layers[:8])}; use "
                "--match order, or --match FILE.yaml that holds layers: {measured: layer}", measurements.file,
            )
        )  # fmt: skip
    covered = {layer for _, names in found.pairs for layer in names}
    found.not_measured = [layer for layer in layers if layer not in covered]
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _by_name(rows: Sequence[Measured], layers: Sequence[str]) -> Match:
    """Match equal names, else names equal but for case and punctuation where only one is."""
    found = Match("by name")
    spelled: dict[str, list[str]] = {}
    for layer in layers:
        spelled.setdefault(_plain(layer), []).append(layer)
    taken = {row.name for row in rows if row.name in layers}
    for row in rows:
        alike = [layer for layer in spelled.get(_plain(row.name), []) if layer not in taken]
        if row.name in layers:
            found.pairs.append((row, (row.name,)))
        elif len(alike) == 1:
            taken.add(alike[0])
            found.pairs.append((row, (alike[0],)))
        elif row.name.lower() == TOTAL:
            found.total = row
        else:
            found.unmatched.append(row.name)
    return found


def _by_order(measurements: Measurements, layers: Sequence[str]) -> Match:
    rows = [row for row in measurements.rows if row.name.lower() != TOTAL or row.name in layers]
    if len(rows) != len(layers):
        raise ConfigError(
            Problem(
                f"{len(rows)} measurements and {len(layers)} layers cannot be matched by order; pick layers with "
                "--layers, or use --match FILE.yaml", measurements.file,
            )
        )  # fmt: skip
    found = Match("by order")
    found.pairs = [(row, (layer,)) for row, layer in zip(rows, layers, strict=True)]
    found.total = next((row for row in measurements.rows if row not in rows), None)
    return found


def _otherwise(measurements: Measurements, layers: Sequence[str]) -> Match | None:
    """Return the match by order where the counts allow it, or the total where there is but one measurement."""
    if len(measurements.rows) == len(layers):
        return _by_order(measurements, layers)
    if len(measurements.rows) == 1:
        return Match("as the whole network", total=measurements.rows[0])
    return None


def _by_file(measurements: Measurements, layers: Sequence[str], path: str) -> Match:
    document = read(Path(path))
    chosen, problems = check(MatchFile, document)
    if chosen is None:
        raise ConfigError(*problems)
    wrong = _wrong_names(document, chosen, measurements, layers)
    if wrong:
        raise ConfigError(*wrong)
    rest = [row for row in measurements.rows if row.name not in chosen.layers and row.name not in chosen.ignore]
    found = _by_name(rest, layers)
    found.how = f"by {path}"
    for row in measurements.rows:
        if row.name in chosen.layers:
            names = chosen.layers[row.name]
            found.pairs.append((row, (names,) if isinstance(names, str) else tuple(names)))
    places = {row: index for index, row in enumerate(measurements.rows)}
    found.pairs.sort(key=lambda pair: places[pair[0]])
    return found


def _wrong_names(
    document: Document, chosen: MatchFile, measurements: Measurements, layers: Sequence[str]
) -> list[Problem]:
    """Return a problem for each name of the file that nothing bears, and each layer that is covered twice."""
    measured = [row.name for row in measurements.rows]
    problems = [
        document.problem(("layers", name), unknown("measurement", name, measured))
        for name in chosen.layers
        if name not in measured
    ]
    problems += [
        document.problem(("ignore",), unknown("measurement", n, measured)) for n in chosen.ignore if n not in measured
    ]
    seen: set[str] = set()
    for name, covered in chosen.layers.items():
        for layer in [covered] if isinstance(covered, str) else covered:
            if layer not in layers:
                problems.append(document.problem(("layers", name), unknown("layer", layer, layers)))
            elif layer in seen:
                problems.append(document.problem(("layers", name), f"layer '{layer}' is covered twice"))
            seen.add(layer)
    return problems
