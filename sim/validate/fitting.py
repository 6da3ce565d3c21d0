"""A fit as a user asks for it: keys and measurements in, settings and their text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sim.report.table import Column, table, wrap
from sim.validate.compare import compare, predict
from sim.validate.fit import Fit, fit
from sim.validate.measured import Measurements
from sim.validate.objective import Progress
from sim.validate.parameters import Parameter, parameters

COLUMNS = (
    Column("fitted", right=False),
    Column("before"),
    Column("after"),
    Column("95 % interval", right=False),
)


class Fitting:
    """The keys to fit, and what they are fitted to; `found` is there once it has `run`."""

    def __init__(
        self, keys: list[str], arch: str, network: str, overrides: Mapping[str, Any], measurements: Measurements,
        rule: str, count: str, layers: str | None, alone: bool,
    ) -> None:  # fmt: skip
        self.arch, self.network, self.overrides, self.layers = arch, network, dict(overrides), layers
        self.measurements, self.rule, self.count = measurements, rule, count
        self.alone = alone or measurements.alone
        self.parameters: list[Parameter] = parameters(keys, arch, overrides)
        self.found: Fit

    def run(self, held_out: float, seed: int, progress: Progress | None = None) -> Fit:
        """Fit; return and keep what was found."""
        before = self._compare({})
        self.found = fit(
            self.parameters, [row.name for row in before.rows], [row.measured_cycles for row in before.rows],
            lambda settings: [row.predicted_cycles for row in self._compare(settings).rows],
            [row.predicted_cycles for row in before.rows], held_out, seed, progress,
        )  # fmt: skip
        return self.found

    def _compare(self, settings: Mapping[str, Any]) -> Any:
        result = predict(self.arch, self.network, self.overrides | dict(settings), self.layers, self.alone)
        return compare(result, self.measurements, self.rule, self.count)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, values in base units."""
        return asdict(self.found)

    def tell(self, width: int) -> str:
        """Return values, intervals, errors before and after, and warnings, in lines of `width` characters."""
        found = self.found
        by_key = {parameter.key: parameter for parameter in self.parameters}
        rows = []
        for one in found.parameters:
            shown = by_key[one.key].shown
            if one.choices:
                span = ", ".join(shown(choice) for choice in one.choices)
            else:
                span = f"{shown(one.low)} to {shown(one.high)}"
            rows.append([one.key, shown(one.start), shown(one.value), span if one.sure else f"{span} (not told)"])
        text = table(COLUMNS, rows, width)
        before, after = found.fitted_mape
        text += f"\nMAPE of {len(found.fitted_layers)} fitted layers {before:.2f}% before, {after:.2f}% after"
        if found.held_out_mape:
            before, after = found.held_out_mape
            text += f"; of {len(found.held_out_layers)} held out {before:.2f}% before, {after:.2f}% after"
        else:
            text += "; too few layers to hold any out"
        text += f"; {found.runs:,} runs\n"
        return text + "".join(wrap(warning, width, "warning: ", "         ") for warning in found.warnings)
