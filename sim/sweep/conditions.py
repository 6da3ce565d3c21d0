"""What follows from the axes: keys that are fixed or computed, and constraints that decide before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import arch as arch_module
from sim.errors import ConfigError, Problem, unknown
from sim.sweep.axes import BASE, number, quantity
from sim.sweep.dimensions import PLAIN, TEXT, Kinds, alike, check, word
from sim.sweep.figures import figure_kinds, is_figure
from sim.sweep.formula import Formula, formula
from sim.sweep.keys import Subject, Target
from sim.sweep.schema import SweepFile
from sim.sweep.space import Column, Space
from sim.yamlfile import Document, dotted

AREA = "area_mm2"
"""The one figure that is known before a point is simulated."""



@dataclass(frozen=True)
class Condition:
    """A constraint, and the figures that it reads; where there are none it decides before a point is simulated."""

    formula: Formula
    figures: tuple[str, ...]

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Return whether it holds; ValueError where it is no condition."""
        value = self.formula.value(names)
        if not isinstance(value, bool):
            raise ValueError(f"'{self.formula.text}' is {value!r}, not true or false; write a comparison")
        return value


class Terms:
    """What a name in an expression stands for: a column, `area_mm2`, or a key that is the same at all points."""

    def __init__(self, space: Space, subject: Subject, area: Callable[[Space], NDArray[np.float64]]) -> None:
        self.space, self.subject, self.area = space, subject, area
        self.fixed: dict[str, Any] = {}
        self.areas: Column | None = None

    def column(self, name: str) -> Column | None:
        """Return the column of a name, None where it is the same at all points; ValueError where it is nothing."""
        found = self.space.find(name)
        if found is not None:
            return found
        if name == AREA:
            if self.areas is None:
                values, index = np.unique(self.area(self.space), return_inverse=True)
                self.areas = Column(Target(AREA), tuple(values.tolist()), index.reshape(-1))
            return self.areas
        if name not in self.fixed:
            self.fixed[name] = self._constant(name)
        return None

    def _constant(self, name: str) -> Any:
        try:
            target = self.subject.target(name)
        except ValueError:
            if is_figure(name):
                told = f"'{name}' is known when a point has been simulated; keys are computed before"
                raise ValueError(told) from None
            keys = {word for c in self.space.columns for word in (c.key, c.key.rpartition(".")[2])}
            raise ValueError(unknown("name", name, [*keys, AREA, "cycles", "energy", "edp"])) from None
        if not target.of_chip:
            params, setting = self.subject.params(), target.key.removeprefix("params.")
            if setting not in params:
                told = "has no value to compute with; the network's params and the chip's keys have"
                raise ValueError(f"'{name}' {told}")
            return number(params[setting])
        value: Any = arch_module.build(self.subject.chip).model_dump()
        for key in target.path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            raise ValueError(f"'{name}' has no value on chip '{self.subject.chip.data.get('name')}'")
        return value

    def kinds(self, name: str) -> Kinds:
        """Return what a name is a quantity of, where that is known."""
        found = self.space.find(name)
        if found is None and (name == AREA or _of_result(name, self)):
            return figure_kinds(name)
        try:
            return self.subject.kinds(found.target if found is not None else self.subject.target(name))
        except ValueError:
            return None

    def evaluate(self, what: Formula | Condition, apply: Callable[[Mapping[str, Any]], Any]) -> tuple[list[Any], Any]:
        """Return what `apply` makes of each combination of the values that a formula reads, and who has which."""
        names = (what.formula if isinstance(what, Condition) else what).names
        columns = {name: self.column(name) for name in names}
        read = {name: column for name, column in columns.items() if column is not None}
        texts = {name for name in read if self.kinds(name) == TEXT}  # '7nm' may be the name of a table

        def value(point: int) -> Any:
            own = {n: c.values[c.index[point]] for n, c in read.items()}
            return apply(self.fixed | {n: v if n in texts else number(v) for n, v in own.items()})

        return self.space.each(list(read.values()), value)


def complete(
    space: Space, file: SweepFile, document: Document, subject: Subject, area: Callable[[Space], NDArray[np.float64]]
) -> tuple[Space, list[Condition]]:
    """Return the points that satisfy the constraints, with fixed and computed keys, and the conditions on figures.

    Raises ConfigError with every problem, and where nothing is left.
    """
    written = {k: (v, "axes") for k, v in file.axes.items() if isinstance(v, str) and v.startswith("=")}
    written |= {key: (value, "set") for key, value in file.set.items()}
    problems = list[Problem]()
    for key, (value, section) in written.items():
        try:
            if space.find(key) is not None:
                raise ValueError("is an axis already")
            space = replace(space, columns=(*space.columns, _column(space, subject, key, value, area)))
        except ValueError as error:
            problems.append(document.problem((section, key), str(error)))
    later, masks = _constrain(file, document, Terms(space, subject, area), problems)
    if problems:
        raise ConfigError(*problems)
    kept = np.logical_and.reduce([np.ones(space.size, dtype=bool), *masks.values()])
    left_out = {text: int(np.count_nonzero(~mask)) for text, mask in masks.items()}
    if not kept.any():
        each = ", ".join(f"'{text}' excludes {count:,}" for text, count in left_out.items())
        told = f"leave none of {space.size:,} points: {each}; loosen one, or widen an axis"
        raise document.error(("constraints",), told)
    return replace(space.take(kept), left_out=left_out), later


def _column(
    space: Space, subject: Subject, key: str, written: Any, area: Callable[[Space], NDArray[np.float64]]
) -> Column:
    """Return the column of a key that is fixed, or computed from others."""
    target = subject.target(key)
    if not (isinstance(written, str) and written.startswith("=")):
        for text in subject.problems_of(target, written):
            raise ValueError(text)
        return Column(target, (written,), np.zeros(space.size, dtype=np.int64))
    rule, terms = formula(written), Terms(space, subject, area)
    made, wanted = check(rule, terms.kinds), subject.kinds(target)
    if made is not None and wanted is not None and not alike(made, wanted):
        unit = BASE.get(max(wanted), "")
        way_out = f"; multiply by 1 {unit}" if made == PLAIN and unit else ""
        raise ValueError(f"is {word(wanted)}, and '{written}' {word(made)}{way_out}")
    kinds = wanted or made
    dimension = rule.dimension if kinds is None else max(kinds) if kinds not in (PLAIN, TEXT) else None
    found, index = terms.evaluate(rule, rule.value)
    values = [quantity(v, dimension) if isinstance(v, int | float) and not isinstance(v, bool) else v for v in found]
    for value in values:
        for text in subject.problems_of(target, value):
            raise ValueError(f"computes to {value!r}: {text}")
    distinct = list(dict.fromkeys(values))
    return Column(target, tuple(distinct), np.array([distinct.index(v) for v in values], dtype=np.int64)[index])


def _constrain(
    file: SweepFile, document: Document, terms: Terms, problems: list[Problem]
) -> tuple[list[Condition], dict[str, Any]]:
    """Return the conditions on figures, and which points each other constraint keeps."""
    later, masks = list[Condition](), dict[str, Any]()
    for place, text in enumerate(file.constraints):
        try:
            rule = formula(text)
            check(rule, terms.kinds)
            condition = Condition(rule, tuple(n for n in rule.names if n != AREA and _of_result(n, terms)))
            if condition.figures:
                later.append(condition)
                for name in set(rule.names) - set(condition.figures):
                    terms.column(name)
                continue
            found, index = terms.evaluate(condition, condition.holds)
            masks[text] = np.array(found, dtype=bool)[index]
        except ValueError as error:
            problems.append(document.problem(("constraints", place), str(error)))
    return later, masks


def _of_result(name: str, terms: Terms) -> bool:
    if not is_figure(name) or terms.space.find(name) is not None:
        return False
    try:
        terms.subject.target(name)
    except ValueError:
        return True
    return name.split(".")[0] in ("cycles", "seconds", "energy", "edp", "macs")


def names_at(space: Space, point: int, conditions: list[Condition], terms: Terms) -> dict[str, Any]:
    """Return the values of the names that are no figures in the conditions, at a point."""
    wanted = {name for c in conditions for name in c.formula.names if name not in c.figures}
    columns = {name: terms.column(name) for name in wanted}
    read = {n: number(c.values[c.index[point]]) for n, c in columns.items() if c is not None}
    return terms.fixed | read


__all__ = ["AREA", "Condition", "Terms", "complete", "dotted", "names_at"]
