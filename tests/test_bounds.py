"""Lower bounds: never above what the engine finds, exact where nothing else limits, fast, and safe to prune by."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from sim import arch as arch_module
from sim import bounds, workload
from sim.bounds import Designs, reloaded
from sim.errors import ConfigError
from sim.layers import lower
from sim.simulate import run
from sim.sweep import Sweep, run_sweep
from sim.sweep.evaluate import evaluate
from sim.sweep.pruning import Pruning, lower_bounds
from tests.laws import HOUR, law

NETWORK = """name: n
inputs: {x: [1, %d, %d, %d]}
layers:
  - {name: a, op: conv2d, in: x, filters: %d, kernel: 3, pad: 1}
  - {name: relu, op: relu}
  - {name: b, op: conv2d, filters: %d, kernel: 1, stride: 2}
  - {name: c, op: conv2d, in: relu, filters: %d, kernel: 3, stride: 2, pad: 1, groups: %s}
  - {name: sum, op: add, in: [b, c]}
  - {name: pool, op: maxpool, kernel: 2}
  - {name: fc, op: conv2d, filters: 5, kernel: 1}
"""


def networks(folder: Path, data: Any) -> str:
    """Write a small network with a branch, strides, groups, fused and other lane work; return its path."""
    channels, size, filters = (data.draw(st.integers(1, 9)) for _ in range(3))
    size = max(size, 4)
    groups = data.draw(st.sampled_from(("1", str(filters))))
    path = folder / "n.yaml"
    path.write_text(NETWORK % (channels, size, size, filters, filters, filters, groups))
    return str(path)


@st.composite
def settings(draw: Any) -> dict[str, Any]:
    """Knobs of a chip, from starved to roomy."""
    size = st.sampled_from(("256 B", "1 KiB", "8 KiB"))
    return {
        "array.rows": draw(st.integers(1, 9)), "array.cols": draw(st.integers(1, 9)),
        "array.dataflow": draw(st.sampled_from(("ws", "os", "is"))), "array.weight_buffers": draw(st.integers(1, 2)),
        "array.swap": draw(st.sampled_from(("wave", "global"))),
        "array.drain": draw(st.sampled_from(("serial", "overlap", "stream"))),
        "array.sram_read_latency": draw(st.integers(0, 2)), "array.output_register": draw(st.integers(0, 2)),
        "array.pe_pipeline": draw(st.integers(1, 3)), "array.convention": draw(st.sampled_from(("rtl", "scalesim"))),
        "inputs.capacity": draw(size), "weights.capacity": draw(size), "outputs.capacity": draw(size),
        "memory.bandwidth": draw(st.sampled_from(("50 MB/s", "400 MB/s", "10 GB/s"))),
        **{f"{name}.bandwidth": draw(st.sampled_from(("2 B/cycle", "8 B/cycle", "64 B/cycle")))
           for name in ("inputs", "weights", "outputs")},
        "weights.ports": draw(st.integers(1, 2)), "outputs.ports": draw(st.integers(1, 2)),
        **(draw(scalable()) if draw(st.booleans()) else {}),
    }  # fmt: skip


@st.composite
def scalable(draw: Any) -> dict[str, Any]:
    """Precision-scalable PEs and lanes, and formats that they have rates for."""
    rates = {name: draw(st.integers(1, 4)) for name in ("int4", "int8", "int16")}
    formats = {f"precision.{o}": draw(st.sampled_from(sorted(rates))) for o in ("weight", "input")}
    return {"array.rates": rates, "vector.rates": {"int32": draw(st.integers(1, 3))}, **formats}


@law(st.data(), quick=15, full=1000)
def test_no_design_beats_its_bound(data: Any) -> None:
    with TemporaryDirectory() as folder:
        bound_against_run(networks(Path(folder), data), data)


def bound_against_run(network: str, data: Any) -> None:
    """Draw a chip, and compare what it takes with its bound, objective by objective."""
    chosen = data.draw(settings())
    if data.draw(st.booleans()):
        chosen["inputs.keep"] = "128 B"
    sweep = Sweep({"name": "s", "arch": "tiny_4x4", "workloads": [network], "set": {"mapping.effort": 2},
                   "axes": {key: [value] for key, value in chosen.items()}, "objectives": [
                       "cycles", "energy", "seconds", "edp", "area"]})  # fmt: skip
    least = lower_bounds(sweep)[0]
    (outcome,) = evaluate(sweep.works(0))
    if outcome.figures is None:
        assert outcome.error is not None
        assert "does not fit" in outcome.error or "no mapping fits" in outcome.error
        return
    found = np.array([objective.cost(outcome.figures) for objective in sweep.objectives])
    assert (least <= found * (1 + 1e-9)).all(), (least, found)
    assert (least > 0).all()


@law(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.sampled_from(("ws", "os", "is")), st.integers(1, 2),
     st.sampled_from(("serial", "overlap", "stream")), st.integers(1, 4), quick=20, full=500)  # fmt: skip
def test_without_memory_the_bound_of_a_product_is_exact(
    m: int, n: int, k: int, flow: str, buffers: int, drain: str, rate: int
) -> None:
    chosen = {"array.dataflow": flow, "array.drain": drain, "array.weight_buffers": buffers, "array.rows": 7,
              "array.cols": 5, "array.rates": {"int8": rate}}  # fmt: skip
    chip, graph = arch_module.load("array", chosen), workload.open_workload(f"gemm:{m}x{n}x{k}")
    designs, lowered = Designs.of(chip), lower(graph, chip)
    least = bounds.cycles(bounds.needs_of(lowered, chip, designs), lowered, chip, designs)
    assert least[0] == run("array", f"gemm:{m}x{n}x{k}", chosen).cycles


@law(st.data(), quick=30, full=300)
def test_reloading_is_at_most_what_the_best_of_all_tilings_reloads(data: Any) -> None:
    """By brute force over tiles, loop orders and what is held, in elements: the closed form is never above."""
    m, n, k = (data.draw(st.integers(1, 6)) for _ in range(3))
    room = {operand: data.draw(st.integers(1, 20)) for operand in ("weight", "input", "output")}
    found = reloaded(k * n, m * k, m * n, {o: np.array([float(size)]) for o, size in room.items()})[0]
    assert found <= least_by_hand({"m": m, "n": n, "k": k}, room)


def least_by_hand(size: dict[str, int], room: dict[str, int]) -> float:
    """Return the least that any tiling moves beyond each operand once."""
    spans = {"weight": "kn", "input": "mk", "output": "mn"}
    best = np.inf
    for tile in product(*(range(1, size[d] + 1) for d in "mnk")):
        tiles = dict(zip("mnk", tile, strict=True))
        count = {d: -(-size[d] // tiles[d]) for d in "mnk"}
        for order in permutations("mnk"):
            total = 0.0
            for operand, dims in spans.items():
                total += min(
                    (_moved(operand, dims, order[level:], size, tiles, count)
                     for level in range(4) if _held(dims, order[level:], size, tiles) <= room[operand]),
                    default=np.inf,
                )  # fmt: skip
            best = min(best, total)
    return best


def _held(dims: str, inside: tuple[str, ...], size: dict[str, int], tiles: dict[str, int]) -> int:
    return int(np.prod([size[d] if d in inside else tiles[d] for d in dims]))


def _moved(
    operand: str, dims: str, inside: tuple[str, ...], size: dict[str, int], tiles: dict[str, int], count: dict[str, int]
) -> float:
    again = int(np.prod([count[d] for d in "mnk" if d not in dims and d not in inside])) - 1
    return int(np.prod([size[d] for d in dims])) * again * (2 if operand == "output" else 1)


# Pruning

SMALL: dict[str, Any] = {
    "name": "s", "arch": "tiny_4x4", "workloads": ["conv:6,10,10,8,3,3,pad=1"], "set": {"mapping.effort": 3},
    "axes": {
        "array.rows": [2, 4, 8], "array.cols": [2, 4, 8], "array.dataflow": ["ws", "os"],
        "inputs.capacity": ["512 B", "2 KiB"], "memory.bandwidth": ["100 MB/s", "400 MB/s", "1.6 GB/s"],
    },
}  # fmt: skip


@pytest.mark.parametrize("objectives", [["cycles", "area"], ["cycles", "energy", "area"], ["edp"]])
def test_the_front_of_a_pruned_sweep_is_that_of_the_whole(
    objectives: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sweep = SMALL | {"objectives": objectives}
    home = tmp_path_factory.getbasetemp() / "pruning"  # what one of the cases simulates in full, the others find
    whole = run_sweep(sweep, out=home, jobs=1, resume=True)
    pruned = run_sweep(sweep, out=home.with_name(f"pruned{len(objectives)}"), jobs=1, prune=True)
    assert pruned.front_csv() == whole.front_csv()
    assert pruned.count("skipped") > 0
    assert pruned.count("skipped") + pruned.count("done") == len(whole.rows) == len(whole.done)


TRUE: dict[str, Any] = {
    "name": "t", "arch": "edge_tpu_like_simple", "set": {"activations.keep": "= activations.capacity / 2"},
    "axes": {
        "array.rows": [32, 64, 128], "array.cols": [32, 128], "array.dataflow": ["ws", "os", "is"],
        "memory.bandwidth": ["12.8 GB/s", "51.2 GB/s"], "activations.capacity": ["256 KiB", "4 MiB"],
        "weights.capacity": ["128 KiB", "512 KiB"], "accumulators.capacity": ["128 KiB", "512 KiB"],
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(HOUR)
@pytest.mark.parametrize(
    ("workloads", "objectives"),
    [("resnet50", ["edp", "area"]), ({"mobilenet_v1": 3, "alexnet": 1}, ["cycles", "energy", "area"])],
)
def test_the_front_of_hundreds_of_true_designs_is_the_same_with_and_without_pruning(
    workloads: Any, objectives: list[str], tmp_path: Path
) -> None:
    """288 designs of the kind that the library's sweep of ResNet-50 has, also where each is several networks."""
    sweep = TRUE | {"workloads": workloads, "objectives": objectives}
    pruned = run_sweep(sweep, out=tmp_path / "pruned", jobs=1, prune=True)
    whole = run_sweep(sweep, out=tmp_path / "whole", jobs=1)
    assert len(whole.done) == 288
    assert pruned.front_csv() == whole.front_csv()
    assert [(row.point, row.figures) for row in pruned.front()] == [(row.point, row.figures) for row in whole.front()]
    assert pruned.count("skipped") + pruned.count("done") == 288
    assert pruned.count("skipped") > 0


def test_scouts_are_sent_where_each_is_expected_to_spare_many() -> None:
    """On a line from cheap to fast, with many designs behind each place of it, scouts stand apart on the line."""
    place = np.repeat(np.arange(1.0, 41.0), 40)
    worse = 1 + np.tile(np.arange(40), 40) / 400
    pruning = Pruning(np.stack([place * worse, worse * 100 / place], axis=1))
    pruning.objectives = Sweep(SMALL | {"objectives": ["cycles", "area"]}).objectives
    sent = []
    for point in pruning.scouts(range(len(place))):
        sent.append(point)
        pruning.simulated(point, dict(zip(("cycles", "area_mm2"), 1.01 * pruning.least[point], strict=True)))
    assert len(sent) == len(set(sent)) <= 50
    assert sum(not pruning.skips(point) for point in range(len(place))) < 40 * 8  # 1,600 before


def test_points_without_a_bound_are_no_scouts() -> None:
    pruning = Pruning(np.zeros((50, 2)))
    assert list(pruning.scouts(range(50))) == []
    together, kinds = np.arange(50)[::-1].copy(), np.arange(50) % 5
    assert sorted(pruning.order(together, kinds).tolist()) == list(range(50))


def test_alike_points_stay_together_the_most_promising_kinds_first() -> None:
    pruning = Pruning(np.array([[9.0, 9.0], [2.0, 2.0], [5.0, 5.0], [3.0, 3.0]]))
    assert pruning.order(np.array([0, 2, 1, 3]), np.array([0, 1, 0, 1])).tolist() == [1, 3, 0, 2]


def test_a_point_is_skipped_only_where_a_simulated_one_beats_its_bound() -> None:
    pruning = Pruning(np.array([[4.0, 4.0], [4.0, 3.0], [5.0, 2.0], [3.0, 9.0], [4.0, 4.1]]))
    sweep = Sweep(SMALL | {"objectives": ["cycles", "area"]})
    pruning.objectives = sweep.objectives
    pruning.simulated(0, {"cycles": 4.0, "area_mm2": 4.0})
    assert [pruning.skips(point) for point in range(5)] == [False, False, False, False, True]


def test_an_objective_without_a_bound_cannot_be_pruned_by(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        run_sweep(SMALL | {"objectives": ["cycles", "max utilization"]}, out=tmp_path, jobs=1, prune=True)
    assert str(caught.value) == (
        "sweep: objectives[1]: 'max utilization' has no lower bound to prune by; there are bounds for: "
        "cycles, seconds, energy_pj, edp, area_mm2"
    )


def test_a_chip_that_cannot_be_has_no_bound_and_is_not_skipped() -> None:
    axes = {"inputs.capacity": ["1 KiB", "2 KiB"], "inputs.keep": ["1 KiB"]}
    least = lower_bounds(Sweep(SMALL | {"axes": axes}))
    assert (least[0] == 0).all()


