"""Vitis HLS synthesis estimates: `csynth.xml` of the top function and, where it holds them, of its modules.

HLS counts the cycles from the start of a function until its outputs can be read. It estimates them from loop
bounds; where a bound is variable it writes `undef`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from sim.errors import ConfigError, Problem
from sim.validate.measured import FORMATS, Choices, Format, Measured, Measurements, whole

TOP_TAGS = {"min": "Best-caseLatency", "avg": "Average-caseLatency", "max": "Worst-caseLatency"}
MODULE_TAGS = {"min": "LatencyBest", "avg": "LatencyAvg", "max": "LatencyWorst"}
UNDEFINED = ("undef", "?", "-")


class HlsSynthesis(Format):
    """The XML report, not the text one: its tags have kept their names since Vivado HLS."""

    name, title = "csynth", "Vitis HLS csynth.xml"

    def recognizes(self, text: str) -> bool:
        """Return whether it is XML of a profile."""
        return text.lstrip().startswith("<") and "<profile" in text[:2000]

    def read(self, text: str, file: str, choices: Choices) -> Measurements:
        """Return the top function and its modules that have a latency."""
        try:
            root = ET.fromstring(text.strip())
        except ET.ParseError as error:
            raise ConfigError(Problem(f"is not whole XML: {error}", file)) from None
        top = (root.findtext("UserAssignments/TopModelName") or "").strip()
        if root.tag != "profile" or not top:
            raise ConfigError(Problem("is no csynth.xml: it has no UserAssignments/TopModelName", file))
        overall = root.find("PerformanceEstimates/SummaryOfOverallLatency")
        if overall is None:
            what = "has no PerformanceEstimates/SummaryOfOverallLatency"
            raise ConfigError(Problem(f"{what}; was synthesis finished?", file))
        places = [(top, overall.findtext(TOP_TAGS[choices.statistic]), TOP_TAGS[choices.statistic])]
        for module in root.iterfind("ModuleInformation/Module"):
            latency = module.find("PerformanceEstimates/SummaryOfOverallLatency")
            name = (module.findtext("Name") or "").strip()
            if latency is not None and name:
                tag = MODULE_TAGS[choices.statistic]
                places.append((name, latency.findtext(tag), tag))
        return _measurements(places, file, self.name)


def _measurements(places: list[tuple[str, str | None, str]], file: str, name: str) -> Measurements:
    rows, undefined = [], []
    for function, text, tag in places:
        word = (text or "").strip()
        if word in UNDEFINED:
            undefined.append(function)
            continue
        cycles = whole(word)
        if cycles is None:
            said = f"'{word}', which is no number of cycles" if word else "missing"
            raise ConfigError(Problem(f"{tag} of '{function}' is {said}", file))
        rows.append(Measured(function, cycles=float(cycles)))
    if not rows:
        raise ConfigError(
            Problem(
                f"the latency of '{undefined[0]}' is undef: a loop bound is variable; give it with "
                "#pragma HLS loop_tripcount, or measure with co-simulation (cosim.rpt)", file,
            )
        )  # fmt: skip
    notes = [f"latency undef, left out: {', '.join(undefined)}"] if undefined else []
    return Measurements(file, name, tuple(rows), "HLS estimate: from start until the outputs can be read", tuple(notes))


FORMATS.register("csynth")(HlsSynthesis())
