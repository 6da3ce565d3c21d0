"""The points of the artifact of FuseMax, and the chips and settings that stand for its configurations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim import Result, run
from tests.validation.reference import rows

CONFIGURATIONS: dict[str, tuple[str, dict[str, object]]] = {
    "unfused": ("flat", {"mapping.attention": "unfused"}),
    "flat": ("flat", {}),
    "cascade": ("flat", {"mapping.attention": "one_pass"}),
    "arch": ("fusemax", {"mapping.interleave": 0}),
    "binding": ("fusemax", {}),
}
"""Configuration of the artifact: the chip, and what is set."""

HEADS = {"BERT": 12, "TrXL": 16, "T5": 8, "XLM": 16}
SIZE = {"BERT": 64, "TrXL": 64, "T5": 64, "XLM": 128}
BATCH = 64


@dataclass(frozen=True)
class Point:
    """One point: what the artifact states of a configuration, a model and a length."""

    config: str
    model: str
    tokens: int
    dram_bytes: float
    seconds: float
    array: float
    lanes: float

    def run(self, more: dict[str, object] | None = None) -> Result:
        """Return what the simulator finds."""
        chip, settings = CONFIGURATIONS[self.config]
        form = f"attention:{BATCH}x{HEADS[self.model]}x{self.tokens}x{SIZE[self.model]}"
        return run(chip, form, settings | (more or {}))


def points() -> Iterator[Point]:
    """Yield all points of the artifact: its rows, and what they say of models that differ in heads alone."""
    for row in rows("figures", "fusemax_artifact.csv"):
        like = ("BERT", "TrXL", "T5") if row["model"] == "BERT" else ("XLM",)
        for model in like:
            share = HEADS[model] / HEADS[row["model"]]
            yield Point(
                row["config"], model, int(row["seq_len"]), share * float(row["dram_bytes"]),
                share * float(row["latency_s"]), float(row["util_2d"]), float(row["util_1d"]),
            )  # fmt: skip


def lanes(result: Result) -> float:
    """Return the share of the cycles in which the lanes work."""
    return float(result.units["vector"]["cycles"]["compute"] / result.cycles)


def array(result: Result) -> float:
    """Return what the artifact calls the utilization of the array: of products, and of softmax where PEs do it."""
    in_place = result.arch == "fusemax"
    return float(result.units["array"]["cycles"]["compute"] / result.cycles) if in_place else result.utilization


def off_chip(result: Result) -> int:
    """Return the bytes to and from memory."""
    return sum(sum(operands.values()) for operands in result.traffic_bytes["dram"].values())
