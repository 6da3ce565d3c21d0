"""A sweep as it stands in its file: strict YAML, every mistake told with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sim import library
from sim.errors import ConfigError, Problem
from sim.yamlfile import Document, Strict, check, in_order, read

Scalar = str | int | float | bool | list[str]


class Range(Strict):
    """Values from one end to the other, both included: `count` of them, or one every `step` (log: `factor`)."""

    range: list[Any] | None = Field(None, min_length=2, max_length=2, description="first and last value")
    log: list[Any] | None = Field(None, min_length=2, max_length=2, description="the same, in equal ratios")
    step: Any = Field(None, description="distance of neighbours of a range")
    factor: Annotated[float, Field(gt=1)] | None = Field(None, description="ratio of neighbours of a log range")
    count: Annotated[int, Field(gt=0)] | None = Field(None, description="how many values")
    random: bool = Field(False, description="`count` values at random between the ends")
    seed: int = Field(0, description="of the random values")

    @model_validator(mode="after")
    def _one_form(self) -> Range:
        if (self.range is None) == (self.log is None):
            raise ValueError("needs either 'range: [first, last]' or 'log: [first, last]'")
        steps = [name for name in ("step", "factor", "count") if getattr(self, name) is not None]
        if len(steps) > 1:
            raise ValueError(f"{' and '.join(steps)} contradict each other; give one of them")
        if (self.step is not None and self.log) or (self.factor is not None and self.range):
            raise ValueError("'step' goes with 'range', 'factor' with 'log'")
        if self.random and self.count is None:
            raise ValueError("random values need a 'count'")
        return self

    @property
    def ends(self) -> tuple[Any, Any]:
        """First and last value, as written."""
        first, last = self.range or self.log or (None, None)
        return first, last


class Sample(Strict):
    """Which points of the axes are taken: all of them (grid), or `points` of them."""

    method: Literal["grid", "random", "latin"] = Field("grid", description="latin: a Latin hypercube")
    points: Annotated[int, Field(gt=0)] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _counted(self) -> Sample:
        if (self.method == "grid") != (self.points is None):
            raise ValueError("'points' goes with method random or latin, which need it")
        return self


def _weights(value: object) -> object:
    """Return {workload: weight} for a name or a list of names too."""
    names = [value] if isinstance(value, str) else value
    return dict.fromkeys(names, 1.0) if isinstance(names, list) else names


Weight = Annotated[float, BeforeValidator(lambda w: float(w) if isinstance(w, int) else w), Field(gt=0)]


class SweepFile(Strict):
    """A sweep: a chip, networks, the axes to vary, what must hold, and what is to be as small as it can be."""

    name: str
    description: str = ""
    arch: str = Field(description="the chip that the axes change, by name or path")
    workloads: Annotated[dict[str, Weight], BeforeValidator(_weights), Field(min_length=1)]
    axes: dict[str, Any] = Field(min_length=1, description="key to its values, of chip, network or mapping")
    set: dict[str, Any] = Field({}, description="keys that are no axis: fixed, or computed ('= array.rows')")
    constraints: list[str] = Field([], description="as in 'area_mm2 < 4'; of figures too: 'seconds < 10 ms'")
    objectives: Annotated[list[str], Field(min_length=1)] = Field(
        ["cycles", "energy"], description="smallest is best, unless written 'max utilization'"
    )
    sample: Sample = Sample()
    prune: bool = Field(False, description="skip points that a lower bound proves to be off the front")
    layers: str | None = Field(None, description="only the layers whose name matches, as run --layers")


def open_file(name: str) -> tuple[SweepFile, Document]:
    """Return the sweep called `name` (library or path) and its document; ConfigError with every problem of it."""
    path = library.find("sweep", name)
    document = read(path, library.shown(path))
    return checked(document, path), document


def checked(document: Document, path: Path | None = None) -> SweepFile:
    """Return the sweep that a document describes; ConfigError with every problem of it."""
    file, problems = check(SweepFile, document)
    axes = document.data.get("axes")
    for key, values in (axes if isinstance(axes, dict) else {}).items():
        if isinstance(values, dict):
            problems += check(Range, document, ("axes", key))[1]
    if file is not None and path is not None and file.name != path.stem:
        problems.append(document.problem(("name",), f"must be the name of its file, '{path.stem}', not '{file.name}'"))
    if file is None or problems:
        raise ConfigError(*in_order(problems))
    return file


def problem(document: Document, section: str, key: str | int, message: str) -> Problem:
    """Return the Problem of an entry of a section, at its line."""
    return document.problem((section, key), message)


def is_axis(file: SweepFile, key: str) -> bool:
    """Return whether a key is an axis of its own, not computed from others."""
    return key in file.axes and not str(file.axes[key]).startswith("=")
