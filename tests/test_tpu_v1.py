"""The first TPU: bound by its weight memory on MLP0, as its counters say, and granules of its weight FIFO."""

from __future__ import annotations

import pytest

from sim.simulate import run
from tests.validation.references.tpu_v1 import bounds

MEASURED_ACTIVE = 0.127  # Jouppi et al., ISCA 2017, table 3, MLP0
TILE, BATCH, CLOCK, BANDWIDTH = 64 * 1024, 200, 700e6, 34e9
ROOFLINE = BATCH / (TILE / BANDWIDTH * CLOCK)
"""A tile takes TILE / BANDWIDTH seconds to read and keeps the array active for one cycle a row of the batch."""


@pytest.mark.parametrize("hidden", [2000, 2048])
def test_the_array_is_active_no_longer_than_the_weight_memory_allows(hidden: int) -> None:
    result = run("tpu_v1", "tpu_mlp0", {"hidden": hidden})
    causes = result.units["array"]["cycles"]
    active = causes["compute"] / result.cycles
    assert pytest.approx(0.148, abs=0.0005) == ROOFLINE
    assert MEASURED_ACTIVE < active <= ROOFLINE
    assert max((c for c in causes if c != "compute"), key=causes.__getitem__) == "wait_weight"
    assert active / MEASURED_ACTIVE - 1 < 0.15  # +12 % as it stands; reported, not tuned


def test_no_application_is_active_more_than_its_bound() -> None:
    """In all six applications of the paper the measured share lies below bandwidth over peak."""
    cases = list(bounds())
    assert len(cases) == 6
    assert all(case.reference < case.predicted <= 100 for case in cases)
    assert cases[0].predicted == round(100 * ROOFLINE, 1)


def test_a_tile_that_is_not_full_takes_the_time_of_a_full_one() -> None:
    """5 x 2000 x 2000 weights are 8 x 8 tiles a layer, as 5 x 2048 x 2048 are."""
    part, whole = (run("tpu_v1", "tpu_mlp0", {"hidden": hidden, "batch": 1}) for hidden in (2000, 2048))
    assert part.cycles == pytest.approx(whole.cycles, rel=0.002)
    reads = [result.traffic_bytes["dram"]["read"]["weight"] for result in (part, whole)]
    assert reads == [5 * 2048 * 2048] * 2


@pytest.mark.parametrize("fast_forward", [True, False])
def test_granules_round_loads_up_and_nothing_else(fast_forward: bool) -> None:
    fixed = {"mapping.tile": {"m": 32, "n": 8, "k": 8}, "mapping.order": ["m", "n", "k"]}

    def cycles(granule: str | None) -> int:
        return run("tiny_4x4", "gemm:32x64x64", {**fixed, "weights.granule": granule}, fast_forward=fast_forward).cycles

    assert cycles("64 B") == cycles(None)  # tiles of 64 bytes are whole granules
    assert cycles(None) < cycles("1 KiB") < cycles("2 KiB")


@pytest.mark.parametrize("network", ["gemm:118x75x6", "conv:24,18,26,6,1,1,stride=2"])
def test_a_starved_channel_takes_what_its_bytes_take_with_granules_too(network: str) -> None:
    result = run("tpu_v1", network, {"memory.bandwidth": "10 MB/s", "memory.latency": "0 s"})
    moved = sum(sum(count.values()) for count in result.traffic_bytes["dram"].values())
    assert result.traffic_bytes["dram"]["read"]["weight"] == 65536
    assert result.cycles == pytest.approx(moved / 10e6 * 700e6, rel=0.02)
